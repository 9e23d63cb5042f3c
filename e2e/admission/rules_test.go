package admission_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func optedIn(name string, annotations map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{group.OptInLabel: group.OptInValue}, Annotations: annotations,
	}}
}

func TestANamespacesSettingsAreReadWhenTheyAreWritten(t *testing.T) {
	u := newUser(t, "")
	const off = `[bad-annotation] annotation "snapshot-group/mode" has value "off": must be one of enforce, warn, audit`
	refused(t, u.Create(t.Context(), optedIn("settings", map[string]string{group.ModeAnnotation: "off", group.SuspendAnnotation: "maybe"})), deniedBy(namespacesWebhook,
		`Namespace "settings" cannot have these annotations: `+off+`; annotation "snapshot-group/suspend" has value "maybe": must be one of`+
			` true, false; to mend it, correct it, or leave it out for the default; nothing was changed`, "bad-annotation"))
	ns := namespace(t, u, "settings", map[string]string{group.ModeAnnotation: "enforce"})
	u.wasWarned(t)
	annotate := func(key, value string) error {
		return u.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
			mergePatch(fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)))
	}
	refused(t, annotate(group.ModeAnnotation, "off"), deniedBy(namespacesWebhook,
		`Namespace "settings" cannot have these annotations: `+off+`; to mend it, correct it, or leave it out for the default; nothing was changed`, "bad-annotation"))
	refused(t, annotate(group.WorkflowAnnotation, "move"), deniedBy(namespacesWebhook,
		`Namespace "settings" cannot have these annotations: [bad-annotation] annotation "snapshot-group/workflow" has value "move": not available`+
			` yet; until then, use keep or detach; to mend it, correct it, or leave it out for the default; nothing was changed`, "bad-annotation"))
	admitted(t, annotate(group.ScheduleAnnotation, "@hourly"))
	u.wasWarned(t, `Namespace "settings": [no-retention] schedule "@hourly" makes restore points and nothing expires them; to mend it, say how`+
		` many to keep: kubectl annotate namespace settings snapshot-group/keep=hourly=24,daily=7`)
	admitted(t, annotate(group.KeepAnnotation, "7"))
	u.wasWarned(t)
	admitted(t, annotate("snapshot-group/shcedule", "@daily"))
	u.wasWarned(t, `Namespace "settings": [unknown-annotation] annotation "snapshot-group/shcedule" means nothing (is "snapshot-group/schedule"`+
		` meant?); to mend it, remove it: kubectl annotate namespace settings snapshot-group/shcedule-`)
}

func TestANamespaceIsReadWhenItOptsIn(t *testing.T) {
	u := newUser(t, "")
	plain := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "opts-in", Annotations: map[string]string{group.ModeAnnotation: "off"}}}
	before := reviews(t, namespacesWebhook)
	admitted(t, u.Create(t.Context(), plain))
	if got := reviews(t, namespacesWebhook) - before; got != 0 {
		t.Errorf("%d reviews of a Namespace that has not opted in, want 0", got)
	}
	refused(t, u.Patch(t.Context(), plain, mergePatch(`{"metadata":{"labels":{"snapshot-group":"enabled"}}}`)), deniedBy(namespacesWebhook,
		`Namespace "opts-in" cannot have these annotations: [bad-annotation] annotation "snapshot-group/mode" has value "off": must be one of`+
			` enforce, warn, audit; to mend it, correct it, or leave it out for the default: kubectl annotate namespace opts-in`+
			` snapshot-group/mode-`, "bad-annotation"))
}

func TestADriverHasOneDefaultClassOfEachKind(t *testing.T) {
	u := newUser(t, "")
	const driver = "second.test"
	snapshotClass(t, u, "second-x", driver, "true")
	second := &snapv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "second-y", Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}},
		Driver:     driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}
	u.eventuallyRefused(t, second, deniedBy(classesWebhook,
		`VolumeSnapshotClass "second-y" cannot be created: [second-default-class] driver "second.test" has a default already:`+
			` VolumeSnapshotClass "second-x"; to mend it, create it without that annotation, and then change the mark: kubectl annotate`+
			` volumesnapshotclass second-x snapshot.storage.kubernetes.io/is-default-class- && kubectl annotate volumesnapshotclass second-y`+
			` snapshot.storage.kubernetes.io/is-default-class=true --overwrite`, "second-default-class"))
	second.Annotations = nil
	forTheTest(t, u, second)
	refused(t, u.Patch(t.Context(), second, mergePatch(`{"metadata":{"annotations":{"snapshot.storage.kubernetes.io/is-default-class":"true"}}}`)),
		deniedBy(classesWebhook,
			`VolumeSnapshotClass "second-y" cannot be changed so: [second-default-class] driver "second.test" has a default already:`+
				` VolumeSnapshotClass "second-x"; to mend it, unmark that one first: kubectl annotate volumesnapshotclass second-x`+
				` snapshot.storage.kubernetes.io/is-default-class- && kubectl annotate volumesnapshotclass second-y`+
				` snapshot.storage.kubernetes.io/is-default-class=true --overwrite`, "second-default-class"))
	refused(t, u.Create(t.Context(), &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "second-z", Annotations: map[string]string{group.DefaultGroupSnapshotClassAnnotation: "true"}},
		Driver:     "csi-a.test", DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}), deniedBy(classesWebhook,
		`VolumeGroupSnapshotClass "second-z" cannot be created: [second-default-class] driver "csi-a.test" has a default already:`+
			` VolumeGroupSnapshotClass "csi-a"; to mend it, create it without that annotation, and then change the mark: kubectl annotate`+
			` volumegroupsnapshotclass csi-a groupsnapshot.storage.kubernetes.io/is-default-class- && kubectl annotate volumegroupsnapshotclass second-z`+
			` groupsnapshot.storage.kubernetes.io/is-default-class=true --overwrite`, "second-default-class"))
	third := &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "second-z"}, Driver: "csi-a.test", DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}
	forTheTest(t, u, third)
	refused(t, u.Patch(t.Context(), third, mergePatch(`{"metadata":{"annotations":{"groupsnapshot.storage.kubernetes.io/is-default-class":"true"}}}`)),
		deniedBy(classesWebhook,
			`VolumeGroupSnapshotClass "second-z" cannot be changed so: [second-default-class] driver "csi-a.test" has a default already:`+
				` VolumeGroupSnapshotClass "csi-a"; to mend it, unmark that one first: kubectl annotate volumegroupsnapshotclass csi-a`+
				` groupsnapshot.storage.kubernetes.io/is-default-class- && kubectl annotate volumegroupsnapshotclass second-z`+
				` groupsnapshot.storage.kubernetes.io/is-default-class=true --overwrite`, "second-default-class"))
}

func TestAClassThatGroupsUseGoesWithAWarning(t *testing.T) {
	u := newUser(t, "")
	const driver = "used.test"
	storageClass(t, u, "used", driver)
	snapshotClass(t, u, "used", driver, "true")
	groupSnapshotClass(t, u, "used", driver)
	ns := namespace(t, u, "used", nil)
	eventually(t, "the claim to be admitted", func() error { return u.Create(t.Context(), claim(ns, "data", "used")) })
	eventually(t, "the claim to be known", func() error {
		must(t, u.Delete(t.Context(), &snapv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "used"}}, client.DryRunAll))
		if len(u.warnings()) == 0 {
			return errors.New("no warning")
		}
		return nil
	})
	admitted(t, u.Delete(t.Context(), &snapv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "used"}}, client.DryRunAll))
	u.wasWarned(t,
		`VolumeSnapshotClass "used": [class-in-use] group "used/db" could not be snapshotted without it: driver "used.test" has no`+
			` VolumeSnapshotClass, and needs one marked default`,
		`[class-in-use] to mend it, create a VolumeSnapshotClass of driver "used.test" with annotation snapshot.storage.kubernetes.io/is-default-class: "true"`)
	admitted(t, u.Create(t.Context(), &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "used-too"}, Driver: driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}, client.DryRunAll))
	u.wasWarned(t,
		`VolumeGroupSnapshotClass "used-too": [class-in-use] group "used/db" could not be snapshotted with it: driver "used.test" has 2`+
			` VolumeGroupSnapshotClasses and none is singled out: "used", "used-too"`,
		`[class-in-use] to mend it, mark the one that is used so far: kubectl annotate volumegroupsnapshotclass used`+
			` groupsnapshot.storage.kubernetes.io/is-default-class=true --overwrite`)
	admitted(t, u.Delete(t.Context(), &groupv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "used"}}))
	u.wasWarned(t,
		`VolumeGroupSnapshotClass "used": [class-in-use] group "used/db" could not be snapshotted without it: driver "used.test" has no`+
			` VolumeGroupSnapshotClass; to mend it, create a VolumeGroupSnapshotClass of driver "used.test"`)
	admitted(t, u.Patch(t.Context(), &snapv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "used"}},
		mergePatch(`{"metadata":{"annotations":{"snapshot.storage.kubernetes.io/is-default-class":"false"}}}`)))
	u.wasWarned(t,
		`VolumeSnapshotClass "used": [class-in-use] group "used/db" could not be snapshotted without it: no VolumeSnapshotClass of driver`+
			` "used.test" is marked default`,
		`[class-in-use] to mend it, mark one: kubectl annotate volumesnapshotclass used snapshot.storage.kubernetes.io/is-default-class=true --overwrite`)
}

func TestAGroupSnapshotThatCannotSucceedIsRefused(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "asked", nil)
	u.bound(t, claim(ns, "data", "csi-a"), claim(ns, "index", "csi-b", inGroup("index")))
	selects := func(match map[string]string, class string, expressions ...metav1.LabelSelectorRequirement) *groupv1.VolumeGroupSnapshot {
		s := groupSnapshot(ns, "asked", nil)
		s.Spec.Source.Selector = &metav1.LabelSelector{MatchLabels: match, MatchExpressions: expressions}
		s.Spec.VolumeGroupSnapshotClassName = ptr.To(class)
		return s
	}
	db := map[string]string{group.DefaultLabelKey: "db"}
	exists := metav1.LabelSelectorRequirement{Key: group.DefaultLabelKey, Operator: metav1.LabelSelectorOpExists}
	u.eventuallyRefused(t, selects(nil, "csi-a", exists), deniedBy(groupSnapshotsWebhook,
		`VolumeGroupSnapshot "asked" in namespace "asked" cannot be created: [match-expressions] snapshot-controller ignores matchExpressions:`+
			` of claims, it would take all 2 of the namespace; to mend it, select by matchLabels alone, with a label that the claims have in`+
			` common and no other has. [class-mismatch] VolumeGroupSnapshotClass "csi-a" is of driver "csi-a.test", which is not that of`+
			` claim "index"; to mend it, select claims of that driver alone, or name a class of the claims' driver`, "match-expressions", "class-mismatch"))
	refused(t, u.dryRun(t.Context(), selects(map[string]string{"app": "none"}, "csi-a")), deniedBy(groupSnapshotsWebhook,
		`VolumeGroupSnapshot "asked" in namespace "asked" cannot be created: [selects-nothing] no claim of the namespace has the labels app=none;`+
			` to mend it, see which labels they have: kubectl get persistentvolumeclaims --namespace asked --show-labels`, "selects-nothing"))
	refused(t, u.dryRun(t.Context(), selects(db, "csi-b")), deniedBy(groupSnapshotsWebhook,
		`VolumeGroupSnapshot "asked" in namespace "asked" cannot be created: [class-mismatch] VolumeGroupSnapshotClass "csi-b" is of driver`+
			` "csi-b.test", which is not that of claim "data"; to mend it, select claims of that driver alone, or name a class of the claims' driver`,
		"class-mismatch"))
	u.wasWarned(t)
	must(t, u.Create(t.Context(), claim(ns, "slow", "", inGroup("slow"))))
	u.warnings()
	admitted(t, u.dryRun(t.Context(), selects(map[string]string{group.DefaultLabelKey: "slow"}, "csi-a")))
	u.wasWarned(t, `VolumeGroupSnapshot "asked" in namespace "asked": [unbound-claim] nothing is snapshotted until every claim is Bound, which is`+
		` not so of claim "slow"; to mend it, start a Pod that uses it, or take its label away`)
	admitted(t, u.dryRun(t.Context(), selects(db, "csi-a")))
	u.wasWarned(t)
}

func TestAMemberGoesWithItsGroup(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "member", nil)
	u.bound(t, claim(ns, "data", "csi-a"))
	whole := groupSnapshot(ns, "whole", nil)
	u.createdMembers(t, whole, 1)
	var members snapv1.VolumeSnapshotList
	must(t, u.List(t.Context(), &members, client.InNamespace(ns)))
	name := members.Items[0].Name
	refused(t, u.Delete(t.Context(), &members.Items[0]), deniedBy(membersWebhook,
		fmt.Sprintf(`VolumeSnapshot %q in namespace "member" cannot be deleted: [member-of-group] it is a member of VolumeGroupSnapshot "whole",`+
			` without which it cannot go: it would hang in Terminating; to mend it, delete the whole, upon which all of its members go: kubectl delete volumegroupsnapshot whole`+
			` --namespace member`, name), "member-of-group"))
	admitted(t, u.Delete(t.Context(), whole))
	eventually(t, "the members to go with the whole", func() error {
		must(t, u.List(t.Context(), &members, client.InNamespace(ns)))
		if n := len(members.Items); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
}

func TestModeWarnRefusesNothing(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "mode-warn", map[string]string{group.ModeAnnotation: "warn"})
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-b")))
	u.wasWarned(t,
		`group "db" (admitted because of mode warn): [mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver:`+
			` "csi-a.test" (claim "data"), "csi-b.test" (claim "logs")`,
		`[mixed-drivers] to mend it, take it out of the group: kubectl label persistentvolumeclaim logs --namespace mode-warn velero.io/volume-group-`)
}

func TestModeAuditTellsTheAuditLogAlone(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "mode-audit", map[string]string{group.ModeAnnotation: "audit"})
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-b")))
	u.wasWarned(t)
	eventually(t, "the audit log to tell of it", func() error {
		got, err := auditAnnotations(shared.AuditLog(), ns, "logs")
		if err != nil {
			return err
		}
		want := map[string]string{"claims.snapshot-group.admission/mixed-drivers": `its claims are on 2 drivers and one group snapshot is taken` +
			` by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs"); to mend it, take it out of the group: kubectl label` +
			` persistentvolumeclaim logs --namespace mode-audit velero.io/volume-group-`}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}
