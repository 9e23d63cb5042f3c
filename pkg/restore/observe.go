package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// observe gathers what plan.Next needs to know.
func (r *InPlace) observe(ctx context.Context) (plan.Observed, error) {
	o := plan.Observed{Now: r.Clock.Now(), Asked: r.Claims, Overrides: r.Overrides, Unsafe: r.Unsafe}
	var namespace corev1.Namespace
	if err := r.Client.Get(ctx, types.NamespacedName{Name: r.Namespace}, &namespace); err != nil {
		return o, fmt.Errorf("read Namespace %q: %w", r.Namespace, err)
	}
	settings, _ := group.ParseSettings(namespace.Annotations, r.LabelKey)
	o.NamespaceUID, o.GroupClass = namespace.UID, settings.GroupSnapshotClass
	if err := r.addJournal(ctx, &o); err != nil {
		return o, err
	}
	var err error
	// a restore that has begun can be ended without its point, once all claims are replaced
	gone := func() bool { return o.Journal != nil && (errors.Is(err, ErrNoPoint) || errors.Is(err, ErrGoing)) }
	if o.Point, err = Find(ctx, r.Client, r.Namespace, r.Point); err != nil && !gone() {
		return o, err
	}
	if err := r.addCluster(ctx, &o); err != nil {
		return o, err
	}
	if err := addUsers(ctx, r.Client, r.Namespace, &o); err != nil {
		return o, err
	}
	err = r.addSafety(ctx, settings, &o)
	return o, err
}

// addJournal adds that of the restore that has begun, if one has. One of another restore is in the way, unless its safety snapshot is restored.
func (r *InPlace) addJournal(ctx context.Context, o *plan.Observed) error {
	var held corev1.ConfigMap
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: journal.Name}, &held)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %q: %w", journal.Name, err)
	}
	j, err := plan.ParseJournal(held.Data[journal.Key])
	if err != nil {
		return fmt.Errorf("ConfigMap %q of namespace %q: %w", journal.Name, r.Namespace, err)
	}
	j.Version = held.ResourceVersion
	switch {
	case j.Point == r.Point && slices.Equal(j.Asked, r.Claims) && slices.Equal(j.Flags, r.Overrides.Flags()):
		o.Journal = j
	case j.Safety.Name == r.Point && len(r.Claims) == 0:
		o.Unfinished = j
	default:
		return fmt.Errorf("another restore in place is unfinished in namespace %q: finish it first: %s%s; %w",
			r.Namespace, command(r.Namespace, *j), back(r.Namespace, *j), plan.ErrRefused)
	}
	return nil
}

// back is how what was there before the restore of a journal is asked for, to follow the command that finishes it.
func back(namespace string, j plan.Journal) string {
	if j.Safety.Name == "" {
		return ""
	}
	return ", or go back to what was there before it: " + command(namespace, plan.Journal{Point: j.Safety.Name})
}

// command is how the restore of a journal is asked for.
func command(namespace string, j plan.Journal) string {
	words := []string{"kubectl snapshot-group restore", j.Point, "--in-place --namespace", namespace}
	for _, c := range j.Asked {
		words = append(words, "--claim", c)
	}
	return strings.Join(append(words, j.Flags...), " ")
}

func (r *InPlace) addCluster(ctx context.Context, o *plan.Observed) error {
	var err error
	if o.Claims, err = claimsOf(ctx, r.Client, r.Namespace); err != nil {
		return err
	}
	if o.StorageClasses, err = storageClasses(ctx, r.Client); err != nil {
		return err
	}
	var groupClasses groupsnapshotv1.VolumeGroupSnapshotClassList
	if err := r.Client.List(ctx, &groupClasses); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshotClasses: %w", err)
	}
	for i := range groupClasses.Items {
		o.GroupClasses = append(o.GroupClasses, group.GroupSnapshotClassOf(&groupClasses.Items[i]))
	}
	o.Volumes = map[string]*corev1.PersistentVolume{}
	for _, name := range volumesOf(*o) {
		v := &corev1.PersistentVolume{}
		err := r.Client.Get(ctx, types.NamespacedName{Name: name}, v)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read PersistentVolume %q: %w", name, err)
		}
		o.Volumes[name] = v
	}
	return nil
}

// volumesOf are the names of the volumes that are, or were, those of the claims to replace.
func volumesOf(o plan.Observed) []string {
	var names []string
	if o.Journal != nil {
		for _, c := range slices.Concat(o.Journal.Claims, o.Journal.Kept) {
			names = append(names, c.Volume)
			if live := o.Claims[c.Name]; live != nil {
				names = append(names, live.Spec.VolumeName)
			}
		}
	} else {
		for _, m := range o.Point.Members {
			if live := o.Claims[m.Claim]; live != nil {
				names = append(names, live.Spec.VolumeName)
			}
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// addSafety adds the safety snapshots of the journal.
func (r *InPlace) addSafety(ctx context.Context, settings group.Settings, o *plan.Observed) error {
	if o.Journal == nil {
		return nil
	}
	var err error
	if o.Safety, err = r.safety(ctx, o.Journal.Safety.Name, settings, o); err != nil {
		return err
	}
	o.Earlier = map[string]*plan.SafetySeen{}
	for _, name := range o.Journal.Outdated {
		if o.Earlier[name], err = r.safety(ctx, name, settings, o); err != nil {
			return err
		}
	}
	return nil
}

// safety is the safety snapshot of a name; nil where there is none.
func (r *InPlace) safety(ctx context.Context, name string, settings group.Settings, o *plan.Observed) (*plan.SafetySeen, error) {
	if name == "" {
		return nil, nil
	}
	vgs := &groupsnapshotv1.VolumeGroupSnapshot{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, vgs)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read VolumeGroupSnapshot %q: %w", name, err)
	}
	seen := &plan.SafetySeen{Deleting: vgs.DeletionTimestamp != nil}
	// one that does not tell is of no generation that there is, and another is taken
	_ = json.Unmarshal([]byte(vgs.Annotations[group.GenerationsAnnotation]), &seen.Generations)
	if seen.Deleting {
		return seen, nil
	}
	p, err := whole(ctx, r.Client, vgs, plan.Point{Namespace: r.Namespace, Name: name})
	if err != nil {
		return nil, err
	}
	seen.Lacks, seen.Failed = lacks(vgs, p), vgs.Status != nil && vgs.Status.Error != nil
	for _, m := range p.Members {
		seen.Covers = append(seen.Covers, m.Claim)
		live := o.Claims[m.Claim]
		if m.Spec != nil || live == nil || live.UID != oldOf(o.Journal, m.Claim) {
			continue // it is recorded, or the claim that it is of is gone
		}
		marks, err := group.MemberMarks(vgs.Labels, settings.Labels, m.Claim, ptr.To(group.ClaimSpecOf(live)))
		if err != nil {
			return nil, err
		}
		seen.Unmarked = append(seen.Unmarked, plan.Unmarked{Snapshot: m.Snapshot, Marks: marks})
	}
	return seen, nil
}

// oldOf is the UID of the claim of the name that is to be replaced.
func oldOf(j *plan.Journal, claim string) types.UID {
	for _, c := range j.Claims {
		if c.Name == claim {
			return c.Old
		}
	}
	return ""
}

// lacks is what a group snapshot lacks to be complete; empty once it is.
func lacks(vgs *groupsnapshotv1.VolumeGroupSnapshot, p plan.Point) string {
	ready := vgs.Status != nil && ptr.Deref(vgs.Status.ReadyToUse, false)
	switch {
	case vgs.Status != nil && vgs.Status.Error != nil:
		return ptr.Deref(vgs.Status.Error.Message, "it has failed and gives no reason")
	case !ready || p.Volumes == 0:
		return "it is being taken"
	case len(p.Members) < p.Volumes:
		return fmt.Sprintf("%d of %d members exist", len(p.Members), p.Volumes)
	}
	for _, m := range p.Members {
		if m.Problem != "" {
			return m.Problem
		}
	}
	return ""
}

func claimsOf(ctx context.Context, c client.Reader, namespace string) (map[string]*corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list claims of namespace %q: %w", namespace, err)
	}
	out := map[string]*corev1.PersistentVolumeClaim{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out, nil
}

func storageClasses(ctx context.Context, c client.Reader) (group.StorageClassList, error) {
	var list storagev1.StorageClassList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list StorageClasses: %w", err)
	}
	var out group.StorageClassList
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}
