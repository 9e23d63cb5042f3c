package restore

import (
	"context"
	"errors"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// Copies makes claims from a restore point beside those that there are.
type Copies struct {
	Client   client.WithWatch
	Reporter Reporter
	// LabelKey is the group label's key where the namespace names none.
	LabelKey string

	// Namespace is the point's own; the options name the one to copy to.
	Namespace, Point string
	Options          plan.CopyOptions
}

// Plan is what Run would make. It reads and asks, and writes nothing.
func (r *Copies) Plan(ctx context.Context) ([]plan.Copy, error) {
	p, err := Find(ctx, r.Client, r.Namespace, r.Point)
	if err != nil {
		return nil, err
	}
	key, err := r.labelKey(ctx)
	if err != nil {
		return nil, err
	}
	p.SelectedBy = append(p.SelectedBy, key)
	var f plan.CopyFacts
	if f.Originals, err = claimsOf(ctx, r.Client, r.Namespace); err != nil {
		return nil, err
	}
	f.Claims = f.Originals
	if r.Options.Namespace != r.Namespace {
		if err := r.Client.Get(ctx, types.NamespacedName{Name: r.Options.Namespace}, &corev1.Namespace{}); err != nil {
			if apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("namespace %q does not exist: make it first: kubectl create namespace %s; %w",
					r.Options.Namespace, r.Options.Namespace, plan.ErrRefused)
			}
			return nil, fmt.Errorf("read Namespace %q: %w", r.Options.Namespace, err)
		}
		if f.Claims, err = claimsOf(ctx, r.Client, r.Options.Namespace); err != nil {
			return nil, err
		}
	}
	if f.StorageClasses, err = storageClasses(ctx, r.Client); err != nil {
		return nil, err
	}
	return plan.Copies(p, r.Options, f)
}

// labelKey is the key of the group label in the point's namespace, which may be gone.
func (r *Copies) labelKey(ctx context.Context) (string, error) {
	var namespace corev1.Namespace
	err := r.Client.Get(ctx, types.NamespacedName{Name: r.Namespace}, &namespace)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("read Namespace %q: %w", r.Namespace, err)
	}
	settings, _ := group.ParseSettings(namespace.Annotations, r.LabelKey)
	return settings.LabelKey, nil
}

// DryRun asks the API server whether it would take the claims. Their sources need not be there for that.
func (r *Copies) DryRun(ctx context.Context, copies []plan.Copy) ([]plan.Copy, error) {
	out := make([]plan.Copy, 0, len(copies))
	for _, c := range copies {
		if !c.Exists {
			answered := c.Claim.DeepCopy()
			if err := r.Client.Create(ctx, answered, client.DryRunAll); err != nil {
				return nil, fmt.Errorf("create claim %q: %w; %w", c.Claim.Name, err, plan.ErrRefused)
			}
			answered.SetGroupVersionKind(c.Claim.GroupVersionKind())
			c.Claim = *answered
		}
		out = append(out, c)
	}
	return out, nil
}

// Run makes the copies, in the order of their claims. Those that an earlier Run has made stay as they are, so it may be run again.
func (r *Copies) Run(ctx context.Context, copies []plan.Copy) error {
	if _, err := r.DryRun(ctx, copies); err != nil {
		return err
	}
	for _, c := range copies {
		if c.Exists {
			r.Reporter.Did(fmt.Sprintf("claim %q is there already", c.Claim.Name))
			continue
		}
		if err := r.make(ctx, c); err != nil {
			return err
		}
		r.Reporter.Did(fmt.Sprintf("create claim %q from VolumeSnapshot %q", c.Claim.Name, c.Claim.Spec.DataSource.Name))
	}
	return nil
}

// make makes one copy, and what it is made from.
func (r *Copies) make(ctx context.Context, c plan.Copy) error {
	objects := []client.Object{c.Claim.DeepCopy()}
	if c.Content != nil {
		objects = []client.Object{c.Content.DeepCopy(), c.Snapshot.DeepCopy(), c.Claim.DeepCopy()}
	}
	for _, o := range objects {
		err := r.Client.Create(ctx, o)
		if apierrors.IsAlreadyExists(err) {
			err = r.checkOurs(ctx, c, o)
		}
		if err != nil {
			return fmt.Errorf("create %s %q: %w; what was created stays, and the same command goes on", kindOf(o), o.GetName(), err)
		}
	}
	return nil
}

// checkOurs is the error where a claim came, since all was planned, that is not the copy. What a copy is made from has a name of its own.
func (r *Copies) checkOurs(ctx context.Context, c plan.Copy, o client.Object) error {
	live, is := o.(*corev1.PersistentVolumeClaim)
	if !is {
		return nil
	}
	if err := r.Client.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
		return err
	}
	if !c.Is(live) {
		return c.Taken()
	}
	return nil
}

// Wait waits until the copies are bound, and takes away what served only to make them. Claims that bind only when a Pod uses
// them are not waited for, and keep that; they are returned.
func (r *Copies) Wait(ctx context.Context, copies []plan.Copy) (late []string, err error) {
	classes, err := storageClasses(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	watched, err := watch(ctx, r.Client, r.Options.Namespace, []plan.Kind{plan.Claims})
	if err != nil {
		return nil, err
	}
	defer watched.Stop()
	for {
		claims, err := claimsOf(ctx, r.Client, r.Options.Namespace)
		if err != nil {
			return nil, err
		}
		waiting, late, err := unbound(copies, claims, classes)
		if err != nil {
			return nil, err
		}
		if waiting == "" {
			return late, r.tidy(ctx, copies, claims)
		}
		r.Reporter.Waiting(fmt.Sprintf("claim %q to be bound", waiting))
		if err := watched.Next(ctx); err != nil {
			return nil, fmt.Errorf("waited for claim %q to be bound: %w; it goes on by itself, "+
				"and kubectl describe persistentvolumeclaim %s --namespace %s tells more",
				waiting, err, waiting, r.Options.Namespace)
		}
	}
}

// unbound are the first copy that is to be bound yet, and those that will be when a Pod uses them.
func unbound(copies []plan.Copy, claims map[string]*corev1.PersistentVolumeClaim, classes group.StorageClassList) (first string, late []string, err error) {
	for _, c := range copies {
		switch live := claims[c.Claim.Name]; {
		case live == nil:
			return "", nil, fmt.Errorf("claim %q was deleted while it was waited for: run the same command again", c.Claim.Name)
		case live.Status.Phase == corev1.ClaimBound:
		case bindsLate(live, classes):
			late = append(late, live.Name)
		case first == "":
			first = live.Name
		}
	}
	return first, late, nil
}

// tidy deletes the VolumeSnapshots that were made for copies in another namespace, and their contents, but for those that a claim, be it
// another command's, is still to be made from. The snapshots on storage
// stay: they are the restore point's.
func (r *Copies) tidy(ctx context.Context, copies []plan.Copy, claims map[string]*corev1.PersistentVolumeClaim) error {
	needed := map[string]bool{}
	for _, claim := range claims {
		if source := claim.Spec.DataSource; source != nil && claim.Status.Phase != corev1.ClaimBound {
			needed[source.Name] = true
		}
	}
	var errs []error
	for _, c := range copies {
		if c.Snapshot == nil || needed[c.Snapshot.Name] {
			continue
		}
		for _, o := range []client.Object{c.Snapshot.DeepCopy(), c.Content.DeepCopy()} {
			errs = append(errs, client.IgnoreNotFound(r.Client.Delete(ctx, o)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return nil
}

func bindsLate(c *corev1.PersistentVolumeClaim, classes group.StorageClassList) bool {
	class, found := classes.StorageClass(ptr.Deref(c.Spec.StorageClassName, ""))
	return found && ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer
}

func kindOf(o client.Object) string {
	switch o.(type) {
	case *snapshotv1.VolumeSnapshot:
		return "VolumeSnapshot"
	case *snapshotv1.VolumeSnapshotContent:
		return "VolumeSnapshotContent"
	default:
		return "claim"
	}
}
