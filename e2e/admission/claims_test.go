package admission_test

import (
	"fmt"
	"strings"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// mixed is the refusal of claim "logs", which has driver b by StorageClass "csi-b", from the group of claim "data".
func mixed(namespace string) refusal {
	return deniedBy(claimsWebhook, fmt.Sprintf(`claim "logs" cannot join group "db" in namespace %q: [mixed-drivers] its claims are on 2 drivers`+
		` and one group snapshot is taken by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs"); to mend it,`+
		` create claim "logs" with a StorageClass of driver "csi-a.test" (it has "csi-b.test" by StorageClass "csi-b")`+
		` or leave out its label velero.io/volume-group=db`, namespace), "mixed-drivers")
}

func TestAGroupStaysOnOneDriver(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "one-driver", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	admitted(t, u.Create(t.Context(), claim(ns, "more", "csi-a", inGroup("other"))))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
	refused(t, u.Create(t.Context(), claim(ns, "logs", "csi-b")), mixed(ns))
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-a")))
	admitted(t, u.Create(t.Context(), claim(ns, "scratch", "csi-b", withoutGroup)))
	admitted(t, u.Create(t.Context(), claim(ns, "index", "csi-b", inGroup("index"))))
	u.wasWarned(t)
}

func TestTheDefaultStorageClassCounts(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "default-class", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-b", withoutClass)))
	u.eventuallyRefused(t, claim(ns, "data", "csi-b"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "default-class": [mixed-drivers] its claims are on 2 drivers`+
			` and one group snapshot is taken by one driver: "csi-a.test" (claim "logs"), "csi-b.test" (claim "data"); to mend it,`+
			` create claim "data" with a StorageClass of driver "csi-a.test" (it has "csi-b.test" by StorageClass "csi-b")`+
			` or leave out its label velero.io/volume-group=db`, "mixed-drivers"))
}

func TestABoundVolumeOutlivesItsStorageClass(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "class-gone", nil)
	volume := csiVolume("class-gone-pv", "csi-a.test")
	forTheTest(t, u, volume)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "deleted-since", onVolume(volume.Name))))
	u.wasWarned(t)
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b"), mixed(ns))
}

func csiVolume(name, driver string) *corev1.PersistentVolume {
	return volume(name, corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}})
}

func volume(name string, source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}, PersistentVolumeSource: source,
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		},
	}
}

func TestAVolumeThatIsNotCSIJoinsNoGroup(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "not-csi", nil)
	forTheTest(t, u, volume("share", corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs", Path: "/"}}))
	storageClass(t, u, "local", "kubernetes.io/no-provisioner")
	u.eventuallyRefused(t, claim(ns, "data", "", onVolume("share")), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "not-csi": [not-csi] claim "data" is not on a CSI driver: PersistentVolume "share"`+
			` has volume source nfs; to mend it, create it with a StorageClass of a CSI driver or leave out its label velero.io/volume-group=db`,
		"not-csi"))
	u.eventuallyRefused(t, claim(ns, "data", "local"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "not-csi": [not-csi] claim "data" is not on a CSI driver: StorageClass "local"`+
			` has provisioner "kubernetes.io/no-provisioner"; to mend it, create it with a StorageClass of a CSI driver`+
			` or leave out its label velero.io/volume-group=db`,
		"not-csi"))
	admitted(t, u.Create(t.Context(), claim(ns, "data", "local", withoutGroup)))
}

// A volume keeps the source of an in-tree plugin whatever driver serves it, and snapshot-controller refuses it.
func TestAVolumeOfAMigratedPluginJoinsNoGroup(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "migrated", nil)
	storageClass(t, u, "migrated", "kubernetes.io/aws-ebs")
	const which = `"kubernetes.io/aws-ebs", which CSI driver "ebs.csi.aws.com" serves since CSI migration but does not snapshot; to mend it, create it` +
		` with a StorageClass of a CSI driver or leave out its label velero.io/volume-group=db`
	u.eventuallyRefused(t, claim(ns, "logs", "migrated"), deniedBy(claimsWebhook,
		`claim "logs" cannot join group "db" in namespace "migrated": [not-csi] claim "logs" is not on a CSI driver: StorageClass "migrated" has provisioner `+
			which, "not-csi"))
	disk := volume("migrated", corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}})
	disk.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: "data"}
	forTheTest(t, u, disk)
	u.eventuallyRefused(t, claim(ns, "data", "", onVolume(disk.Name)), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "migrated": [not-csi] claim "data" is not on a CSI driver: PersistentVolume "migrated"`+
			` has a volume source of in-tree plugin `+which, "not-csi"))

	admitted(t, u.Create(t.Context(), claim(ns, "data", "", onVolume(disk.Name), withoutGroup)))
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "data"},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
	}
	admitted(t, u.Create(t.Context(), snapshot))
	eventually(t, "snapshot-controller to refuse the volume", func() error {
		if err := u.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot); err != nil {
			return err
		}
		if s := snapshot.Status; s == nil || s.Error == nil || !strings.Contains(ptr.Deref(s.Error.Message, ""), "non-CSI") {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
}

func TestEveryReasonIsGivenAtOnce(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "bare-driver", nil)
	storageClass(t, u, "bare", "ebs.csi.aws.com")
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	u.eventuallyRefused(t, claim(ns, "logs", "bare"), deniedBy(claimsWebhook,
		`claim "logs" cannot join group "db" in namespace "bare-driver": [mixed-drivers] its claims are on 2 drivers and one group snapshot`+
			` is taken by one driver: "csi-a.test" (claim "data"), "ebs.csi.aws.com" (claim "logs"); to mend it, create claim "logs" with a`+
			` StorageClass of driver "csi-a.test" (it has "ebs.csi.aws.com" by StorageClass "bare") or leave out its label`+
			` velero.io/volume-group=db. [no-default-snapshot-class] driver "ebs.csi.aws.com" has no VolumeSnapshotClass, and needs one marked`+
			` default; to mend it, create a VolumeSnapshotClass of driver "ebs.csi.aws.com" with annotation`+
			` snapshot.storage.kubernetes.io/is-default-class: "true". [no-group-snapshot-class] driver "ebs.csi.aws.com" has no`+
			` VolumeGroupSnapshotClass; to mend it, create a VolumeGroupSnapshotClass of driver "ebs.csi.aws.com"`,
		"mixed-drivers", "no-default-snapshot-class", "no-group-snapshot-class"))
}

func TestADriverNeedsOneDefaultSnapshotClass(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "defaults", nil)
	const driver = "defaults.test"
	storageClass(t, u, "defaults", driver)
	groupSnapshotClass(t, u, "defaults", driver)
	snapshotClass(t, u, "defaults-x", driver, "yes") // not exactly "true": not a default
	u.eventuallyRefused(t, claim(ns, "data", "defaults"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "defaults": [no-default-snapshot-class] no VolumeSnapshotClass of driver`+
			` "defaults.test" is marked default; to mend it, mark one: kubectl annotate volumesnapshotclass defaults-x`+
			` snapshot.storage.kubernetes.io/is-default-class=true --overwrite`, "no-default-snapshot-class"))
	snapshotClass(t, u, "defaults-y", driver, "true")
	eventually(t, "the claim to be admitted", func() error { return u.dryRun(t.Context(), claim(ns, "data", "defaults")) })
	unchecked(t, func() { snapshotClass(t, u, "defaults-z", driver, "true") })
	u.eventuallyRefused(t, claim(ns, "data", "defaults"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "defaults": [several-default-snapshot-classes] 2 VolumeSnapshotClasses of driver`+
			` "defaults.test" are marked default: "defaults-y", "defaults-z"; to mend it, unmark all but one: kubectl annotate`+
			` volumesnapshotclass defaults-z snapshot.storage.kubernetes.io/is-default-class-`, "several-default-snapshot-classes"))
}

func TestADriverNeedsOneGroupSnapshotClass(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "group-classes", nil)
	const driver = "groups.test"
	storageClass(t, u, "groups", driver)
	snapshotClass(t, u, "groups", driver, "true")
	u.eventuallyRefused(t, claim(ns, "data", "groups"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "group-classes": [no-group-snapshot-class] driver "groups.test" has no`+
			` VolumeGroupSnapshotClass; to mend it, create a VolumeGroupSnapshotClass of driver "groups.test"`, "no-group-snapshot-class"))
	groupSnapshotClass(t, u, "groups-x", driver)
	eventually(t, "the claim to be admitted", func() error { return u.dryRun(t.Context(), claim(ns, "data", "groups")) })
	groupSnapshotClass(t, u, "groups-y", driver)
	u.eventuallyRefused(t, claim(ns, "data", "groups"), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "group-classes": [several-group-snapshot-classes] driver "groups.test" has 2`+
			` VolumeGroupSnapshotClasses and none is singled out: "groups-x", "groups-y"; to mend it, name one: kubectl annotate namespace`+
			` group-classes snapshot-group/group-snapshot-class=groups-x`, "several-group-snapshot-classes"))
	named := func(class string) *corev1.PersistentVolumeClaim {
		return claim(ns, "data", "groups", annotated(group.VeleroClaimGroupClassAnnotation, class))
	}
	admitted(t, u.dryRun(t.Context(), named("groups-y")))
	refused(t, u.dryRun(t.Context(), named("gold")), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "group-classes": [no-group-snapshot-class] annotation`+
			` velero.io/csi-volume-group-snapshot-class of claim "data" names VolumeGroupSnapshotClass "gold", which does not exist;`+
			` to mend it, create it for driver "groups.test" or correct the annotation`, "no-group-snapshot-class"))
	refused(t, u.dryRun(t.Context(), named("csi-a")), deniedBy(claimsWebhook,
		`claim "data" cannot join group "db" in namespace "group-classes": [no-group-snapshot-class] annotation`+
			` velero.io/csi-volume-group-snapshot-class of claim "data" names VolumeGroupSnapshotClass "csi-a", which is of driver`+
			` "csi-a.test" and not of "groups.test"; to mend it, name a class of driver "groups.test" in the annotation`, "no-group-snapshot-class"))
}

func TestTheNamespaceChoosesTheGroupSnapshotClass(t *testing.T) {
	u := newUser(t, "")
	const driver = "chosen.test"
	storageClass(t, u, "chosen", driver)
	snapshotClass(t, u, "chosen", driver, "true")
	groupSnapshotClass(t, u, "chosen-x", driver)
	groupSnapshotClass(t, u, "chosen-y", driver)
	ns := namespace(t, u, "chosen", map[string]string{group.GroupSnapshotClassAnnotation: "chosen-y"})
	eventually(t, "the claim to be admitted", func() error { return u.dryRun(t.Context(), claim(ns, "data", "chosen")) })
	admitted(t, u.dryRun(t.Context(), claim(ns, "logs", "csi-a"))) // of another driver, whose class it does not name
}

func TestAClaimOfAnUnknownDriverIsAdmittedWithAWarning(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "unknown", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "gone")))
	u.wasWarned(t, `group "db": [unknown-driver] the driver of claim "data" is not known: StorageClass "gone" does not exist;`+
		` to mend it, create its StorageClass or volume; the group is checked again before it is snapshotted`)
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "")))
	u.wasWarned(t, `group "db": [unknown-driver] the driver of claim "logs" is not known: storageClassName is "" and no volume is bound yet;`+
		` to mend it, create its StorageClass or volume; the group is checked again before it is snapshotted`)
}

func TestTheNamespaceChoosesTheGroupLabel(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "own-label", map[string]string{group.LabelKeyAnnotation: "team"})
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a", labelled("team", "red"))))
	u.eventuallyRefused(t, claim(ns, "logs", "csi-b", labelled("team", "red")), deniedBy(claimsWebhook,
		`claim "logs" cannot join group "red" in namespace "own-label": [mixed-drivers] its claims are on 2 drivers`+
			` and one group snapshot is taken by one driver: "csi-a.test" (claim "data"), "csi-b.test" (claim "logs"); to mend it,`+
			` create claim "logs" with a StorageClass of driver "csi-a.test" (it has "csi-b.test" by StorageClass "csi-b")`+
			` or leave out its label team=red`, "mixed-drivers"))
	admitted(t, u.Create(t.Context(), claim(ns, "logs", "csi-b"))) // velero.io/volume-group=db means nothing here
}
