package admit

import (
	"strings"
	"testing"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	unmarkedOld := cluster(grouped, plain)
	unmarkedOld[3] = snapshotClassObject("a-snap", false)
	testAnswers(t, "classes", map[string]answerTest{
		"a class may be created": {after: snapshotClassObject("new", false), cached: cluster(), code: 200, series: allowed},
		"a second default may not": {after: snapshotClassObject("new", true), cached: cluster(), code: 403, series: `outcome="denied",rule="second-default-class"`,
			message: `VolumeSnapshotClass "new" cannot be created: [second-default-class] driver "a.csi" has a default already: VolumeSnapshotClass "a-snap"; ` +
				`to mend it, create it without that annotation, and then change the mark: ` + swap},
		"an exempt user may make one": {after: snapshotClassObject("new", true), cached: cluster(), options: Options{ExemptUsers: []string{"admin"}}, code: 200,
			series: `outcome="warned",rule="second-default-class"`, warnings: []string{
				`VolumeSnapshotClass "new" (admitted because user "admin" is exempt): [second-default-class] driver "a.csi" has a default already: VolumeSnapshotClass "a-snap"`,
				`[second-default-class] to mend it, create it without that annotation, and then change the mark: kubectl annotate volumesnapshotclass a-snap ` + key +
					`- && kubectl annotate volumesnapshotclass new ...`}},
		"a class that nobody uses may go": {before: old, cached: cluster(), code: 200, series: allowed},
		"the last of a group is told": {before: old, cached: cluster(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{`VolumeSnapshotClass "a-snap": ` + lost, "[class-in-use] " + mend}},
		"it may be refused": {before: old, cached: cluster(grouped), options: Options{DenyClassInUse: true}, code: 403, series: `outcome="denied",rule="class-in-use"`,
			message: `VolumeSnapshotClass "a-snap" cannot be deleted: ` + lost + `; to mend it, first create a VolumeSnapshotClass of driver "a.csi" that takes its place, ` +
				`and then change the mark: ` + strings.Replace(swap, "class new", "class NEW", 1)},
		"where it is, a default is replaced by unmarking it": {before: old, after: snapshotClassObject("a-snap", false), cached: cluster(grouped, plain),
			options: Options{DenyClassInUse: true}, code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{`VolumeSnapshotClass "a-snap": ` + unmarked, "[class-in-use] to mend it, mark another: " + markNew}},
		"and marking another": {before: plain, after: snapshotClassObject("new", true), cached: unmarkedOld,
			options: Options{DenyClassInUse: true}, code: 200, series: allowed},
		"one that a namespace names for groups on another driver is told": {before: elsewhere, cached: append(cluster(grouped, elsewhere)[1:],
			namespaceObject(map[string]string{group.GroupSnapshotClassAnnotation: "c-groups"})), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "c-groups": [class-in-use] group "shop/db" could not be snapshotted without it: annotation ` +
					`snapshot-group/group-snapshot-class of the namespace names VolumeGroupSnapshotClass "c-groups", which does not exist`,
				`[class-in-use] to mend it, create it for driver "a.csi" or correct the annotation`}},
		"a second class of groups that singles none out is told": {after: second, cached: cluster(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "b-groups": [class-in-use] group "shop/db" could not be snapshotted with it: driver "a.csi" has 2 VolumeGroupSnapshotClasses and none is singled out: "a-groups", "b-groups"`,
				`[class-in-use] to mend it, mark the one that is used so far: kubectl annotate volumegroupsnapshotclass a-groups group` + key + `=true --overwrite`}},
		"groups of namespaces that are not opted in do not count": {before: old, cached: append(cluster(grouped)[1:], closed), code: 200, series: allowed},
		"the only class of groups is told": {before: groups, cached: cluster(grouped), code: 200, series: `outcome="warned",rule="class-in-use"`,
			warnings: []string{
				`VolumeGroupSnapshotClass "a-groups": [class-in-use] group "shop/db" could not be snapshotted without it: driver "a.csi" has no VolumeGroupSnapshotClass; ` +
					`to mend it, create a VolumeGroupSnapshotClass of driver "a.csi"`}},
		"a review of something else is let through and told": {after: namespaceObject(nil), code: 200, series: `outcome="undecodable",rule="none"`,
			warnings: []string{`snapshot-group: read review: resource "namespaces" of API group "" is not reviewed here`}},
	})
}
