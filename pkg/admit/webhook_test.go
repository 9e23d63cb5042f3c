package admit

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// asked is a review of an object as it would become and as it was; either may be nil.
func asked(t *testing.T, after, before client.Object) []byte {
	t.Helper()
	r := &admissionv1.AdmissionRequest{UID: "u", UserInfo: authenticationv1.UserInfo{Username: "admin"}}
	object := after
	switch {
	case before == nil:
		r.Operation = admissionv1.Create
	case after == nil:
		r.Operation, object = admissionv1.Delete, before
	default:
		r.Operation = admissionv1.Update
	}
	r.Name, r.Namespace = object.GetName(), object.GetNamespace()
	r.Resource = map[string]metav1.GroupVersionResource{
		"*v1.Namespace":                {Version: "v1", Resource: "namespaces"},
		"*v1.VolumeSnapshot":           {Group: group.SnapshotAPIGroup, Version: "v1", Resource: "volumesnapshots"},
		"*v1.VolumeSnapshotClass":      {Group: group.SnapshotAPIGroup, Version: "v1", Resource: "volumesnapshotclasses"},
		"*v1.VolumeGroupSnapshot":      {Group: group.GroupSnapshotAPIGroup, Version: "v1beta1", Resource: "volumegroupsnapshots"},
		"*v1.VolumeGroupSnapshotClass": {Group: group.GroupSnapshotAPIGroup, Version: "v1beta2", Resource: "volumegroupsnapshotclasses"},
	}[typeName(object)]
	for _, o := range []struct {
		from client.Object
		into *runtime.RawExtension
	}{{after, &r.Object}, {before, &r.OldObject}} {
		if o.from == nil {
			continue
		}
		raw, err := json.Marshal(o.from)
		if err != nil {
			t.Fatal(err)
		}
		o.into.Raw = raw
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: r})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func typeName(o client.Object) string {
	switch o.(type) {
	case *corev1.Namespace:
		return "*v1.Namespace"
	case *snapshotv1.VolumeSnapshot:
		return "*v1.VolumeSnapshot"
	case *snapshotv1.VolumeSnapshotClass:
		return "*v1.VolumeSnapshotClass"
	case *groupsnapshotv1.VolumeGroupSnapshot:
		return "*v1.VolumeGroupSnapshot"
	default:
		return "*v1.VolumeGroupSnapshotClass"
	}
}

func snapshotClassObject(name string, isDefault bool) *snapshotv1.VolumeSnapshotClass {
	c := &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Driver: "a.csi"}
	if isDefault {
		c.Annotations = map[string]string{group.DefaultSnapshotClassAnnotation: "true"}
	}
	return c
}

func selecting(class string, labels map[string]string) *groupsnapshotv1.VolumeGroupSnapshot {
	return &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}, Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{
		VolumeGroupSnapshotClassName: ptr.To(class), Source: groupsnapshotv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{MatchLabels: labels}}}}
}

func memberOf(owner string) *snapshotv1.VolumeSnapshot {
	s := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "m"}}
	if owner != "" {
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "groupsnapshot.storage.k8s.io/v1beta2", Kind: "VolumeGroupSnapshot", Name: "db-1", UID: ownerUID}}
	}
	return s
}

// answerTest is a review, the cluster it comes from, and all that the answer says.
type answerTest struct {
	after, before client.Object
	cached, live  []client.Object
	options       Options
	code          int32
	message       string
	warnings      []string
	series        string
}

func testAnswers(t *testing.T, webhook string, cases map[string]answerTest) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.cached, tc.live...)
			f.options = tc.options
			got := f.post(t, webhook, asked(t, tc.after, tc.before))
			if got.Result.Code != tc.code || got.Allowed != (tc.code == 200) {
				t.Errorf("allowed = %t with code %d, want code %d", got.Allowed, got.Result.Code, tc.code)
			}
			if diff := cmp.Diff(tc.message, got.Result.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(f.respond.metrics.decisions.With(labelsOf(t, webhook, tc.series))); n != 1 {
				t.Errorf("decisions{%s} = %v, want 1", tc.series, n)
			}
		})
	}
}

const allowed = `outcome="allowed",rule="none"`

func TestNamespaces(t *testing.T) {
	bad := namespaceObject(map[string]string{group.ModeAnnotation: "audit", group.SuspendAnnotation: "no"})
	closed := bad.DeepCopy()
	closed.Labels = nil
	going := bad.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{Time: noon}
	restored := bad.DeepCopy()
	restored.Labels[group.VeleroRestoreLabel] = "r1"
	const why = `Namespace "shop" cannot have these annotations: [bad-annotation] annotation "snapshot-group/suspend" has value "no": must be one of true, false; ` +
		`to mend it, correct it, or leave it out for the default`
	const refused, there = why + "; nothing was changed", why + ": kubectl annotate namespace shop snapshot-group/suspend-"
	testAnswers(t, "namespaces", map[string]answerTest{
		"a good one is admitted":                   {after: namespaceObject(nil), code: 200, series: allowed},
		"a bad one is refused, whatever its mode":  {after: bad, code: 403, message: refused, series: `outcome="denied",rule="bad-annotation"`},
		"a bad annotation is not added":            {after: bad, before: namespaceObject(nil), code: 403, message: refused, series: `outcome="denied",rule="bad-annotation"`},
		"a bad one is not opted in":                {after: bad, before: closed, code: 403, message: there, series: `outcome="denied",rule="bad-annotation"`},
		"a bad one may be opted out":               {after: closed, before: bad, code: 200, series: allowed},
		"a bad one of old may have another change": {after: restored, before: bad, code: 200, series: allowed},
		"a bad one may be deleted":                 {after: going, before: namespaceObject(nil), code: 200, series: allowed},
		"a schedule without an end is told": {after: namespaceObject(map[string]string{group.ScheduleAnnotation: "@daily"}), code: 200, series: `outcome="warned",rule="no-retention"`,
			warnings: []string{`Namespace "shop": [no-retention] schedule "@daily" makes restore points and nothing expires them; to mend it, say how many to keep: kubectl annotate namespace shop snapshot-group/keep=hourly=24,daily=7`}},
		"a restore is warned": {after: restored, code: 200, series: `outcome="warned",rule="bad-annotation"`, warnings: []string{
			`Namespace "shop" (admitted because restore "r1" makes it): [bad-annotation] annotation "snapshot-group/suspend" has value "no": must be one of true, false`,
			`[bad-annotation] to mend it, correct it, or leave it out for the default: kubectl annotate namespace shop snapshot-group/suspend-`}},
		"a review of something else is let through and told": {after: memberOf(""), code: 200, series: `outcome="undecodable",rule="none"`,
			warnings: []string{`snapshot-group: read review: resource "volumesnapshots" of API group "snapshot.storage.k8s.io" is not reviewed here`}},
	})
}

func TestGroupSnapshots(t *testing.T) {
	bound := func(name, class string) client.Object {
		c := claimObject(name, class, inGroup)
		c.Status.Phase = corev1.ClaimBound
		return c
	}
	const none = `VolumeGroupSnapshot "s" in namespace "shop": [selects-nothing] no claim of the namespace has the labels velero.io/volume-group=db; ` +
		`to mend it, see which labels they have: kubectl get persistentvolumeclaims --namespace shop --show-labels`
	static := selecting("a-groups", inGroup)
	static.Spec.Source = groupsnapshotv1.VolumeGroupSnapshotSource{VolumeGroupSnapshotContentName: ptr.To("c")}
	closed := namespaceObject(nil)
	closed.Labels = nil
	inMode := func(mode string) []client.Object {
		objects := clusterOf()
		objects[0] = namespaceObject(map[string]string{group.ModeAnnotation: mode})
		return objects
	}
	testAnswers(t, "groupsnapshots", map[string]answerTest{
		"one of bound claims is admitted":           {after: selecting("a-groups", inGroup), cached: clusterOf(bound("data", "fast")), code: 200, series: allowed},
		"one of content that is there selects none": {after: static, cached: clusterOf(), code: 200, series: allowed},
		"claims too new for the cache are read":     {after: selecting("a-groups", inGroup), cached: clusterOf(), live: []client.Object{bound("data", "fast")}, code: 200, series: allowed},
		"a class too new for the cache is read": {after: selecting("new", inGroup), cached: clusterOf(bound("data", "fast")), code: 200, series: allowed,
			live: []client.Object{&groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Driver: "a.csi"}}},
		"one of nothing is refused": {after: selecting("a-groups", inGroup), cached: clusterOf(), code: 403, series: `outcome="denied",rule="selects-nothing"`,
			message: `VolumeGroupSnapshot "s" in namespace "shop" cannot be created` + none[len(`VolumeGroupSnapshot "s" in namespace "shop"`):]},
		"in mode warn it is told": {after: selecting("a-groups", inGroup), cached: inMode("warn"), code: 200, series: `outcome="warned",rule="selects-nothing"`,
			warnings: []string{
				`VolumeGroupSnapshot "s" in namespace "shop" (admitted because of mode warn): [selects-nothing] no claim of the namespace has the labels velero.io/volume-group=db`,
				`[selects-nothing] to mend it, see which labels they have: kubectl get persistentvolumeclaims --namespace shop --show-labels`}},
		"in mode audit it is counted":           {after: selecting("a-groups", inGroup), cached: inMode("audit"), code: 200, series: `outcome="audited",rule="selects-nothing"`},
		"a namespace that opted out is its own": {after: selecting("a-groups", inGroup), cached: append(clusterOf()[1:], closed), code: 200, series: allowed},
		"a claim of another driver is refused": {after: selecting("a-groups", inGroup), cached: clusterOf(bound("data", "fast"), bound("logs", "slow")), code: 403,
			series: `outcome="denied",rule="class-mismatch"`,
			message: `VolumeGroupSnapshot "s" in namespace "shop" cannot be created: [class-mismatch] VolumeGroupSnapshotClass "a-groups" is of driver "a.csi", ` +
				`which is not that of claim "logs"; to mend it, select claims of that driver alone, or name a class of the claims' driver`},
		"a namespace that is not there cannot be judged": {after: selecting("a-groups", inGroup), cached: clusterOf()[1:], code: 200, series: `outcome="undecided",rule="none"`,
			warnings: []string{`snapshot-group: could not decide: read Namespace "shop": namespaces "shop" not found`}},
	})
}

func TestMembers(t *testing.T) {
	lives := groupSnapshotObject(ownerUID, nil)
	going := groupSnapshotObject(ownerUID, nil)
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: noon}, []string{"f"}
	namespaceGoing := namespaceObject(nil)
	namespaceGoing.DeletionTimestamp, namespaceGoing.Finalizers = &metav1.Time{Time: noon}, []string{"f"}
	memberGoing := memberOf("db-1")
	memberGoing.DeletionTimestamp = &metav1.Time{Time: noon}
	testAnswers(t, "members", map[string]answerTest{
		"a member alone may not go": {before: memberOf("db-1"), cached: clusterOf(lives), code: 403, series: `outcome="denied",rule="member-of-group"`,
			message: `VolumeSnapshot "m" in namespace "shop" cannot be deleted: [member-of-group] it is a member of VolumeGroupSnapshot "db-1", without which it cannot go: ` +
				`it would hang in Terminating; to mend it, delete the whole, upon which all of its members go: kubectl delete volumegroupsnapshot db-1 --namespace shop`},
		"a snapshot on its own may":                      {before: memberOf(""), cached: clusterOf(lives), code: 200, series: allowed},
		"a member may go after its group":                {before: memberOf("db-1"), cached: clusterOf(), code: 200, series: allowed},
		"a member may go after the group of its name":    {before: memberOf("db-1"), cached: clusterOf(groupSnapshotObject("new", nil)), code: 200, series: allowed},
		"a member goes with its group":                   {before: memberOf("db-1"), cached: clusterOf(lives), live: []client.Object{going}, code: 200, series: allowed},
		"a member goes with its namespace":               {before: memberOf("db-1"), cached: clusterOf(lives), live: []client.Object{namespaceGoing}, code: 200, series: allowed},
		"a member may go after its namespace":            {before: memberOf("db-1"), cached: clusterOf(lives)[1:], code: 200, series: allowed},
		"a member that is going goes on":                 {before: memberGoing, cached: clusterOf(lives), code: 200, series: allowed},
		"only a deletion is looked at":                   {after: memberOf("db-1"), cached: clusterOf(lives), code: 200, series: `outcome="undecodable",rule="none"`, warnings: []string{`snapshot-group: read review: operation "CREATE" of resource "volumesnapshots" is not reviewed here`}},
		"a restore's label does not free a member of it": {before: withLabel(memberOf("db-1"), group.VeleroRestoreLabel), cached: clusterOf(lives), code: 403, series: `outcome="denied",rule="member-of-group"`, message: `VolumeSnapshot "m" in namespace "shop" cannot be deleted: [member-of-group] it is a member of VolumeGroupSnapshot "db-1", without which it cannot go: it would hang in Terminating; to mend it, delete the whole, upon which all of its members go: kubectl delete volumegroupsnapshot db-1 --namespace shop`},
	})
}

func withLabel(s *snapshotv1.VolumeSnapshot, key string) *snapshotv1.VolumeSnapshot {
	s.Labels = map[string]string{key: "x"}
	return s
}

func TestAnAuditedRequestIsInTheAuditLog(t *testing.T) {
	f := newFixture(t, append(clusterOf(claimObject("logs", "slow", inGroup))[1:], namespaceObject(map[string]string{group.ModeAnnotation: "audit"})))
	got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
	want := map[string]string{"mixed-drivers": `its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs"); ` +
		`to mend it, take it out of the group: kubectl label persistentvolumeclaim data-0 --namespace shop velero.io/volume-group-`}
	if diff := cmp.Diff(want, got.AuditAnnotations); diff != "" || !got.Allowed || got.Warnings != nil {
		t.Errorf("allowed = %t, warnings %q, audit annotations (-want +got):\n%s", got.Allowed, got.Warnings, diff)
	}
}

func TestNothingButClaimsWaitsForTheCache(t *testing.T) {
	for webhook, review := range map[string][]byte{
		"classes":        asked(t, snapshotClassObject("new", true), nil),
		"groupsnapshots": asked(t, selecting("a-groups", inGroup), nil),
	} {
		t.Run(webhook, func(t *testing.T) {
			f := newFixture(t, clusterOf())
			f.store.synced = append(f.store.synced, func() bool { return false })
			got := f.post(t, webhook, review)
			if diff := cmp.Diff([]string{"snapshot-group: could not decide: the cache is not synced yet"}, got.Warnings); diff != "" || !got.Allowed {
				t.Errorf("allowed = %t, warnings (-want +got):\n%s", got.Allowed, diff)
			}
		})
	}
}
