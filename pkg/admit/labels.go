package admit

import (
	"context"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/member"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Labels is the mutating webhook for members: it gives a VolumeSnapshot that snapshot-controller makes its marks and its
// class at creation. It never stops a request: what it cannot do, the loop does later.
type Labels struct {
	facts *Gatherer
}

// NewLabels makes the webhook.
func NewLabels(facts *Gatherer) *Labels { return &Labels{facts: facts} }

// answer answers one review.
func (l *Labels) answer(ctx context.Context, raw admission.Request) answer {
	snapshot, err := decodeSnapshot(raw)
	if err != nil {
		return admitted(Undecodable, err)
	}
	owner := group.OwnerGroupSnapshot(snapshot.OwnerReferences)
	if owner == nil {
		return admitted(Allowed, nil)
	}
	facts, err := l.facts.memberFacts(ctx, snapshot, owner)
	if err != nil {
		return admitted(Undecided, fmt.Errorf("could not label: %w", err))
	}
	return labelled(snapshot, facts)
}

// labelled is the answer that gives a member its marks, as far as the facts go.
func labelled(snapshot *snapshotv1.VolumeSnapshot, f member.Facts) answer {
	patch, missing, err := member.Patch(snapshot, f)
	if err != nil {
		return admitted(Undecided, fmt.Errorf("could not label: %w", err))
	}
	missing = append(slices.Clone(f.Missing), missing...)
	switch {
	case len(missing) > 0:
		return patched(Incomplete, patch, missing)
	case len(patch) == 0:
		return admitted(Allowed, nil)
	default:
		return patched(Patched, patch, nil)
	}
}

// memberFacts gathers what can be found of a member of owner; what cannot is listed as missing. The error says that
// nothing can be done at all.
func (g *Gatherer) memberFacts(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, owner *metav1.OwnerReference) (member.Facts, error) {
	if !g.store.Synced() {
		return member.Facts{}, ErrNotSynced
	}
	namespace, err := g.namespace(ctx, snapshot.Namespace)
	if err != nil {
		return member.Facts{}, err
	}
	if !optedIn(namespace) {
		return member.Facts{}, fmt.Errorf("namespace %q is not labelled %s=%s", namespace.Name, group.OptInLabel, group.OptInValue)
	}
	known := g.store.classes()
	f := member.Facts{SnapshotClasses: known.Snapshot}
	f.Settings, _ = group.ParseSettings(namespace.Annotations, g.store.labelKey)
	if f.Snapshot, err = g.groupSnapshot(ctx, snapshot.Namespace, owner); err != nil {
		f.Missing = append(f.Missing, err.Error())
	}
	name := ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, "")
	if claim, err := g.claim(ctx, client.ObjectKey{Namespace: snapshot.Namespace, Name: name}); err != nil {
		f.Missing = append(f.Missing, err.Error())
	} else {
		f.Claim = &member.Claim{Group: claim.Labels[f.Settings.LabelKey], Annotations: claim.Annotations, Spec: group.ClaimSpecOf(claim)}
		f.Driver = g.store.driverOf(claim, known.Storage).Name
	}
	if f.Driver == "" && f.Snapshot != nil {
		f.Driver = g.driverOfGroupClass(ptr.Deref(f.Snapshot.Spec.VolumeGroupSnapshotClassName, ""))
	}
	return f, nil
}

// fromWatchCache is a read that an API server answers from memory. That is as new as what a watch of the same server tells.
var fromWatchCache = &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}}

// claim reads a claim whole: of its size and the like, which a member records, the cache has nothing.
func (g *Gatherer) claim(ctx context.Context, key client.ObjectKey) (*corev1.PersistentVolumeClaim, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := g.live.Get(ctx, key, claim, fromWatchCache); err != nil {
		return nil, fmt.Errorf("read claim %q: %w", key.Name, err)
	}
	return claim, nil
}

// groupSnapshot finds the VolumeGroupSnapshot that owns a member. It may be milliseconds old, and one of the same name may
// have been deleted just before it, so what the cache lacks or knows by another UID is read from the API server.
func (g *Gatherer) groupSnapshot(ctx context.Context, namespace string, owner *metav1.OwnerReference) (*groupsnapshotv1.VolumeGroupSnapshot, error) {
	key := client.ObjectKey{Namespace: namespace, Name: owner.Name}
	if cached, found := lookup[*groupsnapshotv1.VolumeGroupSnapshot](g.store.groupSnapshots, key.String()); found && cached.UID == owner.UID {
		return cached, nil
	}
	live := &groupsnapshotv1.VolumeGroupSnapshot{}
	if err := g.live.Get(ctx, key, live); err != nil {
		return nil, fmt.Errorf("read VolumeGroupSnapshot %q: %w", owner.Name, err)
	}
	if live.UID != owner.UID {
		return nil, fmt.Errorf("read VolumeGroupSnapshot %q: it has UID %q and the owner has %q", owner.Name, live.UID, owner.UID)
	}
	return live, nil
}

// driverOfGroupClass is the driver of a VolumeGroupSnapshotClass: what is left to go by where the claim is gone.
func (g *Gatherer) driverOfGroupClass(name string) string {
	class, found := lookup[*groupsnapshotv1.VolumeGroupSnapshotClass](g.store.groupSnapshotClasses, name)
	if !found {
		return ""
	}
	return class.Driver
}
