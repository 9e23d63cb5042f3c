package restores

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

func copied(claim, from string) plan.Copy {
	return plan.Copy{
		Claim:    corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: claim}},
		Snapshot: &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Name: from}},
		Content:  &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: from}},
	}
}

func TestWhatIsLeftToMakeCopiesFromIsTold(t *testing.T) {
	copies := []plan.Copy{copied("data", "restore-1"), copied("logs", "restore-2")}
	for name, tc := range map[string]struct {
		gone func(plan.Copy) bool
		want string
	}{
		"of all": {func(plan.Copy) bool { return false }, "restore point db-1 does not expire before these claims are bound and the same command is run again with --wait, " +
			"which deletes the VolumeSnapshots that they are made from: restore-1, restore-2\n"},
		"but of those where it is gone": {func(c plan.Copy) bool { return c.Claim.Name == "data" }, "restore point db-1 does not expire before these claims are bound " +
			"and the same command is run again with --wait, which deletes the VolumeSnapshots that they are made from: restore-2\n"},
		"and nothing where all is gone": {func(plan.Copy) bool { return true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			streams, _, _, told := genericiooptions.NewTestIOStreams()
			tellLeft(session.New(streams), "db-1", without(copies, tc.gone))
			if diff := cmp.Diff(tc.want, told.String()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
	if copies[0].Snapshot == nil {
		t.Error("the copies themselves were changed")
	}
}

func TestTheEndTellsHowToBeRidOfSafetySnapshots(t *testing.T) {
	const rid = ", which never expires; once it is not needed: kubectl snapshot-group release NAME --namespace shop && " +
		"kubectl snapshot-group delete NAME --namespace shop\n"
	first := `what was there earlier is in safety snapshot "db-safety-1"` + strings.ReplaceAll(rid, "NAME", "db-safety-1")
	second := `what was there before is in safety snapshot "db-safety-2"` + strings.ReplaceAll(rid, "NAME", "db-safety-2")
	for name, tc := range map[string]struct {
		left plan.Journal
		want string
	}{
		"of all that are there": {plan.Journal{Outdated: []string{"db-safety-1"}, Safety: plan.Safety{Name: "db-safety-2"}}, first + second},
		"of an earlier one":     {plan.Journal{Outdated: []string{"db-safety-1"}}, first},
		"of none":               {plan.Journal{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			streams, _, _, told := genericiooptions.NewTestIOStreams()
			tellSafety(session.New(streams), "shop", tc.left)
			if diff := cmp.Diff(tc.want, told.String()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLinesOfADryRunSayThatItWasOne(t *testing.T) {
	for mode, want := range map[string]string{
		dryRunNone: "persistentvolumeclaim/data\n", dryRunClient: "persistentvolumeclaim/data (dry run)\n", dryRunServer: "persistentvolumeclaim/data (server dry run)\n",
	} {
		streams, _, out, _ := genericiooptions.NewTestIOStreams()
		s := session.New(streams)
		o := &options{dryRun: mode, output: genericclioptions.NewPrintFlags("")}
		c := copied("data", "restore-1")
		if err := printClaims(s, o, []runtime.Object{c.Content, c.Snapshot, &c.Claim}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("lines of --dry-run=%s (-want +got):\n%s", mode, diff)
		}
	}
}
