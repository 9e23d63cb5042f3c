package snapshotter

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// besides is a handle that shares its bucket with handle s.
func besides() string {
	return sharing(func(handle string) string { return store.HandleKey(driver, handle) }, "s")
}

// sharing is a name whose key shares its bucket with that of one.
func sharing(key func(string) string, one string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprint("other-", i); store.BucketOf(key(other)) == store.BucketOf(key(one)) {
			return other
		}
	}
}

func TestAGroupIsNotGivenTheContentOfAnother(t *testing.T) {
	const name = "pg-20261122t150000z-1f2e3"
	other := sharing(func(snapshot string) string { return store.SnapshotKey("db", snapshot) }, name)
	c := newCluster(t, nil, &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "content"},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: other, UID: "uid"},
		},
	})
	for of, want := range map[string]bool{name: false, other: true} {
		s := c.loop.sightOf(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "db"}}, group.Settings{})
		if err := s.find(t.Context(), of); err != nil {
			t.Fatal(err)
		}
		if got := s.content != nil; got != want {
			t.Errorf("VolumeGroupSnapshot %q has a content: %t, want %t", of, got, want)
		}
	}
}

func TestAContentWakesOnlyWhatIsOfTheSameStorage(t *testing.T) {
	stored := func(namespace, name, handle string) client.Object {
		return &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       snapshotv1.VolumeSnapshotContentSpec{Driver: driver, VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace}},
			Status:     &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: &handle},
		}
	}
	inGroup := func(namespace, name, handle string) client.Object {
		return &groupsnapshotv1.VolumeGroupSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
				Driver: driver, VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: namespace},
			},
			Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
				VolumeSnapshotInfoList: []groupsnapshotv1.VolumeSnapshotInfo{{SnapshotHandle: "first"}, {SnapshotHandle: handle}},
			},
		}
	}
	c := newCluster(t, nil,
		stored("alone", "a", "s"), inGroup("group", "b", "s"),
		stored("beside", "c", besides()), inGroup("beside-group", "d", besides()))
	imported := &snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
		Driver: driver, VolumeSnapshotRef: corev1.ObjectReference{Namespace: "elsewhere"},
		Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s")},
	}}
	var woken []string
	for _, r := range c.loop.contentOf(t.Context(), imported) {
		woken = append(woken, r.Name)
	}
	if diff := cmp.Diff([]string{"alone", "elsewhere", "group"}, woken); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

func TestAnImportOfAGroupWakesWhoseMembersWaitForIt(t *testing.T) {
	member := func(namespace, of, handle string) client.Object {
		return &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Spec:       snapshotv1.VolumeSnapshotContentSpec{Driver: of, VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace}},
			Status:     &snapshotv1.VolumeSnapshotContentStatus{VolumeGroupSnapshotHandle: &handle},
		}
	}
	cut := importedGroup("own", "g")
	cut.Spec.Source = groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"vol"}}
	cut.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("g")}
	c := newCluster(t, nil, member("lost", driver, "g"), member("other-group", driver, "h"), member("other-driver", "other.test", "g"))
	for name, tc := range map[string]struct {
		content *groupsnapshotv1.VolumeGroupSnapshotContent
		want    []string
	}{
		"an import wakes those that have members of the group": {importedGroup("elsewhere", "g"), []string{"elsewhere", "lost"}},
		"what was cut has its members beside it":               {cut, []string{"own"}},
	} {
		t.Run(name, func(t *testing.T) {
			var woken []string
			for _, r := range c.loop.groupContentOf(t.Context(), tc.content) {
				woken = append(woken, r.Name)
			}
			if diff := cmp.Diff(tc.want, woken); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

// contentsRead counts the VolumeSnapshotContents that lists of a cache return.
type contentsRead struct {
	client.Reader

	names []string
}

func (r *contentsRead) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := r.Reader.List(ctx, list, opts...)
	if contents, ok := list.(*snapshotv1.VolumeSnapshotContentList); ok {
		for _, c := range contents.Items {
			r.names = append(r.names, c.Name)
		}
	}
	return err
}

func TestWhatHoldsAPieceOfStorageIsFoundWithoutReadingAnythingElse(t *testing.T) {
	content := func(name, handle string, imported bool) client.Object {
		c := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: snapshotv1.VolumeSnapshotContentSpec{Driver: driver}}
		if imported {
			c.Spec.Source.SnapshotHandle = &handle
		}
		c.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: &handle}
		return c
	}
	c := newCluster(t, nil, content("own", "s", false), content("import", "s", true),
		content("beside", besides(), false), content("import-beside", besides(), true))
	read := &contentsRead{Reader: c.loop.cached}
	c.loop.cached = read
	held, err := c.loop.heldBy(t.Context(), point.Storage{Driver: driver, Snapshots: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(held) != 1 || held[0].Name != "import" {
		t.Errorf("held by %v, want the import alone", held)
	}
	if diff := cmp.Diff([]string{"import"}, read.names); diff != "" {
		t.Errorf("contents read (-want +got):\n%s", diff)
	}
}
