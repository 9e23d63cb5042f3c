package finding

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// well is a cluster and a namespace that nothing is wrong with.
func well(t *testing.T) Facts {
	t.Helper()
	c := Cluster{
		Version: "v1.37.2", Major: 1, Minor: 37, Served: map[string][]string{}, CSIDrivers: []string{"a"}, Velero: true,
		Leases: []Lease{{Namespace: "sg", Name: LoopLease, Renewed: noon, Lasts: 15 * time.Second}},
		Programs: []Program{{Name: Controller, Workload: `Deployment "snapshot-controller" in namespace "kube-system"`, Ready: 1, Wanted: 1,
			Command: "kubectl scale deployment snapshot-controller --namespace kube-system --replicas=1"}},
		Classes: group.Classes{GroupSnapshot: []group.Class{{Name: "a-group", Driver: "a", Labelled: true}}},
	}
	c.GroupSnapshots = "v1"
	for _, api := range apis {
		c.Served[api] = []string{"v1", "v1beta2"}
	}
	ca := certificateUntil(t, noon.Add(365*24*time.Hour))
	for _, name := range wanted {
		c.Webhooks = append(c.Webhooks, Webhook{
			Name: name + WebhookSuffix, Configuration: `ValidatingWebhookConfiguration "snapshot-group"`, CABundle: ca, Service: "sg/webhook", Ready: 2,
			Fails: name == "claims",
		})
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
	return Facts{Now: noon, Cluster: c, Namespaces: []Namespace{{
		Name: "shop", OptedIn: true, Settings: group.Settings{LabelKey: group.DefaultLabelKey},
		Groups: []groups.Group{{Name: "db", Claims: []*corev1.PersistentVolumeClaim{claim},
			Facts: policy.Facts{Members: []policy.Member{{Name: "data", Driver: group.Driver{Name: "a"}}}}}},
	}}}
}

func certificateUntil(t *testing.T, end time.Time) []byte {
	t.Helper()
	return certstest.NewCA(t, end.Add(-certstest.Day), certstest.Day).PEM()
}

func TestFindings(t *testing.T) {
	snapshot := func(age time.Duration, failure string) groupsnapshotv1.VolumeGroupSnapshot {
		s := groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "db-1", UID: "u", CreationTimestamp: metav1.NewTime(noon.Add(-age))}}
		if failure != "" {
			s.Status = &groupsnapshotv1.VolumeGroupSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: &failure}}
		}
		return s
	}
	content := func(failure string) groupsnapshotv1.VolumeGroupSnapshotContent {
		c := groupsnapshotv1.VolumeGroupSnapshotContent{Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			Driver: "a", VolumeGroupSnapshotRef: corev1.ObjectReference{UID: "u"},
		}}
		if failure != "" {
			c.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{Error: &snapshotv1.VolumeSnapshotError{Message: ptr.To(failure)}}
		}
		return c
	}
	for name, tc := range map[string]struct {
		breaks func(*Facts)
		want   []string
	}{
		"nothing is wrong": {func(*Facts) {}, nil},
		"Kubernetes is too old": {func(f *Facts) { f.Cluster.Version, f.Cluster.Minor = "v1.29.0", 29 },
			[]string{"failure api-server cluster: Kubernetes is v1.29.0, older than 1.30"}},
		"a CRD is missing": {func(f *Facts) { delete(f.Cluster.Served, apis[3]) },
			[]string{"failure snapshot-crds CustomResourceDefinition volumegroupsnapshots.groupsnapshot.storage.k8s.io: it is not there"}},
		"snapshots are served in another version": {func(f *Facts) { f.Cluster.Served[apis[0]] = []string{"v1beta1"} },
			[]string{"failure snapshot-crds CustomResourceDefinition volumesnapshots.snapshot.storage.k8s.io: it is served as v1beta1, not as v1"}},
		"group snapshots are served in beta alone": {func(f *Facts) {
			f.Cluster.Served[apis[3]], f.Cluster.GroupSnapshots = []string{"v1beta1"}, "v1beta1"
		}, nil},
		"group snapshots are served in no version that is known": {func(f *Facts) {
			f.Cluster.Served[apis[3]], f.Cluster.GroupSnapshots = []string{"v1alpha1"}, ""
		}, []string{"failure snapshot-crds CustomResourceDefinitions of groupsnapshot.storage.k8s.io: " +
			"none of v1, v1beta2 and v1beta1 is served of all three; volumegroupsnapshots are served as v1alpha1"}},
		"snapshot-controller is down": {func(f *Facts) { f.Cluster.Programs[0].Ready = 0 },
			[]string{`failure snapshot-controller Deployment "snapshot-controller" in namespace "kube-system": none of its 1 Pods is ready`}},
		"it does without group snapshots": {func(f *Facts) { f.Cluster.Programs[0].Args = []string{"--feature-gates=CSIVolumeGroupSnapshot=false"} },
			[]string{`failure snapshot-controller Deployment "snapshot-controller" in namespace "kube-system": its flag --feature-gates says CSIVolumeGroupSnapshot=false`}},
		"it cannot be seen": {func(f *Facts) { f.Cluster.Programs = nil }, nil},
		"only its Lease can be seen, which has run out": {func(f *Facts) {
			f.Cluster.Programs = nil
			f.Cluster.Leases = append(f.Cluster.Leases, Lease{Namespace: "kube-system", Name: controllerLease, Renewed: noon.Add(-time.Hour), Lasts: 15 * time.Second})
		}, []string{`failure snapshot-controller Lease "snapshot-controller-leader" in namespace "kube-system": it was not renewed for 1h0m0s`}},
		"the loop does not run": {func(f *Facts) { f.Cluster.Leases[0].Renewed = time.Time{} },
			[]string{`failure loop Lease "snapshot-group-snapshotter" in namespace "sg": no replica of the loop holds it`}},
		"the product is not installed": {func(f *Facts) { f.Cluster.Leases, f.Cluster.Webhooks = nil, nil },
			[]string{"warning loop cluster: the loop is not installed", "warning webhooks cluster: the webhooks are not installed"}},
		"a webhook is missing": {func(f *Facts) { f.Cluster.Webhooks = f.Cluster.Webhooks[:6] },
			[]string{`warning webhooks ValidatingWebhookConfiguration "snapshot-group": these webhooks are missing: labels`}},
		"no Pod answers, and claims are refused": {func(f *Facts) { f.Cluster.Webhooks[0].Ready = 0 },
			[]string{`failure webhooks Service "sg/webhook": no Pod of the webhook is ready`}},
		"the CA was never written": {func(f *Facts) { f.Cluster.Webhooks[0].CABundle = nil },
			[]string{`failure certificates ValidatingWebhookConfiguration "snapshot-group": webhook "claims.snapshot-group.admission" has no caBundle`}},
		"the CA has expired": {func(f *Facts) { f.Cluster.Webhooks[0].CABundle = certificateUntil(t, noon.Add(-time.Hour)) },
			[]string{`failure certificates ValidatingWebhookConfiguration "snapshot-group": the CA in caBundle expired at 2026-08-22T11:00:00Z`}},
		"the CA should have been renewed": {func(f *Facts) { f.Cluster.Webhooks[0].CABundle = certificateUntil(t, noon.Add(24*time.Hour)) },
			[]string{`warning certificates ValidatingWebhookConfiguration "snapshot-group": the CA in caBundle expires at 2026-08-23T12:00:00Z`}},
		"a driver is not installed": {func(f *Facts) { f.Cluster.CSIDrivers = nil },
			[]string{`warning csi-driver driver "a": the cluster has no CSIDriver of this name`}},
		"Velero finds no class": {func(f *Facts) { f.Cluster.Classes.GroupSnapshot[0].Labelled = false },
			[]string{`warning velero-class driver "a": no VolumeGroupSnapshotClass of it carries the label velero.io/csi-volumegroupsnapshot-class=true`}},
		"Velero finds two": {func(f *Facts) {
			f.Cluster.Classes.GroupSnapshot = append(f.Cluster.Classes.GroupSnapshot, group.Class{Name: "b", Driver: "a", Labelled: true})
		}, []string{`warning velero-class driver "a": 2 VolumeGroupSnapshotClasses carry Velero's label: "a-group", "b"`}},
		"Velero does not know the members": {func(f *Facts) { f.Cluster.OwnerVersions = []string{"groupsnapshot.storage.k8s.io/v1"} },
			[]string{"warning velero-owner-version cluster: members refer to their VolumeGroupSnapshots as groupsnapshot.storage.k8s.io/v1"}},
		"without Velero, its label and versions are nobody's concern": {func(f *Facts) {
			f.Cluster.Velero, f.Cluster.Classes.GroupSnapshot[0].Labelled, f.Cluster.OwnerVersions = false, false, []string{"v1"}
		}, nil},
		"no claim is in a group": {func(f *Facts) { f.Namespaces[0].Groups = nil },
			[]string{`warning groups namespace "shop": no claim carries the label velero.io/volume-group`}},
		"a claim may have been misspelt out of its group": {func(f *Facts) {
			other := f.Namespaces[0].Groups[0]
			other.Name, other.Claims = "dbb", append(other.Claims, other.Claims...)
			f.Namespaces[0].Groups = append(f.Namespaces[0].Groups, other)
		}, []string{`warning groups group "db" in namespace "shop": claim "data" is alone in it`}},
		"a claim is not bound": {func(f *Facts) { f.Namespaces[0].Groups[0].Claims[0].Status.Phase = corev1.ClaimPending },
			[]string{`failure unbound-claim group "db" in namespace "shop": claim "data" is not bound`}},
		"the last run failed": {func(f *Facts) {
			f.Namespaces[0].Annotations = map[string]string{group.LastRunAnnotation: group.LastRun{
				ID: "20260822t110000z", Time: noon.Add(-time.Hour), Outcome: group.Failed, Message: `group "db": full`}.String()}
		}, []string{`failure last-run namespace "shop": run 20260822t110000z of 2026-08-22T11:00:00Z failed: group "db": full`}},
		"the last run succeeded": {func(f *Facts) {
			f.Namespaces[0].Annotations = map[string]string{group.LastRunAnnotation: group.LastRun{ID: "1", Outcome: group.Succeeded}.String()}
		}, nil},
		"the last run cannot be read": {func(f *Facts) {
			f.Namespaces[0].Annotations = map[string]string{group.LastRunAnnotation: "mine"}
		}, []string{`failure bad-annotation namespace "shop": annotation "snapshot-group/last-run" has value "mine": must be what the loop wrote: ` +
			`invalid character 'm' looking for beginning of value`}},
		"expiry is paused": {func(f *Facts) {
			f.Namespaces[0].Annotations = map[string]string{group.ExpiryPausedAnnotation: "99 would expire: kubectl annotate namespace shop a=b; else correct c"}
		}, []string{`warning expiry-paused namespace "shop": 99 would expire: kubectl annotate namespace shop a=b; else correct c`}},
		"there are orphans": {func(f *Facts) {
			content := &point.Content{Object: point.Object{Name: "c"}}
			f.Namespaces[0].Orphans = []point.Orphan{{Kind: point.OrphanAnchor, Content: content}, {Kind: point.OrphanContent, Content: content},
				{Kind: point.OrphanMember, Snapshot: point.Object{Name: "m"}}}
		}, []string{`warning orphan VolumeGroupSnapshotContent "c" of namespace "shop": the members of its restore point are gone`,
			`warning orphan VolumeGroupSnapshotContent "c" of namespace "shop": its VolumeGroupSnapshot is gone`,
			`warning orphan VolumeSnapshot "m" in namespace "shop": its VolumeGroupSnapshotContent is gone`}},
		"what a run is making is no orphan": {func(f *Facts) {
			f.Namespaces[0].Annotations = map[string]string{group.LastRunAnnotation: group.LastRun{ID: "1", Outcome: group.Running}.String()}
			f.Namespaces[0].Orphans = []point.Orphan{{Kind: point.OrphanMember}}
		}, nil},
		"snapshot-controller fails": {func(f *Facts) {
			f.Namespaces[0].Snapshots = []groupsnapshotv1.VolumeGroupSnapshot{snapshot(time.Second, "no such class")}
		},
			[]string{`failure group-snapshot VolumeGroupSnapshot "db-1" in namespace "shop": snapshot-controller fails: no such class`}},
		"the driver fails": {func(f *Facts) {
			f.Namespaces[0].Snapshots = []groupsnapshotv1.VolumeGroupSnapshot{snapshot(time.Second, "")}
			f.Namespaces[0].Contents = []groupsnapshotv1.VolumeGroupSnapshotContent{content("full")}
		}, []string{`failure group-snapshot VolumeGroupSnapshot "db-1" in namespace "shop": the driver fails: full`}},
		"nobody answers yet": {func(f *Facts) {
			f.Namespaces[0].Snapshots = []groupsnapshotv1.VolumeGroupSnapshot{snapshot(time.Second, "")}
		}, nil},
		"nobody answers": {func(f *Facts) {
			f.Namespaces[0].Snapshots = []groupsnapshotv1.VolumeGroupSnapshot{snapshot(time.Hour, "")}
		},
			[]string{`failure group-snapshot VolumeGroupSnapshot "db-1" in namespace "shop": nobody has answered it for 1h0m0s`}},
		"csi-snapshotter does not answer": {func(f *Facts) {
			f.Namespaces[0].Snapshots = []groupsnapshotv1.VolumeGroupSnapshot{snapshot(time.Hour, "")}
			f.Namespaces[0].Contents = []groupsnapshotv1.VolumeGroupSnapshotContent{content("")}
		}, []string{`failure group-snapshot VolumeGroupSnapshot "db-1" in namespace "shop": csi-snapshotter of driver "a" has not answered it for 1h0m0s`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := well(t)
			tc.breaks(&f)
			var got []string
			for _, found := range All(f) {
				if found.Severity == Passed {
					continue
				}
				got = append(got, string(found.Severity)+" "+found.Check+" "+found.Where+": "+found.What)
				if found.Why == "" || found.Mend == "" {
					t.Errorf("it does not say why, or what to do: %+v", found)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheWorstFindingDecides(t *testing.T) {
	ok, warning, failure := Finding{Severity: Passed}, Finding{Severity: Warning}, Finding{Severity: Failure}
	for name, tc := range map[string]struct {
		all  []Finding
		want Severity
	}{
		"none":      {nil, Passed},
		"all well":  {[]Finding{ok}, Passed},
		"a warning": {[]Finding{ok, warning, ok}, Warning},
		"a failure": {[]Finding{failure, warning}, Failure},
	} {
		if got := Worst(tc.all); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// Every rule that a check may find broken says why it is there.
func TestEveryRuleHasAReason(t *testing.T) {
	for _, r := range policy.Rules {
		switch r.ID {
		case "member-of-group", "class-in-use": // about deletions, which no check sees
			continue
		case "unbound-claim": // a check has its own
			continue
		}
		if whys[r.ID] == "" {
			t.Errorf("rule %s has no reason", r.ID)
		}
	}
}
