package admit

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestClasses(t *testing.T) {
	grouped := claimObject("data-0", "fast", inGroup)
	old := snapshotClassObject("a-snap", true)
	const lost = `[class-in-use] group "shop/db" could not be snapshotted without it: driver "a.csi" has no VolumeSnapshotClass, and needs one marked default`
	const unmarked = `[class-in-use] group "shop/db" could not be snapshotted without it: no VolumeSnapshotClass of driver "a.csi" is marked default`
	const key = "snapshot.storage.kubernetes.io/is-default-class"
	const mend = `to mend it, create a VolumeSnapshotClass of driver "a.csi" with annotation ` + key + `: "true"`
	const markNew = "kubectl annotate volumesnapshotclass new " + key + "=true --overwrite"
	const swap = "kubectl annotate volumesnapshotclass a-snap " + key + "- && " + markNew
	closed := namespaceObject(nil)
	closed.Labels = nil
	groups := &groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "a-groups"}, Driver: "a.csi"}
	second := &groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "b-groups"}, Driver: "a.csi"}
	elsewhere := &groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "c-groups"}, Driver: "c.csi"}
	plain := snapshotClassObject("new", false)
	unmarkedOld := clusterOf(grouped, plain)
	unmarkedOld[3] = snapshotClassObject("a-snap", false)
	testAnswers(t, "classes", map[string]answerTest{
		"a class may be created": {after: snapshotClassObject("new", false), cached: clusterOf(), code: 200, series: allowed},
		"a second default may not": {after: snapshotClassObject("new", true), cached: clusterOf(), code: 403, series: `outcome="denied",rule="second-default-class"`,
			message: `VolumeSnapshotClass "new" cannot be created: [second-default-class] driver "a.csi" has a default already: VolumeSnapshotClass "a-snap"; ` +
				`to mend it, create it without that annotation, and then change the mark: ` + swap},
		"an exempt user may make one": {after: snapshotClassObject("new", true), cached: clusterOf(), options: Options{ExemptUsers: []string{"admin"}}, code: 200,
			series: `outcome="warned",rule="second-default-class"`, warnings: []string{
				`VolumeSnapshotClass "new" (admitted because user "admin" is exempt): [second-default-class] driver "a.csi" has a default already: VolumeSnapshotClass "a-snap"`,
				`[second-default-class] to mend it, create it without that annotation, and then change the mark: kubectl annotate volumesnapshotclass a-snap ` + key +
					`- && kubectl annotate volumesnapshotclass new ...`}},
		"a class that nobody uses may go": {before: old, cached: clusterOf(), code: 200, series: allowed},
		"the last of a group is told": {before: old, cached: clusterOf(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{`VolumeSnapshotClass "a-snap": ` + lost, "[class-in-use] " + mend}},
		"it may be refused": {before: old, cached: clusterOf(grouped), options: Options{DenyClassInUse: true}, code: 403, series: `outcome="denied",rule="class-in-use"`,
			message: `VolumeSnapshotClass "a-snap" cannot be deleted: ` + lost + `; to mend it, first create a VolumeSnapshotClass of driver "a.csi" that takes its place, ` +
				`and then change the mark: ` + strings.Replace(swap, "class new", "class NEW", 1)},
		"where it is, a default is replaced by unmarking it": {before: old, after: snapshotClassObject("a-snap", false), cached: clusterOf(grouped, plain),
			options: Options{DenyClassInUse: true}, code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{`VolumeSnapshotClass "a-snap": ` + unmarked, "[class-in-use] to mend it, mark another: " + markNew}},
		"and marking another": {before: plain, after: snapshotClassObject("new", true), cached: unmarkedOld,
			options: Options{DenyClassInUse: true}, code: 200, series: allowed},
		"one that a namespace names for groups on another driver is told": {before: elsewhere, cached: append(clusterOf(grouped, elsewhere)[1:],
			namespaceObject(map[string]string{group.GroupSnapshotClassAnnotation: "c-groups"})), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "c-groups": [class-in-use] group "shop/db" could not be snapshotted without it: annotation ` +
					`snapshot-group/group-snapshot-class of the namespace names VolumeGroupSnapshotClass "c-groups", which does not exist`,
				`[class-in-use] to mend it, create it for driver "a.csi" or correct the annotation`}},
		"a second class of groups that singles none out is told": {after: second, cached: clusterOf(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "b-groups": [class-in-use] group "shop/db" could not be snapshotted with it: driver "a.csi" has 2 VolumeGroupSnapshotClasses and none is singled out: "a-groups", "b-groups"`,
				`[class-in-use] to mend it, mark the one that is used so far: kubectl annotate volumegroupsnapshotclass a-groups group` + key + `=true --overwrite`}},
		"groups of namespaces that are not opted in do not count": {before: old, cached: append(clusterOf(grouped)[1:], closed), code: 200, series: allowed},
		"the only class of groups is told": {before: groups, cached: clusterOf(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "a-groups": [class-in-use] group "shop/db" could not be snapshotted without it: driver "a.csi" has no VolumeGroupSnapshotClass; ` +
					`to mend it, create a VolumeGroupSnapshotClass of driver "a.csi"`}},
		"a review of something else is let through and told": {after: namespaceObject(nil), code: 200, series: `outcome="undecodable",rule="none"`,
			warnings: []string{`snapshot-group: read review: resource "namespaces" of API group "" is not reviewed here`}},
	})
}

func TestADeletedCollectionIsJudgedObjectByObject(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("data-0", "fast", inGroup)))
	f.options.DenyClassInUse = true
	var r admissionv1.AdmissionReview
	if err := json.Unmarshal(asked(t, nil, snapshotClassObject("a-snap", true)), &r); err != nil {
		t.Fatal(err)
	}
	r.Request.Name = "" // as the API server has it
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got := f.post(t, "classes", body)
	const want = `VolumeSnapshotClass "a-snap" cannot be deleted: [class-in-use] group "shop/db" could not be snapshotted without it: driver "a.csi" has no ` +
		`VolumeSnapshotClass, and needs one marked default; to mend it, first create a VolumeSnapshotClass of driver "a.csi" that takes its place, and then ` +
		`change the mark: kubectl annotate volumesnapshotclass a-snap snapshot.storage.kubernetes.io/is-default-class- && ` +
		`kubectl annotate volumesnapshotclass NEW snapshot.storage.kubernetes.io/is-default-class=true --overwrite`
	if diff := cmp.Diff(want, got.Result.Message); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if !strings.Contains(f.log[0], `"object":"a-snap"`) {
		t.Errorf("log line %s lacks the name of the object", f.log[0])
	}
}

func TestADefaultMayBeMarkedRightAfterTheOtherIsUnmarked(t *testing.T) {
	plain := snapshotClassObject("new", false)
	f := newFixture(t, clusterOf(plain), snapshotClassObject("a-snap", false)) // the cache has it marked
	if got := f.post(t, "classes", asked(t, snapshotClassObject("new", true), plain)); !got.Allowed {
		t.Errorf("refused: %s", got.Result.Message)
	}
}

func TestAClassTooNewForTheCacheCounts(t *testing.T) {
	all := clusterOf()
	for name, missing := range map[string]int{"a StorageClass": 1, "a VolumeSnapshotClass": 3, "a VolumeGroupSnapshotClass": 4} {
		t.Run(name, func(t *testing.T) {
			cached := slices.Delete(slices.Clone(all), missing, missing+1)
			f := newFixture(t, cached, all[missing])
			got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
			if !got.Allowed || len(got.Warnings) > 0 {
				t.Errorf("answer = %v with warnings %q, want it allowed", got.Result, got.Warnings)
			}
			if diff := cmp.Diff(map[string]string{"snapshot-group-c61f34e811ccfa4e9c9f": "a.csi, renewed"}, f.holders(t)); diff != "" {
				t.Errorf("holders of Leases (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClaimOfASettledGroupTakesNoCall(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("data-1", "fast", inGroup), leaseObject("a.csi")))
	calls := 0
	f.facts.live = interceptor.NewClient(f.api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			calls++
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			calls++
			return c.List(ctx, list, opts...)
		},
	})
	if got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil)); !got.Allowed || calls != 0 {
		t.Errorf("allowed = %t with %d calls, want true with none", got.Allowed, calls)
	}
	onSlow := changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("slow") })
	if got := f.post(t, claimsWebhook, review(t, "claim-create.json", onSlow)); got.Allowed || calls != 5 {
		t.Errorf("allowed = %t with %d calls, want false with one for each kind of class, and two for the claims", got.Allowed, calls)
	}
}
