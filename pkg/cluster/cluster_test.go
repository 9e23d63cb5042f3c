package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// lists is a client that lists one class of each kind, but for that which it fails to list.
type lists struct {
	client.Reader
	fails client.ObjectList
}

func (l lists) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	if l.fails != nil && Kinds(l.fails) == Kinds(into) {
		return errors.New("the API server is down")
	}
	switch of := into.(type) {
	case *storagev1.StorageClassList:
		of.Items = []storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}, {ObjectMeta: metav1.ObjectMeta{Name: "slow"}}}
	case *snapshotv1.VolumeSnapshotClassList:
		of.Items = []snapshotv1.VolumeSnapshotClass{{ObjectMeta: metav1.ObjectMeta{Name: "single"}, Driver: "a"}}
	case *groupsnapshotv1.VolumeGroupSnapshotClassList:
		of.Items = []groupsnapshotv1.VolumeGroupSnapshotClass{{ObjectMeta: metav1.ObjectMeta{Name: "groups"}, Driver: "a"}}
	}
	return nil
}

func TestClassesAreThoseOfAllThreeKinds(t *testing.T) {
	got, err := Classes(t.Context(), lists{})
	if err != nil {
		t.Fatal(err)
	}
	want := group.Classes{
		Storage: group.StorageClassList{
			{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}, {ObjectMeta: metav1.ObjectMeta{Name: "slow"}},
		},
		Snapshot:      []group.Class{{Name: "single", Driver: "a"}},
		GroupSnapshot: []group.Class{{Name: "groups", Driver: "a"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}

func TestAKindThatCannotBeListedIsNamed(t *testing.T) {
	for want, fails := range map[string]client.ObjectList{
		"list StorageClasses: the API server is down":             &storagev1.StorageClassList{},
		"list VolumeSnapshotClasses: the API server is down":      &snapshotv1.VolumeSnapshotClassList{},
		"list VolumeGroupSnapshotClasses: the API server is down": &groupsnapshotv1.VolumeGroupSnapshotClassList{},
	} {
		if _, err := Classes(t.Context(), lists{fails: fails}); err == nil || err.Error() != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

func TestKindsAreCalledAsAPersonCallsThem(t *testing.T) {
	metadata := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}}
	for want, of := range map[string]runtime.Object{
		"StorageClasses":       &storagev1.StorageClassList{},
		"VolumeSnapshots":      &snapshotv1.VolumeSnapshot{},
		"VolumeGroupSnapshots": &groupsnapshotv1.VolumeGroupSnapshotList{},
		"ConfigMaps":           metadata,
	} {
		if got := Kinds(of); got != want {
			t.Errorf("kinds of %T = %q, want %q", of, got, want)
		}
	}
}
