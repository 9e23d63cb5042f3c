// Package lease keeps a group on one driver while nothing but a claim that is on its way says which.
//
// Two claims that are created at once each see an empty group, and no cache can tell them of each other. So the first
// claim of a group takes a Lease in its namespace whose holder is its driver, and a claim on another driver finds it held.
// Who relies on a Lease renews it, and the leader (Cleaner) deletes it only at the version at which it has seen the group
// without a claim for Quiet: whoever was admitted before has been stored by then, and whoever is admitted later has
// changed the version. No clock is compared with that of another machine.
//
// The claims decide, the Lease only stands in for those that cannot be seen yet: a Lease that the group's claims
// contradict is handed over, and a group with claims and no Lease is safe, because live claims are looked at before a
// Lease is taken.
package lease

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Quiet is how long a group must have had no claim before its Lease goes. The API server gives a request at most a minute
// (kube-apiserver --request-timeout), so a claim that was admitted under the Lease has been stored, or never will be; the
// rest is for the caches of the webhook's replicas, which may show a claim for a while after it has gone.
const Quiet = 90 * time.Second

// labelKeyAnnotation on a Lease is the group label's key by which its group was meant: a Namespace may change it.
const labelKeyAnnotation = group.LabelKeyAnnotation

// Group is a group as its claims spell it.
type Group struct {
	Namespace, LabelKey, Value string
}

// Key is the group's Lease: one name for each label key and value, 35 characters.
func (g Group) Key() types.NamespacedName {
	sum := sha256.Sum256([]byte(g.LabelKey + "\x00" + g.Value))
	return types.NamespacedName{Namespace: g.Namespace, Name: "snapshot-group-" + hex.EncodeToString(sum[:10])}
}

// groupOf is the group of a Lease.
func groupOf(l *coordinationv1.Lease) Group {
	return Group{Namespace: l.Namespace, LabelKey: l.Annotations[labelKeyAnnotation], Value: l.Labels[group.GroupLabel]}
}

// Holder is the driver that holds a Lease.
func Holder(l *coordinationv1.Lease) string { return ptr.Deref(l.Spec.HolderIdentity, "") }

func (g Group) lease(driver string, now time.Time) *coordinationv1.Lease {
	key, at := g.Key(), ptr.To(metav1.NewMicroTime(now))
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels:      map[string]string{group.GroupLabel: g.Value},
			Annotations: map[string]string{labelKeyAnnotation: g.LabelKey},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To(driver), AcquireTime: at, RenewTime: at,
			LeaseDurationSeconds: ptr.To(int32(Quiet / time.Second)),
		},
	}
}

// Cached is how a manager's cache must keep Leases: those of groups alone.
func Cached() cache.ByObject {
	ours, err := labels.NewRequirement(group.GroupLabel, selection.Exists, nil)
	if err != nil { // the key is a constant
		return cache.ByObject{Label: labels.Nothing()}
	}
	return cache.ByObject{Label: labels.NewSelector().Add(*ours), Transform: trim}
}

// trim passes on what is no Lease: a tombstone.
func trim(obj any) (any, error) {
	l, ok := obj.(*coordinationv1.Lease)
	if !ok {
		return obj, nil
	}
	out := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: l.Namespace, Name: l.Name, UID: l.UID, ResourceVersion: l.ResourceVersion,
		Labels:      map[string]string{group.GroupLabel: l.Labels[group.GroupLabel]},
		Annotations: map[string]string{labelKeyAnnotation: l.Annotations[labelKeyAnnotation]},
	}}
	out.Spec.HolderIdentity = l.Spec.HolderIdentity
	return out, nil
}
