package admit

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ownerUID is that of the VolumeGroupSnapshot which owns the member of testdata/member-create.json.
const ownerUID = "7762fe89-60ce-436b-8b8f-0211fcf767e2"

func groupSnapshotObject(uid types.UID, labels map[string]string) *groupsnapshotv1.VolumeGroupSnapshot {
	return &groupsnapshotv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-1", UID: uid, Labels: labels},
		Spec:       groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: ptr.To("a-groups")},
	}
}

// admittedMember is what admission made of a VolumeSnapshot.
type admittedMember struct {
	Labels, Annotations map[string]string
	Class               *string
}

func TestLabels(t *testing.T) {
	run := map[string]string{group.GroupLabel: "db", group.RunLabel: "20261122t150000z", group.TriggerLabel: "manual"}
	const spec = `{"storageClassName":"fast","storage":"0","labels":{"velero.io/volume-group":"db"}}`
	data := claimObject("data-0", "fast", inGroup)
	ours := admittedMember{
		Labels:      map[string]string{group.GroupLabel: "db", group.RunLabel: "20261122t150000z", group.TriggerLabel: "manual", group.ClaimLabel: "data-0"},
		Annotations: map[string]string{group.ClaimSpecAnnotation: spec},
		Class:       ptr.To("a-snap"),
	}
	noOwner := func(s *snapshotv1.VolumeSnapshot) { s.OwnerReferences = nil }
	for name, tc := range map[string]struct {
		change func(*snapshotv1.VolumeSnapshot)
		cached []client.Object
		live   []client.Object
		want   admittedMember
		series string
		log    string // the message in the log, or the error
	}{
		"a member of a run has the run's marks": {cached: clusterOf(data, groupSnapshotObject(ownerUID, run)), want: ours,
			series: `outcome="patched",rule="none"`},
		"a group snapshot too new for the cache is read": {cached: clusterOf(data), live: []client.Object{groupSnapshotObject(ownerUID, run)}, want: ours,
			series: `outcome="patched",rule="none"`},
		"an older group snapshot of the same name is not taken for it": {cached: clusterOf(data, groupSnapshotObject("old", nil)),
			live: []client.Object{groupSnapshotObject(ownerUID, run)}, want: ours, series: `outcome="patched",rule="none"`},
		"a member of Velero's has Velero's labels and no run": {
			cached: clusterOf(data, groupSnapshotObject(ownerUID, map[string]string{"velero.io/backup-name": "b", "app": "x"})),
			want: admittedMember{Labels: map[string]string{"velero.io/backup-name": "b", group.GroupLabel: "db", group.ClaimLabel: "data-0"},
				Annotations: ours.Annotations, Class: ours.Class},
			series: `outcome="patched",rule="none"`},
		"a group snapshot that is gone leaves what the claim tells": {cached: clusterOf(data), live: []client.Object{groupSnapshotObject("new", run)},
			want: admittedMember{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data-0"},
				Annotations: ours.Annotations, Class: ours.Class},
			series: `outcome="incomplete",rule="none"`,
			log:    `read VolumeGroupSnapshot "db-1": it has UID "new" and the owner has "` + ownerUID + `"`},
		"a claim that is gone leaves what the group snapshot tells": {cached: clusterOf(groupSnapshotObject(ownerUID, run)),
			want:   admittedMember{Labels: ours.Labels, Class: ours.Class},
			series: `outcome="incomplete",rule="none"`, log: `read claim "data-0": persistentvolumeclaims "data-0" not found`},
		"a snapshot of one's own is left alone": {change: noOwner, cached: clusterOf(data), series: `outcome="allowed",rule="none"`},
		"a namespace that cannot be found stops nothing": {cached: clusterOf(data)[1:], series: `outcome="undecided",rule="none"`,
			log: `could not label: read Namespace "shop": namespaces "shop" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.cached, tc.live...)
			body := review(t, "member-create.json", func(r *admissionv1.AdmissionRequest) { changeSnapshot(t, r, tc.change) })
			if diff := cmp.Diff(tc.want, admitMember(t, f, body)); diff != "" {
				t.Errorf("member (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(f.respond.metrics.decisions.With(labelsOf(t, "labels", tc.series))); n != 1 {
				t.Errorf("decisions{%s} = %v, want 1", tc.series, n)
			}
			var line struct{ Message, Error string }
			if len(f.log) != 1 || json.Unmarshal([]byte(f.log[0]), &line) != nil || line.Message+line.Error != tc.log {
				t.Errorf("log = %q, want one line with %q", f.log, tc.log)
			}
		})
	}
}

// versions notes the resourceVersion that each read asks for.
type versions struct {
	client.Reader

	asked []string
}

func (v *versions) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	options := (&client.GetOptions{}).ApplyOptions(opts)
	v.asked = append(v.asked, ptr.Deref(options.Raw, metav1.GetOptions{ResourceVersion: "newest"}).ResourceVersion)
	return v.Reader.Get(ctx, key, o, opts...)
}

func TestLabelsReadsTheClaimAloneAndWithoutEtcd(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("data-0", "fast", inGroup), groupSnapshotObject(ownerUID, nil)))
	reads := &versions{Reader: f.api}
	f.facts.live = reads
	f.post(t, labelsWebhook, review(t, "member-create.json", nil))
	if diff := cmp.Diff([]string{"0"}, reads.asked); diff != "" {
		t.Errorf("versions that were read (-want +got):\n%s", diff)
	}
}

func TestLabelsAddsNothingWhenInvokedAgain(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("data-0", "fast", inGroup), groupSnapshotObject(ownerUID, map[string]string{group.GroupLabel: "db"})))
	got := f.post(t, labelsWebhook, review(t, "member-reinvoked.json", nil))
	if !got.Allowed || got.Patch != nil {
		t.Errorf("allowed = %t with patch %s, want none", got.Allowed, got.Patch)
	}
}

func TestLabelsStopsNothingThatItCannotRead(t *testing.T) {
	for name, change := range map[string]func(*admissionv1.AdmissionRequest){
		"another operation":  func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update },
		"another resource":   func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "volumesnapshotcontents" },
		"no object":          func(r *admissionv1.AdmissionRequest) { r.Object = runtime.RawExtension{} },
		"a different object": func(r *admissionv1.AdmissionRequest) { r.Object = runtime.RawExtension{Raw: []byte(`{"spec":[]}`)} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, clusterOf())
			got := f.post(t, labelsWebhook, review(t, "member-create.json", change))
			if !got.Allowed || got.Patch != nil || got.Warnings != nil {
				t.Errorf("answer = %+v, want allowed with nothing changed", got)
			}
			if n := testutil.ToFloat64(f.respond.metrics.decisions.WithLabelValues("labels", "none", "undecodable")); n != 1 {
				t.Errorf("undecodable = %v, want 1", n)
			}
		})
	}
}

func changeSnapshot(t *testing.T, r *admissionv1.AdmissionRequest, change func(*snapshotv1.VolumeSnapshot)) {
	t.Helper()
	if change == nil {
		return
	}
	var s snapshotv1.VolumeSnapshot
	if err := json.Unmarshal(r.Object.Raw, &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r.Object.Raw = raw
}

// admitMember sends the review and applies the patch as the API server does.
func admitMember(t *testing.T, f *fixture, body []byte) admittedMember {
	t.Helper()
	got := f.post(t, labelsWebhook, body)
	if !got.Allowed {
		t.Fatalf("refused: %v", got.Result)
	}
	var r admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	object := r.Request.Object.Raw
	if got.Patch != nil {
		patch, err := jsonpatch.DecodePatch(got.Patch)
		if err != nil {
			t.Fatal(err)
		}
		if object, err = patch.Apply(object); err != nil {
			t.Fatal(err)
		}
	}
	var s snapshotv1.VolumeSnapshot
	if err := json.Unmarshal(object, &s); err != nil {
		t.Fatal(err)
	}
	return admittedMember{Labels: s.Labels, Annotations: s.Annotations, Class: s.Spec.VolumeSnapshotClassName}
}
