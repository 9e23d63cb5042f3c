package snapshotter

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// Finalizers that snapshot-controller keeps on a ready VolumeSnapshot, and puts back where they are missing
// (external-snapshotter v8 pkg/utils.VolumeSnapshotAsSourceFinalizer, -BoundFinalizer).
const (
	asSourceFinalizer = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"
	boundFinalizer    = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
)

// members are the VolumeSnapshots owned by the VolumeGroupSnapshot, and those whose content belongs to the same group on
// storage: a released one is no longer owned.
func (s *sight) members(ctx context.Context) ([]plan.Member, error) {
	found, err := s.owned(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range s.contents {
		o, err := s.claimant(ctx, c)
		if err != nil {
			return nil, err
		}
		if o != nil && o.UID == c.Spec.VolumeSnapshotRef.UID {
			found[o.Name] = o
		}
	}
	all, err := cluster.Classes(ctx, s.cache)
	if err != nil {
		return nil, err
	}
	s.classes = all.Snapshot
	out := make([]plan.Member, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		m, err := s.member(ctx, found[name])
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *sight) owned(ctx context.Context) (map[string]*snapshotv1.VolumeSnapshot, error) {
	var list snapshotv1.VolumeSnapshotList
	uid := string(s.uid)
	if err := s.cache.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingFields{store.ByOwner: uid}); err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	found := map[string]*snapshotv1.VolumeSnapshot{}
	for i := range list.Items {
		found[list.Items[i].Name] = &list.Items[i]
	}
	return found, nil
}

// claimant is the VolumeSnapshot that a content was made for; nil if it is gone or was not made yet.
func (s *sight) claimant(ctx context.Context, c snapshotv1.VolumeSnapshotContent) (*snapshotv1.VolumeSnapshot, error) {
	ref := c.Spec.VolumeSnapshotRef
	o := &snapshotv1.VolumeSnapshot{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, o)
	switch {
	case apierrors.IsNotFound(err) || err == nil && ref.UID != "" && o.UID != ref.UID:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read VolumeSnapshot %q: %w", ref.Name, err)
	}
	return o, nil
}

// memberContents says of each content on storage what the plan needs.
func (s *sight) memberContents(ctx context.Context) ([]plan.MemberContent, error) {
	var out []plan.MemberContent
	for _, c := range s.contents {
		claimant, err := s.claimant(ctx, c)
		if err != nil {
			return nil, err
		}
		claimed, marked := claimant != nil && claims(claimant, c.Name), c.Annotations[group.MemberBeingDeletedAnnotation] != ""
		m := plan.MemberContent{
			Name: c.Name, UID: c.UID, Claimed: claimed, Deleting: c.DeletionTimestamp != nil,
			Freeable: c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete && (claimed || marked),
		}
		if st := c.Status; st != nil {
			m.Stored = ptr.Deref(st.SnapshotHandle, "") != ""
			m.Late = m.Stored && !ptr.Deref(st.ReadyToUse, true)
		}
		if m.Deleting {
			m.Deleted = c.DeletionTimestamp.Time
		}
		m.Nudged = nudged(&c)
		out = append(out, m)
	}
	return out, nil
}

// claims tells whether snapshot-controller deletes a content with its VolumeSnapshot: one that this names, or that has the name of that of a
// claim in no group.
func claims(o *snapshotv1.VolumeSnapshot, content string) bool {
	return content == soloContent(o.UID) || o.Status != nil && ptr.Deref(o.Status.BoundVolumeSnapshotContentName, "") == content
}

// nudged is when a content was last nudged; zero if it never was, or if the annotation is somebody's own words.
func nudged(o client.Object) time.Time {
	at, err := time.Parse(time.RFC3339Nano, o.GetAnnotations()[group.NudgedAnnotation])
	if err != nil {
		return time.Time{}
	}
	return at
}

func (s *sight) contentsOnStorage(ctx context.Context) ([]snapshotv1.VolumeSnapshotContent, error) {
	if s.handle == "" {
		return nil, nil
	}
	key := store.HandleKey(s.driver, s.handle)
	var list snapshotv1.VolumeSnapshotContentList
	if err := s.cache.List(ctx, &list, client.MatchingFields{store.ByGroupHandle: key}); err != nil {
		return nil, fmt.Errorf("list contents of members: %w", err)
	}
	own := slices.DeleteFunc(list.Items, func(c snapshotv1.VolumeSnapshotContent) bool {
		return c.Spec.VolumeSnapshotRef.Namespace != s.namespace // a restore elsewhere from the same storage
	})
	slices.SortFunc(own, func(a, b snapshotv1.VolumeSnapshotContent) int { return cmp.Compare(a.Name, b.Name) })
	return own, nil
}

// member reads one VolumeSnapshot with its content and its claim, where those exist.
func (s *sight) member(ctx context.Context, o *snapshotv1.VolumeSnapshot) (plan.Member, error) {
	out := plan.Member{
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		Claim:    ptr.Deref(o.Spec.Source.PersistentVolumeClaimName, ""),
		Label:    o.Labels[group.ClaimLabel],
		Owned:    slices.Contains(store.OwnerOf(o), string(s.uid)),
		Settled:  slices.Contains(o.Finalizers, asSourceFinalizer),
		Deleting: o.DeletionTimestamp != nil,
	}
	if o.Status != nil {
		out.Bound = ptr.Deref(o.Status.VolumeGroupSnapshotName, "") == s.name
		out.Error = message(o.Status.Error)
		if name := ptr.Deref(o.Status.BoundVolumeSnapshotContentName, ""); name != "" {
			if err := s.addContent(ctx, name, o, &out); err != nil {
				return out, err
			}
		}
	}
	out.Claim = cmp.Or(out.Claim, s.volumes[out.Handle])
	claim, err := s.claim(ctx, out.Claim)
	if err != nil {
		return out, err
	}
	err = s.addMissing(o, claim, &out)
	return out, err
}

// claim is nil where the claim, or its name, is gone.
func (s *sight) claim(ctx context.Context, name string) (*corev1.PersistentVolumeClaim, error) {
	if name == "" {
		return nil, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: name}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read claim %q: %w", name, err)
	}
	return claim, nil
}

func (s *sight) addContent(ctx context.Context, name string, o *snapshotv1.VolumeSnapshot, out *plan.Member) error {
	c := &snapshotv1.VolumeSnapshotContent{}
	err := s.cache.Get(ctx, types.NamespacedName{Name: name}, c)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read VolumeSnapshotContent %q: %w", name, err)
	}
	out.Handle, out.Cut, out.ContentVersion = ptr.Deref(c.Spec.Source.VolumeHandle, ""), timeOfCut(c), c.ResourceVersion
	if c.Status == nil {
		return nil
	}
	if out.Error == "" {
		out.Error = message(c.Status.Error)
	}
	out.Complete = ptr.Deref(o.Status.ReadyToUse, false) && out.Bound && !out.Deleting &&
		ptr.Deref(c.Status.SnapshotHandle, "") != "" && c.Spec.VolumeSnapshotRef.UID == o.UID
	return nil
}

// addMissing says which marks and class the member lacks. What is there stays, whatever its value: somebody set it.
func (s *sight) addMissing(o *snapshotv1.VolumeSnapshot, claim *corev1.PersistentVolumeClaim, out *plan.Member) error {
	if s.content == nil { // it has nothing to come from, and the member is not to stay
		return nil
	}
	var spec *group.ClaimSpec
	named := []group.Named{group.NamedByNamespace(group.SnapshotClassAnnotation, s.settings.SnapshotClass)}
	if claim != nil {
		spec = ptr.To(group.ClaimSpecOf(claim))
		named = slices.Insert(named, 0, group.NamedByClaim(claim.Name, group.VeleroClaimSnapshotClassAnnotation, claim.Annotations))
	}
	labels := s.content.Labels
	if s.snapshot != nil {
		labels = s.snapshot.Labels
	}
	marks, err := group.MemberMarks(labels, s.settings.Labels, out.Claim, spec)
	if err != nil {
		return fmt.Errorf("mark member %q: %w", o.Name, err)
	}
	out.Missing = group.Marks{Labels: absent(marks.Labels, o.Labels), Annotations: absent(marks.Annotations, o.Annotations)}
	// With a class that is not there, snapshot-controller (external-snapshotter 8.7) fails a member, and its detach would never end.
	choice := group.ChooseSnapshotClass(s.content.Spec.Driver, named, s.classes)
	if ptr.Deref(o.Spec.VolumeSnapshotClassName, "") == "" && choice.There(s.content.Spec.Driver, s.classes) {
		out.Class = choice.Name
	}
	return nil
}

// absent is what is wanted under keys that has does not hold; nil if nothing is.
func absent(wanted, has map[string]string) map[string]string {
	var out map[string]string
	for k, v := range wanted {
		if _, found := has[k]; !found {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// checkFree: snapshot-controller and the garbage collector delete the members that are owned or named by the group. The live look is
// one for all groups whose detach ends in this pass: a member that the pass releases after it is not free by it. What others have
// changed since, the cache shows within moments.
func (p *pass) checkFree(ctx context.Context, s plan.DeleteSnapshot) error {
	live, err := p.liveSnapshots(ctx)
	if err != nil {
		return fmt.Errorf("list members: %w", err)
	}
	var cached snapshotv1.VolumeSnapshotList
	if err := p.cached.List(ctx, &cached, client.InNamespace(p.ns.Name)); err != nil {
		return fmt.Errorf("list members: %w", err)
	}
	if err := checkFreeIn(live, s); err != nil {
		return err
	}
	return checkFreeIn(&cached, s)
}

func (p *pass) liveSnapshots(ctx context.Context) (*snapshotv1.VolumeSnapshotList, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snapshots == nil {
		var live snapshotv1.VolumeSnapshotList
		if err := p.Live.List(ctx, &live, client.InNamespace(p.ns.Name)); err != nil {
			return nil, err
		}
		p.snapshots = &live
	}
	return p.snapshots, nil
}

func checkFreeIn(all *snapshotv1.VolumeSnapshotList, s plan.DeleteSnapshot) error {
	for i := range all.Items {
		o := &all.Items[i]
		owner := group.OwnerGroupSnapshot(o.OwnerReferences)
		owned := owner != nil && owner.UID == s.UID
		bound := o.Status != nil && ptr.Deref(o.Status.VolumeGroupSnapshotName, "") == s.Name
		if owned || bound {
			return fmt.Errorf("member %q is not free: %w", o.Name, ErrStale)
		}
	}
	return nil
}
