package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestARestoreInPlaceIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   string
	}{
		"where a member is missing": {func(o *Observed) { o.Point.Members = o.Point.Members[:1] },
			`1 of the 2 members of restore point "db-1" are missing; name the claims to restore alone by --claim; nothing was changed`},
		"where a member is not ready": {func(o *Observed) { o.Point.Members[1].Problem = `VolumeSnapshot "s-logs" of claim "logs" is not ready` },
			`VolumeSnapshot "s-logs" of claim "logs" is not ready; nothing was changed`},
		"where it has no member of a claim": {func(o *Observed) { o.Asked = []string{"index"} },
			`restore point "db-1" has no member of claim "index" (it has "data", "logs"); nothing was changed`},
		"where a class is gone": {func(o *Observed) { o.StorageClasses = nil; o.Asked = []string{"data"} },
			`StorageClass "fast" of claim "data" does not exist: name one of driver "a" by --map-class fast=CLASS; nothing was changed`},
		"where a class is of another driver": {func(o *Observed) {
			o.Overrides.Classes = map[string]string{"fast": "other"}
			o.Asked = []string{"data"}
		},
			`StorageClass "other" of claim "data" is of driver "b", its snapshot on driver "a": name one of that by --map-class fast=CLASS; nothing was changed`},
		"where the one class for all does not exist": {func(o *Observed) { o.Overrides.StorageClass = "typo"; o.Asked = []string{"data"} },
			`StorageClass "typo" of claim "data" does not exist: name one of driver "a" by --storage-class=CLASS; nothing was changed`},
		"where the default class, which a claim had, is of another driver now": {func(o *Observed) {
			byDefault := storage("other", "b", storagev1.VolumeBindingImmediate)
			byDefault.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
			o.StorageClasses = group.StorageClassList{byDefault}
			o.Point.Members[0].Spec.StorageClassName, o.Asked = nil, []string{"data"}
		},
			`StorageClass "other" of claim "data" is of driver "b", its snapshot on driver "a": name one of that by --storage-class=CLASS; nothing was changed`},
		"where a claim had no class to be made by": {func(o *Observed) { o.Point.Members[0].Spec.StorageClassName = ptr.To(""); o.Asked = []string{"data"} },
			`claim "data" was bound by hand (storageClassName ""), which cannot be restored so: name a class of driver "a" by --storage-class; nothing was changed`},
		"where nothing is recorded of a claim that is gone": {func(o *Observed) { o.Point.Members[0].Spec, o.Claims["data"] = nil, nil; o.Asked = []string{"data"} },
			`nothing is recorded of claim "data" and it is gone: say what it asked for by --storage-class; nothing was changed`},
		"where the size is less than the snapshot's": {func(o *Observed) { o.Overrides.Storage = size("6Gi") },
			`claim "data" needs at least 10Gi, the size of its snapshot; --storage says 6Gi; nothing was changed`},
		"where no safety snapshot can be taken": {func(o *Observed) { o.GroupClasses = nil },
			`no safety snapshot can be taken, for no VolumeGroupSnapshotClass of driver "a" is singled out: mark one as default, or do without by --without-safety-snapshot; nothing was changed`},
		"where no safety snapshot can be taken of a claim that was moved to another driver since": {func(o *Observed) {
			o.Volumes["pv-data"].Spec.CSI.Driver, o.Asked = "b", []string{"data"}
		}, `no safety snapshot can be taken, for no VolumeGroupSnapshotClass of driver "b" is singled out: mark one as default, or do without by --without-safety-snapshot; nothing was changed`},
		"where no safety snapshot can be taken of claims on two drivers": {func(o *Observed) { o.Volumes["pv-logs"].Spec.CSI.Driver = "b" },
			`no safety snapshot can be taken, for claim "data" is on driver "a" and claim "logs" on driver "b": restore them one after the other by --claim, ` +
				`or do without by --without-safety-snapshot; nothing was changed`},
		"where no safety snapshot can be taken of a claim on no CSI driver": {func(o *Observed) {
			o.Volumes["pv-data"].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
		}, `no safety snapshot can be taken of claim "data", which is on no CSI driver (volume source hostPath): do without by --without-safety-snapshot; nothing was changed`},
		"where an operator scales": {func(o *Observed) { o.Workloads[0].Owner = `Cluster "pg"` },
			`StatefulSet "mysql" is controlled by Cluster "pg", which would scale it back: scale it to 0 there; nothing was changed`},
		"where scaling deletes claims": {func(o *Observed) { o.Workloads[0].Deletes = true },
			`StatefulSet "mysql" deletes its claims when it is scaled down: first run: kubectl patch statefulset mysql --namespace shop ` +
				`--patch '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}'; nothing was changed`},
		"where a claim goes with its Pod": {func(o *Observed) {
			o.Claims["data"].OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", Name: "shell", Controller: ptr.To(true)}}
		}, `claim "data" is a generic ephemeral volume of Pod "shell" and goes with it: restore a copy, by --name-suffix; nothing was changed`},
		"where a Pod is left of an earlier template": {func(o *Observed) { o.Workloads[0].Mounts = nil },
			`Pod "mysql-0" of StatefulSet "mysql" uses claims "data", "logs", which the template of that does not mount any more: ` +
				`wait until it is rolled out; nothing was changed`},
		"where a Pod belongs to nothing": {func(o *Observed) { o.Pods = []Pod{{Name: "dump-x", Owner: `Job "dump"`, Claims: []string{"data"}}} },
			`Pod "dump-x" of Job "dump" uses claim "data" and belongs to no StatefulSet or Deployment that could be scaled down: delete or scale down Job "dump" first; nothing was changed`},
		"where a Pod belongs to nobody": {func(o *Observed) { o.Pods = []Pod{{Name: "shell", Claims: []string{"data"}}} },
			`Pod "shell" uses claim "data" and belongs to no StatefulSet or Deployment that could be scaled down: delete it first; nothing was changed`},
	} {
		t.Run(name, func(t *testing.T) {
			o := shop()
			tc.change(&o)
			_, err := New(o)
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("error %v, want one that wraps ErrRefused", err)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
