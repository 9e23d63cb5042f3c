package snapshotter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// bareAnchor is all that is left of a detached group of Namespace gone.
func bareAnchor() *groupsnapshotv1.VolumeGroupSnapshotContent {
	return &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name: "groupsnapcontent-u", UID: "c", Finalizers: []string{group.AnchorFinalizer},
			Labels:      map[string]string{group.GroupLabel: "pg", group.RunLabel: "20261121t120000z"},
			Annotations: map[string]string{group.GroupBeingDeletedAnnotation: "yes"},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "gone", Name: "pg-20261121t120000z-00000", UID: "u"},
			Driver:                 driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
		},
		Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("g")},
	}
}

// imported is the content of a VolumeSnapshot in Namespace elsewhere.
func imported(of string) *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "imported-" + of},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: "elsewhere", Name: "data"}, Driver: driver,
		},
		Status: &snapshotv1.VolumeSnapshotContentStatus{VolumeGroupSnapshotHandle: &of},
	}
}

// forNamespace reconciles one that is not opted in, or gone.
func (c *cluster) forNamespace(name string) {
	c.t.Helper()
	_, err := c.loop.Reconcile(c.t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	c.must(err)
}

func TestAnAnchorWhoseNamespaceIsGoneIsFreedOnceItsImportIs(t *testing.T) {
	pin := imported("g")
	c := newCluster(t, nil, bareAnchor(), pin, imported("other"))
	c.forNamespace("gone")
	if len(c.writes) != 0 {
		t.Errorf("writes %v while something else needs the storage, want none", c.writes)
	}
	c.must(c.api.Delete(t.Context(), pin))
	for content, want := range map[*snapshotv1.VolumeSnapshotContent]string{pin: "elsewhere gone", imported("other"): "elsewhere"} {
		var woken []string
		for _, r := range c.loop.contentOf(t.Context(), content) {
			woken = append(woken, r.Name)
		}
		if got := strings.Join(woken, " "); got != want {
			t.Errorf("%q wakes %q, want %q", content.Name, got, want)
		}
	}
	c.forNamespace("gone")
	if diff := cmp.Diff([]string{"patch VolumeGroupSnapshotContent", "delete VolumeGroupSnapshotContent"}, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestANamespaceThatIsNotOptedInAndHoldsNoGroupIsLookedUpAndNoMore(t *testing.T) {
	c := newCluster(t, nil, bareAnchor())
	var lists []string
	c.loop.cached = interceptor.NewClient(c.api, interceptor.Funcs{
		List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			lists = append(lists, strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1."))
			return api.List(ctx, list, opts...)
		},
	})
	c.forNamespace("another")
	if diff := cmp.Diff([]string{"VolumeGroupSnapshotContentList"}, lists); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
}
