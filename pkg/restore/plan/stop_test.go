package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Whatever happens in between, no claim goes before what it is replaced by is ready and what it holds is safe.
func TestARestoreInPlaceStops(t *testing.T) {
	deleting := func(o *Observed) { o.Claims["data"].DeletionTimestamp = &metav1.Time{Time: noon} }
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   string
	}{
		"where a member is no longer ready": {func(o *Observed) {
			o.Point.Members[0].Problem = `VolumeSnapshot "s-data" of claim "data" is being deleted`
		},
			`VolumeSnapshot "s-data" of claim "data" is being deleted; see to it that it is ready`},
		"where a member is gone": {func(o *Observed) { o.Point.Members = o.Point.Members[1:] },
			`member "s-data" of claim "data" is gone; see to it that it is ready`},
		"where somebody else made the claim anew": {func(o *Observed) { o.Claims["data"].UID = "foreign" },
			`claim "data" was made by somebody else while it was being replaced; delete it: kubectl delete persistentvolumeclaim data --namespace shop`},
		"where a claim got its volume since": {func(o *Observed) {
			o.Volumes["pv-late"] = volume("pv-late")
			o.Claims["data"].Spec.VolumeName = "pv-late"
		}, `claim "data" got volume "pv-late" after the restore began, which is not secured; give this restore up and begin it again`},
		"not where the volume of a claim was not there from the beginning": {func(o *Observed) {
			o.Volumes, o.Journal.Claims[0].Volume = nil, ""
		}, `delete claim "data"`},
		"where the safety snapshot is gone when claims are": {func(o *Observed) { o.Safety = nil; deleting(o) },
			`the safety snapshot "db-safety-20260822t120000z-beb28" is gone, and claims that it held are deleted already; to go on without it, add --without-safety-snapshot`},
		"not where the safety snapshot fails, it waits and says how to do without": {func(o *Observed) {
			o.Safety.Lacks, o.Safety.Failed = "the driver takes no group snapshots", true
		}, `wait for safety snapshot "db-safety-20260822t120000z-beb28" to be complete: the driver takes no group snapshots; ` +
			`to do without it, end this and add --without-safety-snapshot`},
		"not where the safety snapshot lacks a claim, it waits": {func(o *Observed) { o.Safety.Covers = []string{"data"} },
			`wait for safety snapshot "db-safety-20260822t120000z-beb28" to be complete: it has no member of claim "logs"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := secured(t)
			tc.change(&o)
			if diff := cmp.Diff(tc.want, Next(o).String()); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

// A Pod that will not end by itself is not waited for.
func TestARestoreInPlaceStopsForPodsOfOthers(t *testing.T) {
	web := Workload{Kind: "Deployment", Name: "web", UID: "web", Replicas: 1}
	pod := func(p Pod) []Pod {
		p.Name, p.Claims = "x", []string{"data"}
		return []Pod{p}
	}
	const scaleWeb = `Pod "x" of Deployment "web" uses a claim that is to be replaced, and that was at 0, or another of its name, when the restore began; ` +
		`scale it to 0: kubectl scale deployment web --replicas=0 --namespace shop`
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   string
	}{
		"of nobody": {func(o *Observed) { o.Pods = pod(Pod{}) },
			`Pod "x" uses a claim that is to be replaced, and was not there when the restore began; delete it`},
		"of a DaemonSet": {func(o *Observed) { o.Pods = pod(Pod{Owner: `DaemonSet "agent"`}) },
			`Pod "x" uses a claim that is to be replaced, and was not there when the restore began; delete or scale down DaemonSet "agent"`},
		"of a workload that was at 0": {func(o *Observed) {
			o.Workloads, o.Pods = append(o.Workloads, web), pod(Pod{Workload: web.String()})
		}, scaleWeb},
		"of another workload of the name": {func(o *Observed) {
			o.Workloads, o.Pods = append(o.Workloads, web), pod(Pod{Workload: web.String()})
			o.Journal.Workloads = append(o.Journal.Workloads, Scaled{Kind: "Deployment", Name: "web", UID: "before", Replicas: 1})
		}, scaleWeb},
		"not where they are on their way out": {func(o *Observed) {
			idle := web
			idle.Replicas = 0
			o.Workloads, o.Pods = append(o.Workloads, idle), pod(Pod{Workload: web.String()})
		}, `wait for Pod "x" to end`},
	} {
		t.Run(name, func(t *testing.T) {
			o := begun(t, func(o *Observed) { o.Unsafe = true })
			for range 4 { // volumes are kept, and the application is at rest
				do(&o, Next(o))
			}
			tc.change(&o)
			if diff := cmp.Diff(tc.want, Next(o).String()); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWaitSaysWhereToLook(t *testing.T) {
	o := begun(t, nil)
	got := map[string]string{}
	for step := Next(o); do(&o, step); step = Next(o) {
		if w, is := step.(Wait); is {
			got[w.For] = w.See
		}
	}
	want := map[string]string{
		`Pod "mysql-0" to end`: "kubectl describe pod mysql-0 --namespace shop",
		`safety snapshot "db-safety-20260822t120000z-beb28" to be complete: it is being taken`: "kubectl describe volumegroupsnapshot " +
			"db-safety-20260822t120000z-beb28 --namespace shop",
		`claim "data" to be deleted`: "kubectl describe persistentvolumeclaim data --namespace shop",
		`claim "logs" to be deleted`: "kubectl describe persistentvolumeclaim logs --namespace shop",
		`claim "logs" to be bound`:   "kubectl describe persistentvolumeclaim logs --namespace shop",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("where to look (-want +got):\n%s", diff)
	}
}
