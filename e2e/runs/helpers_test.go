package runs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// pair are the claims data and wal of group pg.
func pair(namespace, class string) []*corev1.PersistentVolumeClaim {
	return []*corev1.PersistentVolumeClaim{claim(namespace, "pg", "data", class), claim(namespace, "pg", "wal", class)}
}

// ready makes an opted-in namespace with claims, and returns when they are bound. annotations are keys and values in turn.
func ready(t *testing.T, namespace string, claims []*corev1.PersistentVolumeClaim, annotations ...string) {
	t.Helper()
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	for _, c := range claims {
		must(t, admin.Create(t.Context(), c))
	}
	bound(t, claims...)
	annotate(t, namespace, annotations...)
}

// bound waits until claims are.
func bound(t *testing.T, claims ...*corev1.PersistentVolumeClaim) {
	t.Helper()
	eventually(t, "the claims to be bound", func(ctx context.Context) error {
		for _, c := range claims {
			if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			if c.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
			}
		}
		return nil
	})
}

// annotate opts a namespace in and sets annotations.
func annotate(t *testing.T, namespace string, annotations ...string) {
	t.Helper()
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: namespace}, ns))
	before := ns.DeepCopy()
	ns.Labels[group.OptInLabel] = group.OptInValue
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&ns.ObjectMeta, annotations[i], annotations[i+1])
	}
	must(t, admin.Patch(t.Context(), ns, client.MergeFrom(before)))
}

// ask asks for the first run.
func ask(t *testing.T, namespace string) {
	t.Helper()
	annotate(t, namespace, group.RunNowAnnotation, "1")
}

// ended waits for the end of the run that was asked for.
func ended(t *testing.T, namespace, request string) plan.Run {
	t.Helper()
	var run plan.Run
	eventually(t, "the run to end", func(ctx context.Context) error {
		ns := &corev1.Namespace{}
		if err := admin.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
			return err
		}
		var err error
		run, err = plan.ParseRun(ns.Annotations)
		if err == nil && (run.Request != request || run.Outcome == group.Running) {
			err = fmt.Errorf("last run %s", run.LastRun)
		}
		return err
	})
	return run
}

// seen waits until the loop has seen what became of claims so far, of which it hears by another watch than of Namespaces: until it tells of two
// claims that are made now, in a namespace of their own.
func seen(t *testing.T, namespace string) {
	t.Helper()
	after := namespace + "-seen"
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: after}}))
	annotate(t, after)
	must(t, admin.Create(t.Context(), claim(after, "mixed", "here", sound)))
	must(t, admin.Create(t.Context(), claim(after, "mixed", "there", faulty)))
	eventually(t, "a broken rule to be told of", func(context.Context) error {
		if len(events(t, after)) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
}

func groupSnapshots(t *testing.T, namespace string) []groupv1.VolumeGroupSnapshot {
	t.Helper()
	var list groupv1.VolumeGroupSnapshotList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	return list.Items
}

func snapshots(t *testing.T, namespace string) []snapv1.VolumeSnapshot {
	t.Helper()
	var list snapv1.VolumeSnapshotList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	return list.Items
}

// events are type, reason and note of the loop's Events in a namespace.
func events(t *testing.T, namespace string) []string {
	t.Helper()
	var list eventsv1.EventList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	out := []string{}
	for _, e := range list.Items {
		if e.ReportingController == "snapshot-group/snapshotter" {
			out = append(out, e.Type+" "+e.Reason+": "+e.Note)
		}
	}
	return out
}

// driver controls the driver of a class.
func driver(class string) *csidriver.Control {
	for _, d := range shared.Drivers() {
		if d.ClassName() == class {
			return csidriver.Dial(d.Control)
		}
	}
	panic("no driver of class " + class)
}

// faults sets the faults of a driver until the end of the test.
func faults(t *testing.T, class string, f csidriver.Faults) {
	t.Helper()
	must(t, driver(class).SetFaults(t.Context(), f))
	t.Cleanup(func() {
		if err := driver(class).SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{}); err != nil {
			t.Errorf("take the faults away: %v", err)
		}
	})
}

// nothingLeft waits until no snapshot of any kind, and no content, is left of a namespace, and none on storage of its claims.
func nothingLeft(t *testing.T, namespace, class string, claims []*corev1.PersistentVolumeClaim) {
	t.Helper()
	volumes := map[string]bool{}
	for _, c := range claims {
		pv := &corev1.PersistentVolume{}
		must(t, admin.Get(t.Context(), client.ObjectKey{Name: c.Spec.VolumeName}, pv))
		volumes[pv.Spec.CSI.VolumeHandle] = true
	}
	eventually(t, "nothing to be left of the run", func(ctx context.Context) error {
		inventory, err := driver(class).Inventory(ctx)
		if err != nil {
			return err
		}
		for _, s := range inventory.Snapshots {
			if volumes[s.SourceVolume] {
				return fmt.Errorf("snapshot %q of volume %q is on storage", s.ID, s.SourceVolume)
			}
		}
		return noObjects(ctx, namespace)
	})
}

func noObjects(ctx context.Context, namespace string) error {
	var groupContents groupv1.VolumeGroupSnapshotContentList
	var contents snapv1.VolumeSnapshotContentList
	var groups groupv1.VolumeGroupSnapshotList
	var members snapv1.VolumeSnapshotList
	for _, list := range []client.ObjectList{&groupContents, &contents, &groups, &members} {
		if err := admin.List(ctx, list); err != nil {
			return err
		}
	}
	for _, o := range groupContents.Items {
		if o.Spec.VolumeGroupSnapshotRef.Namespace == namespace {
			return fmt.Errorf("VolumeGroupSnapshotContent %q is there", o.Name)
		}
	}
	for _, o := range contents.Items {
		if o.Spec.VolumeSnapshotRef.Namespace == namespace {
			return fmt.Errorf("VolumeSnapshotContent %q is there", o.Name)
		}
	}
	for _, o := range groups.Items {
		if o.Namespace == namespace {
			return fmt.Errorf("VolumeGroupSnapshot %q is there", o.Name)
		}
	}
	for _, o := range members.Items {
		if o.Namespace == namespace {
			return fmt.Errorf("VolumeSnapshot %q is there, with finalizers %s", o.Name, o.Finalizers)
		}
	}
	return nil
}
