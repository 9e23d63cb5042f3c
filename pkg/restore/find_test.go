package restore

import (
	"testing"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A name may be used again once its VolumeGroupSnapshot is gone, while what that has left on storage is retained.
func TestOfSeveralGroupSnapshotsOfANameNoneIsChosen(t *testing.T) {
	left := func(name string, hour int, going bool) client.Object {
		c := &groupsnapshotv1.VolumeGroupSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Date(2026, 8, 22, hour, 0, 0, 0, time.UTC)},
			Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
				Driver: name, VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "shop", Name: "demo"},
				Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"v"}},
			},
		}
		if going {
			c.DeletionTimestamp, c.Finalizers = ptr.To(metav1.Now()), []string{"test/keep"}
		}
		return c
	}
	const several = `2 group snapshots called "demo" were in namespace "shop", and have left VolumeGroupSnapshotContents: ` +
		`"second" of 2026-08-22T09:00:00Z, "first" of 2026-08-22T10:00:00Z: name one of these instead`
	for name, tc := range map[string]struct {
		contents []client.Object
		called   string
		driver   string // by which the content is known
		err      string
	}{
		"where there are two":           {[]client.Object{left("first", 10, false), left("second", 9, false)}, "demo", "", several},
		"but one that is called itself": {[]client.Object{left("first", 10, false), left("second", 9, false)}, "second", "second", ""},
		"but one that is not deleted":   {[]client.Object{left("first", 10, true), left("second", 9, false)}, "demo", "second", ""},
		"where all are being deleted": {[]client.Object{left("first", 10, true)}, "demo", "first",
			`restore point "demo" is being deleted: choose another`},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t).WithObjects(tc.contents...).Build()
			p, err := Find(t.Context(), c, "shop", tc.called)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.err || p.Driver != tc.driver {
				t.Errorf("found content %q, error %q; want %q and %q", p.Driver, got, tc.driver, tc.err)
			}
		})
	}
}

// One member of which too little is known stands in the way of itself alone.
func TestAMemberWhoseClaimCannotBeReadIsNoReasonToLoseTheOthers(t *testing.T) {
	c := shop(t).Build()
	vs := &snapshotv1.VolumeSnapshot{}
	if err := c.Get(t.Context(), snapKey, vs); err != nil {
		t.Fatal(err)
	}
	vs.Annotations = map[string]string{"snapshot-group/claim-spec": "{"}
	if err := c.Update(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	p, err := Find(t.Context(), c, "shop", "snap")
	if err != nil {
		t.Fatal(err)
	}
	const want = `annotation snapshot-group/claim-spec of VolumeSnapshot "snap" of claim "data" does not parse: unexpected end of JSON input`
	if m := p.Members[0]; m.Problem != want || m.Spec != nil || m.Handle != "h" {
		t.Errorf("member = %+v, want one with the problem %s", m, want)
	}
}
