package admission_test

import (
	"context"
	"errors"
	"testing"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// upgraded runs the webhook as the chart does with more values, until the test ends.
func upgraded(t *testing.T, values ...string) {
	t.Helper()
	restart := func(ctx context.Context, values ...string) {
		must(t, release.Upgrade(ctx, values...))
		webhook.Stop()
		var err error
		webhook, err = release.StartWebhook(ctx)
		must(t, err)
	}
	restart(t.Context(), append(values, exempted)...)
	t.Cleanup(func() { restart(context.WithoutCancel(t.Context()), exempted) })
}

func TestAClassThatGroupsUseStaysWhereTheChartSaysSo(t *testing.T) {
	u := newUser(t, "")
	const driver = "denied.test"
	storageClass(t, u, "denied", driver)
	snapshotClass(t, u, "denied", driver, "true")
	groupSnapshotClass(t, u, "denied", driver)
	ns := namespace(t, u, "denied", nil)
	eventually(t, "the claim to be admitted", func() error { return u.Create(t.Context(), claim(ns, "data", "denied")) })
	used := &snapv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "denied"}}

	t.Run("with a warning by default", func(t *testing.T) {
		eventually(t, "the claim to be known", func() error {
			admitted(t, u.Delete(t.Context(), used, client.DryRunAll))
			if len(u.warnings()) == 0 {
				return errors.New("no warning")
			}
			return nil
		})
	})
	t.Run("refused with webhook.denyClassInUse", func(t *testing.T) {
		upgraded(t, "webhook.denyClassInUse=true")
		const mark = ` snapshot.storage.kubernetes.io/is-default-class`
		const first = `to mend it, first create a VolumeSnapshotClass of driver "denied.test" that takes its place, and then change the mark:` +
			` kubectl annotate volumesnapshotclass denied` + mark + `- && kubectl annotate volumesnapshotclass NEW` + mark + `=true --overwrite`
		refused(t, u.Delete(t.Context(), used), deniedBy(classesWebhook,
			`VolumeSnapshotClass "denied" cannot be deleted: [class-in-use] group "denied/db" could not be snapshotted without it: driver`+
				` "denied.test" has no VolumeSnapshotClass, and needs one marked default; `+first, "class-in-use"))
		unmark := mergePatch(`{"metadata":{"annotations":{"snapshot.storage.kubernetes.io/is-default-class":null}}}`)
		refused(t, u.Patch(t.Context(), used, unmark), deniedBy(classesWebhook,
			`VolumeSnapshotClass "denied" cannot be changed so: [class-in-use] group "denied/db" could not be snapshotted without it: no`+
				` VolumeSnapshotClass of driver "denied.test" is marked default; `+first, "class-in-use"))
		u.wasWarned(t)
		snapshotClass(t, u, "denied-new", driver, "") // what the message says to do
		eventually(t, "the new class to be known", func() error { return u.Patch(t.Context(), used, unmark) })
		u.wasWarned(t, `VolumeSnapshotClass "denied": [class-in-use] group "denied/db" could not be snapshotted without it: no VolumeSnapshotClass of`+
			` driver "denied.test" is marked default`,
			`[class-in-use] to mend it, mark another: kubectl annotate volumesnapshotclass denied-new`+mark+`=true --overwrite`)
		replacement := &snapv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "denied-new"}}
		marked := mergePatch(`{"metadata":{"annotations":{"snapshot.storage.kubernetes.io/is-default-class":"true"}}}`)
		eventually(t, "the other class to be marked", func() error { return u.Patch(t.Context(), replacement, marked) })
		eventually(t, "the old class to go", func() error { return u.Delete(t.Context(), used, client.DryRunAll) })
		must(t, u.Delete(t.Context(), claim(ns, "data", "denied")))
		eventually(t, "the class to be free", func() error { return u.Delete(t.Context(), used, client.DryRunAll) })
	})
}
