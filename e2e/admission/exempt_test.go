package admission_test

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestARestoreIsNeverRefused(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "restored", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-b", labelled(group.VeleroRestoreLabel, "monday"))))
	u.wasWarned(t,
		`group "db" (admitted because restore "monday" makes it): [mixed-drivers] its claims are on 2 drivers and one group snapshot`+
			` is taken by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs")`,
		`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim logs --namespace restored velero.io/volume-group-`)
}

func TestAnExemptUserIsNeverRefused(t *testing.T) {
	u, exempt := newUser(t, ""), newUser(t, velero)
	ns := namespace(t, u, "exempt", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	admitted(t, exempt.Create(t.Context(), claim(ns, "logs", "csi-b")))
	exempt.wasWarned(t,
		`group "db" (admitted because user "system:serviceaccount:velero:velero" is exempt): [mixed-drivers] its claims are on 2 drivers`+
			` and one group snapshot is taken by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs")`,
		`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim logs --namespace exempt velero.io/volume-group-`)
}

func TestADryRunIsAnsweredAndChangesNothing(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "dry-run", nil)
	admitted(t, u.dryRun(t.Context(), claim(ns, "logs", "csi-b")))
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a"))) // the dry run has not settled the group's driver
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	err := u.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "logs"}, &corev1.PersistentVolumeClaim{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("get a claim that was only tried: %v, want not found", err)
	}
}

func TestALabelPutsAClaimIntoAGroup(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "relabel", nil)
	forTheTest(t, u, csiVolume("relabel-pv", "csi-b.test"))
	logs := claim(ns, "logs", "", onVolume("relabel-pv"), withoutGroup, labelled(group.VeleroRestoreLabel, "monday")) // restored some day: no exception
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	admitted(t, u.Create(t.Context(), logs))
	refused(t, u.label(t, logs, group.DefaultLabelKey, "db"), deniedBy(claimsWebhook,
		`claim "logs" cannot join group "db" in namespace "relabel": [mixed-drivers] its claims are on 2 drivers and one group snapshot is`+
			` taken by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs"); to mend it, leave claim "logs" out, since it has`+
			` "csi-b.test" by PersistentVolume "relabel-pv", or give it a label velero.io/volume-group of another value`, "mixed-drivers"))
	admitted(t, u.label(t, logs, group.DefaultLabelKey, "logs"))
}

func TestAClaimOfABadGroupCanStillBeEdited(t *testing.T) {
	u, exempt := newUser(t, ""), newUser(t, velero)
	ns := namespace(t, u, "bad-group", nil)
	logs := claim(ns, "logs", "csi-b")
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	admitted(t, exempt.Create(t.Context(), logs))
	u.eventuallyRefused(t, claim(ns, "more", "csi-a"), deniedBy(claimsWebhook,
		`claim "more" cannot join group "db" in namespace "bad-group": [mixed-drivers] its claims are on 2 drivers and one group snapshot is`+
			` taken by one driver: "csi-a.test" (claims "data", "more"), "csi-b.test" (claim "logs"); to mend it, take out those that are not`+
			` on "csi-a.test": kubectl label persistentvolumeclaim logs --namespace bad-group velero.io/volume-group-`, "mixed-drivers"))
	admitted(t, u.label(t, logs, "app", "db"))
	admitted(t, u.label(t, logs, group.DefaultLabelKey, ""))
	eventually(t, "the group to be good again", func() error { return u.dryRun(t.Context(), claim(ns, "more", "csi-a")) })
	u.wasWarned(t)
}

func TestAClaimInTerminatingHoldsUpNoSuccessor(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "terminating", nil)
	data := claim(ns, "data", "csi-a", func(c *corev1.PersistentVolumeClaim) { c.Finalizers = []string{"e2e.test/hold"} })
	admitted(t, u.Create(t.Context(), data))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	must(t, u.Delete(t.Context(), data))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), deniedBy(claimsWebhook,
		`claim "logs" cannot join group "db" in namespace "terminating": [mixed-drivers] Lease "snapshot-group-c61f34e811ccfa4e9c9f" holds it for`+
			` driver "csi-a.test": a claim on it was admitted, or the last one went, less than two minutes ago; to mend it, try again in two`+
			` minutes, or create claim "logs" with a StorageClass of driver "csi-a.test", or, if this lasts: kubectl delete lease`+
			` snapshot-group-c61f34e811ccfa4e9c9f --namespace terminating`, "mixed-drivers"))
	must(t, u.DeleteAllOf(t.Context(), &coordinationv1.Lease{}, client.InNamespace(ns))) // as the leader does in a minute
	eventually(t, "the claim to be admitted", func() error { return u.dryRun(t.Context(), claim(ns, "logs", "csi-b")) })
	must(t, u.Patch(t.Context(), data, mergePatch(`{"metadata":{"finalizers":null}}`)))
}
