package recheck

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// member is a VolumeSnapshot of group snapshot "vgs", if that has the UID of its owner.
func member(name, owner string) *snapshotv1.VolumeSnapshot {
	o := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: name, ResourceVersion: "3", OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "groupsnapshot.storage.k8s.io/v1", Kind: group.GroupSnapshotKind, Name: "vgs", UID: types.UID(owner),
		}}},
		Status: &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: ptr.To("c-" + name)},
	}
	return o
}

// bare is a member of another group whose content is gone.
func bare() *snapshotv1.VolumeSnapshot {
	o := member("bare", "another")
	o.ResourceVersion = "6"
	return o
}

// objects are a group snapshot that is ready, its content, a member with its content, and what is somebody else's.
func objects() []client.Object {
	return []client.Object{
		&groupsnapshotv1.VolumeGroupSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "vgs", UID: "u", ResourceVersion: "1"},
			Status:     &groupsnapshotv1.VolumeGroupSnapshotStatus{BoundVolumeGroupSnapshotContentName: ptr.To("vgsc")},
		},
		&groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "vgsc", ResourceVersion: "2"}},
		bare(), member("m", "u"), &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "c-m", ResourceVersion: "4"}},
		member("other", "another"), &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "lone", ResourceVersion: "5"}},
	}
}

// seen is the group of objects, changed.
func seen(change func(*plan.Group)) plan.Late {
	g := plan.Group{
		SnapshotName: "vgs", Snapshot: &plan.Snapshot{UID: "u", ResourceVersion: "1", Ready: true},
		Content: &plan.Content{Name: "vgsc", ResourceVersion: "2"},
		Members: []plan.Member{{Name: "m", ResourceVersion: "3", ContentVersion: "4"}},
	}
	change(&g)
	return plan.Late{Group: g}
}

func lone(name, version string) plan.LateOne {
	return plan.LateOne{Claim: plan.Claim{SnapshotName: name, Snapshot: &plan.ClaimSnapshot{ResourceVersion: version}}}
}

// look is at objects, and fails where the test says so.
func look(t *testing.T, fails error) Look {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects()...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, api client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if fails != nil {
				return fails
			}
			return api.Get(ctx, key, o, opts...)
		},
	}).WithIndex(&snapshotv1.VolumeSnapshotContent{}, metav1.ObjectNameField, func(o client.Object) []string { return []string{o.GetName()} }).Build()
	return Look{Live: live, Namespace: "db", Snapshots: func(ctx context.Context) (*snapshotv1.VolumeSnapshotList, error) {
		var list snapshotv1.VolumeSnapshotList
		return &list, errors.Join(fails, live.List(ctx, &list, client.InNamespace("db")))
	}}
}

func TestChanged(t *testing.T) {
	for name, tc := range map[string]struct {
		step plan.Step
		want string // name and resourceVersion of the object
	}{
		"a group of which nothing has changed has not": {seen(func(*plan.Group) {}), ""},
		"its VolumeGroupSnapshot is another":           {seen(func(g *plan.Group) { g.Snapshot.ResourceVersion = "0" }), "vgs 1"},
		"its VolumeGroupSnapshot is gone":              {seen(func(g *plan.Group) { g.SnapshotName = "gone" }), "gone "},
		"one that is not ready is not complete, whatever becomes of the rest": {
			seen(func(g *plan.Group) { g.Snapshot.Ready, g.Content, g.Members = false, nil, nil }), "",
		},
		"its content is another":        {seen(func(g *plan.Group) { g.Content.ResourceVersion = "0" }), "vgsc 2"},
		"its content was not seen":      {seen(func(g *plan.Group) { g.Content = nil }), "vgsc 2"},
		"its content is gone":           {seen(func(g *plan.Group) { g.Content.Name = "gone" }), "gone "},
		"a member is another":           {seen(func(g *plan.Group) { g.Members[0].ResourceVersion = "0" }), "m 3"},
		"a member was not seen":         {seen(func(g *plan.Group) { g.Members = nil }), "m 3"},
		"a member is gone":              {seen(func(g *plan.Group) { g.Members = append(g.Members, plan.Member{Name: "gone"}) }), "gone "},
		"a member's content is another": {seen(func(g *plan.Group) { g.Members[0].ContentVersion = "0" }), "c-m 4"},
		"a member's content is gone": {seen(func(g *plan.Group) {
			g.Members = append(g.Members, plan.Member{Name: "bare", ResourceVersion: "6", ContentVersion: "7"})
		}), "c-bare "},
		"a member's content was not seen":        {seen(func(g *plan.Group) { g.Members[0].ContentVersion = "" }), "c-m 4"},
		"a claim's snapshot has not changed":     {lone("lone", "5"), ""},
		"a claim's snapshot is another":          {lone("lone", "0"), "lone 5"},
		"a claim's snapshot is gone":             {lone("gone", "5"), "gone "},
		"a VolumeGroupSnapshot is gone, as seen": {plan.Missing{Snapshot: "gone"}, ""},
		"a VolumeGroupSnapshot is there, unseen": {plan.Missing{Snapshot: "vgs"}, "vgs 1"},
	} {
		t.Run(name, func(t *testing.T) {
			changed, err := look(t, nil).Changed(t.Context(), tc.step)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if changed != nil {
				got = changed.GetName() + " " + changed.GetResourceVersion()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALookThatFailsSaysSo(t *testing.T) {
	away := errors.New("away")
	for name, tc := range map[string]struct {
		step plan.Step
		want string
	}{
		"for a VolumeGroupSnapshot": {plan.Missing{Snapshot: "vgs"}, `read "vgs": away`},
		"at a group":                {seen(func(*plan.Group) {}), `read "vgs": away`},
		"at a claim's snapshot":     {lone("lone", "5"), "list VolumeSnapshots: away"},
	} {
		t.Run(name, func(t *testing.T) {
			if changed, err := look(t, away).Changed(t.Context(), tc.step); changed != nil || !errors.Is(err, away) || err.Error() != tc.want {
				t.Errorf("%v and error %v, want none and %s", changed, err, tc.want)
			}
		})
	}
}
