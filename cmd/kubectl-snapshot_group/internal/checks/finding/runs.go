package finding

import (
	"fmt"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// lastRuns are about runs that left a group without a restore point.
func lastRuns(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		last, err := group.ParseLastRun(n.Annotations)
		if err != nil || last.Outcome != group.Failed {
			continue // one that does not parse is told of by rule bad-annotation
		}
		command := "kubectl snapshot-group run --wait --namespace " + n.Name
		out = append(out, Finding{
			Severity: Failure, Check: "last-run", Where: fmt.Sprintf("namespace %q", n.Name),
			What: fmt.Sprintf("run %s of %s failed: %s", last.ID, last.Time.UTC().Format(time.RFC3339), last.Message),
			Why:  "what it could not snapshot has no restore point of that time", Mend: "mend what it says, and ask for another: " + command, Command: command,
		})
	}
	return out
}

// paused are namespaces in which nothing expires, in the loop's words.
func paused(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		why := n.Annotations[group.ExpiryPausedAnnotation]
		if why == "" {
			continue
		}
		out = append(out, Finding{
			Severity: Warning, Check: "expiry-paused", Where: fmt.Sprintf("namespace %q", n.Name), What: why,
			Why: "restore points pile up until then", Mend: "look at " + group.KeepAnnotation + ", and correct it or confirm: " + commandIn(why),
			Command: commandIn(why),
		})
	}
	return out
}

// orphans hold storage that no restore point accounts for. The loop frees what can be freed, unless it does not run or the namespace is
// not opted in.
func orphans(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		if last, _ := group.ParseLastRun(n.Annotations); last.Outcome == group.Running {
			continue // what a run is making is nobody's orphan
		}
		for _, o := range n.Orphans {
			out = append(out, orphan(n, o))
		}
	}
	return out
}

func orphan(n Namespace, o point.Orphan) Finding {
	found := Finding{
		Severity: Warning, Check: "orphan", Why: "it holds storage that no restore point accounts for",
		Mend: "none is needed while the loop runs and the namespace is opted in: the loop frees it",
	}
	switch o.Kind {
	case point.OrphanMember:
		found.Where, found.What = fmt.Sprintf("VolumeSnapshot %q in namespace %q", o.Snapshot.Name, n.Name), "its VolumeGroupSnapshotContent is gone"
		found.Why = "deleting it frees no storage: that goes with its group alone"
		found.Mend = "none is needed while the loop runs and the namespace is opted in: the loop makes that again, unless another " +
			"VolumeGroupSnapshotContent stands for the group on storage. Where another member of the group is gone too, or none carries annotation " +
			group.DetachedAnnotation + ", it cannot: restore what is needed of this one, and then free its group snapshot by the means of the storage"
		return found
	case point.OrphanAnchor:
		found.What = "the members of its restore point are gone"
	case point.OrphanContent:
		found.What = "its VolumeGroupSnapshot is gone"
	}
	found.Where = fmt.Sprintf("VolumeGroupSnapshotContent %q of namespace %q", o.Content.Name, n.Name)
	if o.Pinned != "" {
		found.Mend = fmt.Sprintf("VolumeSnapshotContent %q belongs to the same group on storage: once that is deleted, the loop frees this", o.Pinned)
	}
	return found
}
