package snapshotter

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/settle"
)

// do executes one step in Namespace db, whatever the plan would be.
func (c *fakeCluster) do(step plan.Step) error {
	c.t.Helper()
	ns := &corev1.Namespace{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Name: "db"}, ns))
	_, err := c.loop.execute(c.t.Context(), ns, []plan.Step{step})
	return err
}

func createStep() plan.Create {
	return plan.Create{
		Group: "pg", Run: "r1", Name: "pg-r1", Class: "vgsc", LabelKey: group.DefaultLabelKey,
		Labels: map[string]string{group.GroupLabel: "pg", group.RunLabel: "r1"},
	}
}

func TestCreateTakesItsOwnLostReplyForSuccess(t *testing.T) {
	c := newCluster(t, nil)
	c.must(c.do(createStep()))
	c.restart()
	c.must(c.do(createStep()))
	if n := len(c.snapshots()); n != 1 {
		t.Errorf("%d snapshots, want 1", n)
	}
}

func TestCreateDoesNotTakeASomebodyElsesObjectForItsOwn(t *testing.T) {
	c := newCluster(t, nil, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "pg-r1", UID: "theirs"}})
	err := c.do(createStep())
	want := `create VolumeGroupSnapshot "pg-r1" of group "pg": held by an object that is not of this run`
	if !errors.Is(err, ErrForeign) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCreateMakesNoSecondSnapshotBesideAnAnchor(t *testing.T) {
	c := newCluster(t, nil, &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "anchor", Labels: createStep().Labels},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: "pg-r1"}, DeletionPolicy: "Retain",
		},
	})
	err := c.do(createStep())
	want := `create VolumeGroupSnapshot "pg-r1": its anchor "anchor" exists: changed since it was looked at`
	if !errors.Is(err, ErrStale) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if len(c.writes) != 0 {
		t.Errorf("writes %v, want none", c.writes)
	}
}

func TestTheSnapshotWaitsForTheControllerToSeeTheRelease(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.once()
	c.controllers()
	c.once()
	for _, m := range c.members() {
		if len(m.Finalizers) != 0 {
			t.Errorf("member %q keeps finalizers %v, want none: the controller puts its own back", m.Name, m.Finalizers)
		}
	}
	c.once()
	if c.snapshots()[0].DeletionTimestamp != nil {
		t.Error("the snapshot is deleted before the controller has seen the release")
	}
	c.settleMembers()
	c.once()
	if c.snapshots()[0].DeletionTimestamp != nil {
		t.Error("the snapshot is deleted before the controller has seen that its content is kept")
	}
	c.settleAnchors()
	c.once()
	if c.snapshots()[0].DeletionTimestamp == nil {
		t.Error("the snapshot is not deleted after the controller has seen the release and that its content is kept")
	}
}

func TestAStuckGroupHoldsUpNoOther(t *testing.T) {
	c := newCluster(t, nil)
	ns := &corev1.Namespace{}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "db"}, ns))
	lost := plan.Unbind{Group: "a", Member: "gone", UID: "x"}
	done, err := c.loop.execute(t.Context(), ns, []plan.Step{lost, plan.Wait{Group: "a"}, plan.Wait{Group: "b"}})
	if diff := cmp.Diff([]plan.Step{plan.Wait{Group: "b"}}, done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if want := `unbind member "gone": volumesnapshots.snapshot.storage.k8s.io "gone" not found`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAReconcileWaitsUntilItsOwnWritesShow(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.loop.writes.Wrote("db", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "ns", ResourceVersion: "1000000"}})
	if got := c.once(); got.RequeueAfter != settle.Timeout || len(c.writes) != 0 {
		t.Errorf("result %+v after writes %v, want to wait %s and write nothing", got, c.writes, settle.Timeout)
	}
}

func TestAnOutdatedViewIsNoErrorButWhatElseIsRefusedIs(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "volumesnapshots"}, "x", errors.New("the object has been modified"))
	denied := apierrors.NewBadRequest("denied")
	repair := func(member string) string {
		return fmt.Sprintf("repair member %q: changed since it was looked at: %s", member, conflict.Error())
	}
	for name, tc := range map[string]struct {
		repair, create error
		want           []string // of each reconcile, after how long it is done again, or its error
	}{
		"outdated views of two members": {conflict, nil, []string{"50ms", "100ms", "200ms"}},
		"they beside what is denied": {conflict, denied, []string{
			repair("snapshot-data-uid-1") + "\n" + repair("snapshot-wal-uid-1") + "\n" +
				`create VolumeSnapshot "log-20261122t120000z-fa55b" of claim "log": denied`,
		}},
		"what is denied": {nil, denied, []string{`create VolumeSnapshot "log-20261122t120000z-fa55b" of claim "log": denied`}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep))
			c.once()
			c.controllers()
			c.must(c.api.Create(t.Context(), claim("log", "")))
			c.must(c.api.Create(t.Context(), volume("log")))
			c.refuse = func(what string) error {
				return map[string]error{"patch VolumeSnapshot": tc.repair, "create VolumeSnapshot": tc.create}[what]
			}
			for _, want := range tc.want {
				result, err := c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
				got := result.RequeueAfter.String()
				if err != nil {
					got = err.Error()
				}
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}
