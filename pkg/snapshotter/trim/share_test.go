package trim

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// copyOf is a string at an address of its own, as a decoder makes them.
func copyOf(s string) *string { return ptr.To(strings.Clone(s)) }

// memberOf is a member of claim, as the cache keeps it.
func memberOf(t *testing.T, p *Pool, claim string) *snapshotv1.VolumeSnapshot {
	t.Helper()
	kept, err := p.Snapshot(&snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Name: *copyOf("snapshot-" + claim), UID: types.UID(*copyOf("uid-" + claim)), Finalizers: []string{*copyOf(group.InGroupFinalizer)},
			Labels:          map[string]string{group.GroupLabel: *copyOf("db"), group.RunLabel: *copyOf("20261122t150000z"), group.ClaimLabel: claim},
			OwnerReferences: []metav1.OwnerReference{{Kind: group.GroupSnapshotKind, Name: *copyOf("db-20261122t150000z-1f2e3"), Controller: ptr.To(false)}},
		},
		Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
		Status: &snapshotv1.VolumeSnapshotStatus{
			BoundVolumeSnapshotContentName: copyOf("snapcontent-" + claim), VolumeGroupSnapshotName: copyOf("db-20261122t150000z-1f2e3"),
			ReadyToUse: ptr.To(true),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept.(*snapshotv1.VolumeSnapshot)
}

// contentOf is the content of memberOf, as the cache keeps it.
func contentOf(t *testing.T, p *Pool, claim string) *snapshotv1.VolumeSnapshotContent {
	t.Helper()
	kept, err := p.Content(&snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: *copyOf("snapcontent-" + claim)},
		Spec: snapshotv1.VolumeSnapshotContentSpec{VolumeSnapshotRef: corev1.ObjectReference{
			Name: *copyOf("snapshot-" + claim), UID: types.UID(*copyOf("uid-" + claim)),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept.(*snapshotv1.VolumeSnapshotContent)
}

func at[S ~string](s S) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(string(s))) }

func TestObjectsOfARestorePointShareWhatTheyAllSay(t *testing.T) {
	p := &Pool{}
	a, b, content := memberOf(t, p, "data"), memberOf(t, p, "wal"), contentOf(t, p, "data")
	for what, pair := range map[string][2]unsafe.Pointer{
		"labels":                      {reflect.ValueOf(a.Labels).UnsafePointer(), reflect.ValueOf(b.Labels).UnsafePointer()},
		"owners":                      {unsafe.Pointer(&a.OwnerReferences[0]), unsafe.Pointer(&b.OwnerReferences[0])},
		"finalizers":                  {unsafe.Pointer(&a.Finalizers[0]), unsafe.Pointer(&b.Finalizers[0])},
		"whether they are ready":      {unsafe.Pointer(a.Status.ReadyToUse), unsafe.Pointer(b.Status.ReadyToUse)},
		"the group's name":            {unsafe.Pointer(a.Status.VolumeGroupSnapshotName), unsafe.Pointer(b.Status.VolumeGroupSnapshotName)},
		"the name of group and owner": {at(*a.Status.VolumeGroupSnapshotName), at(b.OwnerReferences[0].Name)},
		"the member's name":           {at(a.Name), at(content.Spec.VolumeSnapshotRef.Name)},
		"the member's UID":            {at(a.UID), at(content.Spec.VolumeSnapshotRef.UID)},
		"the name of a member's own":  {at(*a.Status.BoundVolumeSnapshotContentName), at(content.Name)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("two objects have a copy each of %s", what)
		}
	}
}

func TestAPoolForgetsByAndBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pool{}
		first := memberOf(t, p, "data")
		<-time.After(remembered - 1) // of the bubble
		if soon := memberOf(t, p, "data"); at(soon.Name) != at(first.Name) {
			t.Error("what was seen is forgotten too early")
		}
		<-time.After(1)
		synctest.Wait()
		if late := memberOf(t, p, "data"); at(late.Name) == at(first.Name) {
			t.Error("what was seen is held for ever")
		}
	})
}

func TestManyInformersMayUseOnePool(t *testing.T) {
	p := &Pool{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				memberOf(t, p, "data")
				contentOf(t, p, "data")
				p.Forget()
			}
		})
	}
	all.Wait()
}
