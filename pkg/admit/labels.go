package admit

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Labels is the mutating webhook for members: it gives a VolumeSnapshot that snapshot-controller makes its marks and its
// class at creation. It never stops a request: what it cannot do, the loop does later.
type Labels struct {
	facts     *Gatherer
	responder *Responder
}

// NewLabels makes the webhook.
func NewLabels(facts *Gatherer, responder *Responder) *Labels {
	return &Labels{facts: facts, responder: responder}
}

// Handle answers one review.
func (l *Labels) Handle(ctx context.Context, raw admission.Request) admission.Response {
	began := l.responder.clock.Now()
	snapshot, err := decodeSnapshot(raw)
	if err != nil {
		return l.responder.respond(labelsWebhook, began, raw, admitted(Undecodable, err))
	}
	owner := group.OwnerGroupSnapshot(snapshot.OwnerReferences)
	if owner == nil {
		return l.responder.respond(labelsWebhook, began, raw, admitted(Allowed, nil))
	}
	facts, err := l.facts.memberFacts(ctx, snapshot, owner)
	if err != nil {
		return l.responder.respond(labelsWebhook, began, raw, admitted(Undecided, fmt.Errorf("could not label: %w", err)))
	}
	return l.responder.respond(labelsWebhook, began, raw, labelled(snapshot, facts))
}

// memberFacts are what is known of a member that is being created.
type memberFacts struct {
	settings group.Settings
	// snapshot is the VolumeGroupSnapshot, claim the member's source; either is nil where it could not be found.
	snapshot *groupsnapshotv1.VolumeGroupSnapshot
	claim    *memberClaim
	// driver is empty where it could not be found out.
	driver          string
	snapshotClasses []group.Class
	// missing says what could not be found, for the log.
	missing []string
}

// memberClaim is what a member records of its claim.
type memberClaim struct {
	group       string // the value of the group label
	annotations map[string]string
	spec        group.ClaimSpec
}

// memberFacts gathers what can be found of a member of owner; what cannot is listed as missing. The error says that
// nothing can be done at all.
func (g *Gatherer) memberFacts(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, owner *metav1.OwnerReference) (memberFacts, error) {
	if !g.store.Synced() {
		return memberFacts{}, ErrNotSynced
	}
	namespace, err := g.namespace(ctx, snapshot.Namespace)
	if err != nil {
		return memberFacts{}, err
	}
	if !optedIn(namespace) {
		return memberFacts{}, fmt.Errorf("namespace %q is not labelled %s=%s", namespace.Name, group.OptInLabel, group.OptInValue)
	}
	f := memberFacts{snapshotClasses: g.store.snapshotClassList()}
	f.settings, _ = group.ParseSettings(namespace.Annotations, g.store.labelKey)
	if f.snapshot, err = g.groupSnapshot(ctx, snapshot.Namespace, owner); err != nil {
		f.missing = append(f.missing, err.Error())
	}
	name := ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, "")
	if claim, found := g.store.claim(snapshot.Namespace, name); found {
		f.claim = &memberClaim{group: claim.Labels[f.settings.LabelKey], annotations: claim.Annotations, spec: group.ClaimSpecOf(claim)}
		f.driver = g.store.driverOf(claim, g.store.storageClassList()).Name
	} else {
		f.missing = append(f.missing, fmt.Sprintf("claim %q is not known", name))
	}
	if f.driver == "" && f.snapshot != nil {
		f.driver = g.driverOfGroupClass(ptr.Deref(f.snapshot.Spec.VolumeGroupSnapshotClassName, ""))
	}
	return f, nil
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
