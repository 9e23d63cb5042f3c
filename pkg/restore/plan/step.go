package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Step is one thing to do. Its String is what is told of it, in the progress, in a dry run and in tests.
type Step interface {
	String() string
}

// Kind is a kind of objects that a Wait is ended by.
type Kind string

// The kinds.
const (
	Pods      Kind = "Pods"
	Claims    Kind = "PersistentVolumeClaims"
	Snapshots Kind = "VolumeSnapshots"
)

// The steps.
type (
	// Begin writes the journal.
	Begin struct{ Journal Journal }
	// TakeOver writes it over that of another restore.
	TakeOver struct{ Journal Journal }
	// Scale sets the replicas of a workload.
	Scale struct {
		Workload Scaled
		From     int32
	}
	// Hold keeps the restore point from expiring.
	Hold struct {
		Point Point
		ID    string
	}
	// Release lets it expire again: what of it the restore holds.
	Release struct{ Point Point }
	// Renew changes the journal so that another safety snapshot is taken.
	Renew struct {
		Journal Journal
		// Outdated is the safety snapshot that was taken, and Why it does not do any more.
		Outdated, Why string
		// Kept are the volumes that are not freed at the end: their claims are deleted already, so they alone have what was written.
		Kept []string
	}
	// Select labels a claim so that the safety snapshot takes it.
	Select struct{ Claim, ID string }
	// Secure creates the safety snapshot.
	Secure struct {
		Safety Safety
		// Generations are those of the workloads that mount the claims, by their UIDs.
		Generations map[types.UID]int64
	}
	// Record puts the product's marks on a member of the safety snapshot.
	Record struct{ Unmarked }
	// Policy sets what becomes of a volume whose claim is deleted.
	Policy struct {
		Volume string
		Policy corev1.PersistentVolumeReclaimPolicy
		// Claim is the claim whose volume it is.
		Claim string
	}
	// Delete deletes the claim that is replaced.
	Delete struct {
		Claim string
		UID   types.UID
	}
	// Create makes the restored claim.
	Create struct{ Claim corev1.PersistentVolumeClaim }
	// Wait waits until an object of one of the kinds changes.
	Wait struct {
		For string
		On  []Kind
		// See is the command that tells why it takes so long.
		See string
	}
	// End deletes the journal.
	End struct {
		// Journal names the safety snapshots that are there still, and complete.
		Journal Journal
		// Unbound are the claims that are bound once a Pod uses them, which none of the workloads does.
		Unbound []string
	}
	// Stop is for a person: the restore cannot go on, for the reason Why, until Do is done. Then the same command goes on.
	Stop struct{ Why, Do string }
)

func (s Begin) String() string {
	return fmt.Sprintf("begin the restore of %s in place from %q", claimsOf(s.Journal.Claims), s.Journal.Point)
}

func (s TakeOver) String() string {
	if len(s.Journal.Claims) == 0 {
		return fmt.Sprintf("take over the unfinished restore from %q, of which each claim is as it was before", s.Journal.Over)
	}
	return fmt.Sprintf("take over the unfinished restore from %q, to restore %s in place from %q", s.Journal.Over, claimsOf(s.Journal.Claims), s.Journal.Point)
}

func (s Scale) String() string {
	return fmt.Sprintf("scale %s from %d to %d", s.Workload, s.From, s.Workload.Replicas)
}

func (s Hold) String() string {
	return fmt.Sprintf("hold restore point %q until it is restored", s.Point.Name)
}

func (s Release) String() string { return fmt.Sprintf("release restore point %q", s.Point.Name) }

func (s Renew) String() string {
	told := fmt.Sprintf("give up safety snapshot %q, since %s after it was taken", s.Outdated, s.Why)
	if len(s.Kept) > 0 {
		told += fmt.Sprintf(", and keep %s for good, of claims that are deleted already", nounOf("volume", s.Kept))
	}
	return told
}

func (s Select) String() string {
	return fmt.Sprintf("select claim %q for the safety snapshot", s.Claim)
}

func (s Secure) String() string {
	return fmt.Sprintf("take safety snapshot %q of %s", s.Safety.Name, nounOf("claim", s.Safety.Claims))
}

func (s Record) String() string {
	return fmt.Sprintf("record the claim of VolumeSnapshot %q", s.Snapshot)
}

func (s Policy) String() string {
	if s.Policy == corev1.PersistentVolumeReclaimRetain {
		return fmt.Sprintf("keep volume %q of claim %q until the restored one is bound", s.Volume, s.Claim)
	}
	return fmt.Sprintf("free the replaced volume %q of claim %q", s.Volume, s.Claim)
}

func (s Delete) String() string { return fmt.Sprintf("delete claim %q", s.Claim) }

func (s Create) String() string {
	return fmt.Sprintf("create claim %q from VolumeSnapshot %q", s.Claim.Name, s.Claim.Spec.DataSource.Name)
}

func (s Wait) String() string { return "wait for " + s.For }

func (s End) String() string {
	told := fmt.Sprintf("end the restore of %s from %q", claimsOf(s.Journal.Claims), s.Journal.Point)
	if len(s.Journal.Claims) == 0 {
		told = fmt.Sprintf("end the restore from %q", s.Journal.Over)
	}
	if len(s.Unbound) > 0 {
		told += fmt.Sprintf("; not bound until a Pod uses them: %s", quoted(s.Unbound))
	}
	return told
}

func (s Stop) String() string { return s.Why + "; " + s.Do }

func claimsOf(claims []Replacement) string {
	names := make([]string, 0, len(claims))
	for _, c := range claims {
		names = append(names, c.Name)
	}
	return nounOf("claim", names)
}

func nounOf(noun string, names []string) string {
	if len(names) != 1 {
		noun += "s"
	}
	return noun + " " + quoted(names)
}
