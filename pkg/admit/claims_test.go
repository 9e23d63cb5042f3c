package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// changedClaim changes the claim of a review.
func changedClaim(change func(*corev1.PersistentVolumeClaim)) func(*admissionv1.AdmissionRequest) {
	return func(r *admissionv1.AdmissionRequest) { r.Object.Raw = edited(r.Object.Raw, change) }
}

func edited(raw []byte, change func(*corev1.PersistentVolumeClaim)) []byte {
	var claim corev1.PersistentVolumeClaim
	err := json.Unmarshal(raw, &claim)
	change(&claim)
	raw, encodeErr := json.Marshal(claim)
	if err := errors.Join(err, encodeErr); err != nil {
		panic(err)
	}
	return raw
}

const mixed = `claim "data-0" cannot join group "db" in namespace "shop": ` +
	`[mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs"); ` +
	`to mend it, create claim "data-0" with a StorageClass of driver "b.csi" (it has "a.csi" by StorageClass "fast") or leave out its label velero.io/volume-group=db`

const wronglyLabelled = `claim "data-0" cannot join group "db2" in namespace "shop": ` +
	`[mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs"); ` +
	`to mend it, leave claim "data-0" out, since it has "a.csi" by StorageClass "fast", or give it a label velero.io/volume-group of another value`

func TestClaims(t *testing.T) {
	logs := claimObject("logs", "slow", inGroup)
	terminating := claimObject("logs", "slow", inGroup)
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
	closed := namespaceObject(nil)
	closed.Labels = nil
	for name, tc := range map[string]struct {
		file     string
		change   func(*admissionv1.AdmissionRequest)
		cached   []client.Object
		live     []client.Object
		allowed  bool
		code     int32
		message  string
		warnings []string
		series   string // webhook is claims in all
	}{
		"a claim on the group's driver is admitted": {file: "claim-create.json", cached: clusterOf(claimObject("data-1", "fast", inGroup)),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"a claim on another driver than the group is refused": {file: "claim-create.json", cached: clusterOf(logs),
			code: 403, message: mixed, series: `outcome="denied",rule="mixed-drivers"`},
		"a claim that is being deleted holds up nobody": {file: "claim-create.json", cached: clusterOf(terminating),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"an earlier claim of the same name counts no longer": {file: "claim-create.json", cached: clusterOf(claimObject("data-0", "slow", inGroup)),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"a claim that is being deleted may be labelled": {file: "claim-update.json",
			cached: clusterOf(claimObject("logs", "slow", map[string]string{group.DefaultLabelKey: "db2"}), claimObject("data-1", "fast", map[string]string{group.DefaultLabelKey: "db2"})),
			change: changedClaim(func(c *corev1.PersistentVolumeClaim) {
				c.DeletionTimestamp, c.Spec.StorageClassName = &metav1.Time{Time: noon}, new("local")
			}),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"an ungrouped claim is admitted": {file: "claim-create.json", cached: clusterOf(logs),
			change:  changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels = nil }),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"a restore is warned where others are refused": {file: "claim-create.json", cached: clusterOf(logs),
			change:  changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels[group.VeleroRestoreLabel] = "r1" }),
			allowed: true, code: 200, series: `outcome="warned",rule="mixed-drivers"`,
			warnings: []string{
				`group "db" (admitted because restore "r1" makes it): [mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs")`,
				`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim data-0 --namespace shop velero.io/volume-group-`,
			}},
		"a restore by our own command is warned where others are refused": {file: "claim-create.json", cached: clusterOf(logs),
			change:  changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels[group.RestoreLabel] = "db-1" }),
			allowed: true, code: 200, series: `outcome="warned",rule="mixed-drivers"`,
			warnings: []string{
				`group "db" (admitted because it is restored from "db-1"): [mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs")`,
				`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim data-0 --namespace shop velero.io/volume-group-`,
			}},
		"an exempt user is warned where others are refused": {file: "claim-create.json", cached: clusterOf(logs),
			change:  func(r *admissionv1.AdmissionRequest) { r.UserInfo.Username = "velero" },
			allowed: true, code: 200, series: `outcome="warned",rule="mixed-drivers"`,
			warnings: []string{
				`group "db" (admitted because user "velero" is exempt): [mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs")`,
				`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim data-0 --namespace shop velero.io/volume-group-`,
			}},
		"a label is refused, as to any other, to a claim that was restored some day": {file: "claim-update.json",
			cached: clusterOf(claimObject("data-0", "fast", inGroup), claimObject("logs", "slow", map[string]string{group.DefaultLabelKey: "db2"})),
			change: func(r *admissionv1.AdmissionRequest) {
				restored := func(c *corev1.PersistentVolumeClaim) {
					metav1.SetMetaDataLabel(&c.ObjectMeta, group.RestoreLabel, "db-1")
				}
				r.Object.Raw, r.OldObject.Raw = edited(r.Object.Raw, restored), edited(r.OldObject.Raw, restored)
			},
			code: 403, series: `outcome="denied",rule="mixed-drivers"`, message: wronglyLabelled},
		"a label is refused to a claim that it would put in the wrong group": {file: "claim-update.json",
			cached: clusterOf(claimObject("data-0", "fast", inGroup), claimObject("logs", "slow", map[string]string{group.DefaultLabelKey: "db2"})),
			code:   403, series: `outcome="denied",rule="mixed-drivers"`,
			message: wronglyLabelled},
		"other labels of a claim in a bad group may change": {file: "claim-update.json", cached: clusterOf(logs, claimObject("data-0", "fast", inGroup)),
			change: changedClaim(func(c *corev1.PersistentVolumeClaim) {
				c.Labels = map[string]string{group.DefaultLabelKey: "db", "app": "x"}
			}),
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"a namespace that the cache knows no better is read": {file: "claim-create.json", cached: append(clusterOf(logs)[1:], closed), live: []client.Object{namespaceObject(nil)},
			code: 403, message: mixed, series: `outcome="denied",rule="mixed-drivers"`},
		"a namespace that has opted out is left alone": {file: "claim-create.json", cached: append(clusterOf(logs)[1:], closed), live: []client.Object{closed},
			allowed: true, code: 200, series: `outcome="allowed",rule="none"`},
		"a namespace may have a group label of its own": {file: "claim-create.json",
			cached: append(clusterOf(claimObject("logs", "slow", map[string]string{"team": "x"}), claimObject("other", "slow", map[string]string{"team": "y"}))[1:],
				namespaceObject(map[string]string{group.LabelKeyAnnotation: "team"})),
			change: changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{"team": "x"} }),
			code:   403, message: strings.NewReplacer(`group "db"`, `group "x"`, "velero.io/volume-group=db", "team=x").Replace(mixed),
			series: `outcome="denied",rule="mixed-drivers"`},
		"a namespace that cannot be found is no denial": {file: "claim-create.json", cached: clusterOf()[1:],
			code: 500, message: `could not decide: read Namespace "shop": namespaces "shop" not found`, series: `outcome="undecided",rule="none"`},
		"a review of another kind is no denial": {file: "member-create.json", cached: clusterOf(),
			code: 400, message: `read review: resource "volumesnapshots" of API group "snapshot.storage.k8s.io" is not reviewed here`,
			series: `outcome="undecodable",rule="none"`},
		"a review of a deletion is no denial": {file: "claim-create.json", cached: clusterOf(),
			change: func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Delete },
			code:   400, message: `read review: operation "DELETE" of resource "persistentvolumeclaims" is not reviewed here`, series: `outcome="undecodable",rule="none"`},
		"a review without an object is no denial": {file: "claim-create.json", cached: clusterOf(),
			change: func(r *admissionv1.AdmissionRequest) { r.Object = runtime.RawExtension{} },
			code:   400, message: "read review: object is missing", series: `outcome="undecodable",rule="none"`},
		"an update without its old object is no denial": {file: "claim-update.json", cached: clusterOf(),
			change: func(r *admissionv1.AdmissionRequest) { r.OldObject = runtime.RawExtension{} },
			code:   400, message: "read review: oldObject is missing", series: `outcome="undecodable",rule="none"`},
		"an object that is no claim is no denial": {file: "claim-create.json", cached: clusterOf(),
			change: func(r *admissionv1.AdmissionRequest) { r.Object = runtime.RawExtension{Raw: []byte(`{"spec":7}`)} },
			code:   400, message: "read review: object: json: cannot unmarshal number into Go struct field PersistentVolumeClaim.spec of type v1.PersistentVolumeClaimSpec",
			series: `outcome="undecodable",rule="none"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.cached, tc.live...)
			f.options.ExemptUsers = []string{"velero"}
			got := f.post(t, claimsWebhook, review(t, tc.file, tc.change))
			if got.Allowed != tc.allowed || got.Result.Code != tc.code {
				t.Errorf("allowed = %t with code %d, want %t with %d", got.Allowed, got.Result.Code, tc.allowed, tc.code)
			}
			if diff := cmp.Diff(tc.message, got.Result.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(f.respond.metrics.decisions.With(labelsOf(t, "claims", tc.series))); n != 1 {
				t.Errorf("decisions{%s} = %v, want 1", tc.series, n)
			}
			if len(f.log) != 1 {
				t.Errorf("%d log lines, want 1: %q", len(f.log), f.log)
			}
		})
	}
}

// labelsOf reads labels as Prometheus writes them.
func labelsOf(t *testing.T, webhook, series string) map[string]string {
	t.Helper()
	labels := map[string]string{"webhook": webhook}
	for pair := range strings.SplitSeq(series, ",") {
		key, value, _ := strings.Cut(pair, "=")
		var text string
		if _, err := fmt.Sscanf(value, "%q", &text); err != nil {
			t.Fatalf("%q: %v", pair, err)
		}
		labels[key] = text
	}
	return labels
}

func TestADenialNamesItsRulesAsCauses(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("data-1", "fast", inGroup)))
	onSlow := changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("slow") })
	got := f.post(t, claimsWebhook, review(t, "claim-create.json", onSlow))
	var rules []metav1.CauseType
	for _, cause := range got.Result.Details.Causes {
		rules = append(rules, cause.Type)
	}
	if diff := cmp.Diff([]metav1.CauseType{"mixed-drivers", "no-default-snapshot-class", "no-group-snapshot-class"}, rules); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	if got.Result.Reason != metav1.StatusReasonForbidden || got.Result.Details.Name != "data-0" {
		t.Errorf("reason = %q of %q, want Forbidden of data-0", got.Result.Reason, got.Result.Details.Name)
	}
}

func TestNothingIsDecidedBeforeTheCacheIsSynced(t *testing.T) {
	f := newFixture(t, clusterOf())
	f.store.synced = append(f.store.synced, func() bool { return false })
	got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
	if got.Allowed || got.Result.Code != 503 || got.Result.Message != "could not decide: the cache is not synced yet" {
		t.Errorf("answer = %t, %d, %q", got.Allowed, got.Result.Code, got.Result.Message)
	}
}

func TestWhatCannotBeDecidedPassesOnceTheProductIsUninstalled(t *testing.T) {
	f := newFixture(t, clusterOf())
	f.options.Uninstalled = func(context.Context) bool { return true }
	f.store.synced = append(f.store.synced, func() bool { return false })
	got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
	if diff := cmp.Diff([]string{"snapshot-group: could not decide: the cache is not synced yet"}, got.Warnings); !got.Allowed || diff != "" {
		t.Errorf("allowed = %t, want true; warnings (-want +got):\n%s", got.Allowed, diff)
	}
	f.store.synced = nil
	onSlow := changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("slow") })
	if got := f.post(t, claimsWebhook, review(t, "claim-create.json", onSlow)); got.Allowed {
		t.Error("what the rules deny is allowed")
	}
}

func TestARestoreIsNotStoppedByWhatCannotBeDecided(t *testing.T) {
	away := interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("etcd is away")
	}}
	restored := func(key string) func(*admissionv1.AdmissionRequest) {
		return changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels[key] = "db-1" })
	}
	for name, tc := range map[string]struct {
		change   func(*admissionv1.AdmissionRequest)
		unsynced bool
		warning  string
	}{
		"a claim that Velero restores, with the API server away": {restored(group.VeleroRestoreLabel), false,
			`snapshot-group: could not decide: read Namespace "shop": etcd is away`},
		"a claim that we restore, with the API server away": {restored(group.RestoreLabel), false,
			`snapshot-group: could not decide: read Namespace "shop": etcd is away`},
		"a claim that we restore, before the cache is synced": {restored(group.RestoreLabel), true,
			"snapshot-group: could not decide: the cache is not synced yet"},
		"a claim of an exempt user": {func(r *admissionv1.AdmissionRequest) { r.UserInfo.Username = "velero" }, true,
			"snapshot-group: could not decide: the cache is not synced yet"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, clusterOf()[1:])
			f.options.ExemptUsers = []string{"velero"}
			f.facts.live = interceptor.NewClient(f.api, away)
			f.store.synced = append(f.store.synced, func() bool { return !tc.unsynced })
			got := f.post(t, claimsWebhook, review(t, "claim-create.json", tc.change))
			if diff := cmp.Diff([]string{tc.warning}, got.Warnings); !got.Allowed || diff != "" {
				t.Errorf("allowed = %t, want true; warnings (-want +got):\n%s", got.Allowed, diff)
			}
		})
	}
}

func TestADecisionIsOneLogLine(t *testing.T) {
	f := newFixture(t, clusterOf(claimObject("logs", "slow", inGroup)))
	f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
	message, err := json.Marshal(mixed)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"logger":"","level":0,"msg":"answered an admission review","webhook":"claims","decision":"denied","rule":"mixed-drivers",` +
		`"user":"admin","operation":"CREATE","namespace":"shop","object":"data-0","seconds":0,"group":"db","message":` + string(message) + `}`}
	if diff := cmp.Diff(want, f.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
