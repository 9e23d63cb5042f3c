package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrContended reports that a Lease changed hands, or came and went, each time it was looked at. The request may be sent
// again in a moment.
var ErrContended = errors.New("the Lease changes all the time")

// attempts is how often a Lease that changes underfoot is tried for. Each change means that somebody else got on.
const attempts = 5

// Writer is what a Keeper writes with.
type Writer interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error
}

// Keeper takes and renews Leases. It keeps nothing in memory: a replica that dies leaves what the next one can go by.
type Keeper struct {
	live   client.Reader
	writer Writer
	clock  clock.PassiveClock
	owners Owners
}

// Owners returns what must be there for Leases to stay: garbage collection deletes those whose owners have all gone. Where it returns none,
// the product is being uninstalled, and no Lease is taken any more that nobody would delete.
type Owners func(context.Context) ([]metav1.OwnerReference, error)

// NewKeeper makes a Keeper; live reads from the API server itself.
func NewKeeper(live client.Reader, writer Writer, clock clock.PassiveClock, owners Owners) *Keeper {
	return &Keeper{live: live, writer: writer, clock: clock, owners: owners}
}

// Ask is what a claim asks for: to be in Group with Driver.
type Ask struct {
	Group  Group
	Driver string
	// Present: the group has live claims, and all of them are on Driver. A Lease of another driver is then out of date.
	Present bool
	// DryRun: nothing is written.
	DryRun bool
}

// Hold returns the driver that holds the Lease of the group: Driver, if it was free, held by Driver already or out of
// date, and the claim may then be admitted; else another, and it must not be. Unless it was a dry run or there are no
// owners, the Lease was written when Hold returns Driver.
func (k *Keeper) Hold(ctx context.Context, a Ask) (string, error) {
	if a.DryRun {
		return k.wouldHold(ctx, a)
	}
	for range attempts {
		holder, err := k.try(ctx, a)
		if err != nil {
			return "", fmt.Errorf("take Lease %q: %w", a.Group.Key().Name, err)
		}
		if holder == a.Driver || (holder != "" && !a.Present) {
			return holder, nil
		}
		if holder == "" {
			continue // it went, or changed hands, between two looks
		}
		if err := k.patch(ctx, a.Group, holder, a.Driver); err == nil {
			return a.Driver, nil
		} else if !moved(err) {
			return "", fmt.Errorf("take Lease %q over from %q: %w", a.Group.Key().Name, holder, err)
		}
	}
	return "", fmt.Errorf("take Lease %q: %w", a.Group.Key().Name, ErrContended)
}

// try creates the Lease or, where there is one, renews it for the driver or reads who holds it. The holder is empty where the
// Lease changed in between.
func (k *Keeper) try(ctx context.Context, a Ask) (string, error) {
	owners, err := k.owners(ctx)
	if err != nil {
		return "", err
	}
	if len(owners) == 0 {
		return a.Driver, nil
	}
	l := a.Group.lease(a.Driver, k.clock.Now())
	l.OwnerReferences = owners
	err = k.writer.Create(ctx, l)
	if err == nil {
		return a.Driver, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return "", err
	}
	if err := k.patch(ctx, a.Group, a.Driver, a.Driver); err == nil {
		return a.Driver, nil
	} else if !moved(err) {
		return "", err
	}
	holder, err := k.holder(ctx, a.Group)
	if holder == a.Driver {
		return "", err // it was another's when it was to be renewed
	}
	return holder, err
}

// wouldHold is Hold for a dry run.
func (k *Keeper) wouldHold(ctx context.Context, a Ask) (string, error) {
	holder, err := k.holder(ctx, a.Group)
	if err != nil {
		return "", err
	}
	if holder == "" || a.Present {
		return a.Driver, nil
	}
	return holder, nil
}

// holder is empty where there is no Lease.
func (k *Keeper) holder(ctx context.Context, g Group) (string, error) {
	l := &coordinationv1.Lease{}
	err := k.live.Get(ctx, g.Key(), l)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read Lease %q: %w", g.Key().Name, err)
	}
	return Holder(l), nil
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// patch renews the Lease and makes to its holder, if from is. Comparing and writing are one request, so that twenty claims
// that renew a Lease at once do not get into each other's way, as they would with optimistic locking.
func (k *Keeper) patch(ctx context.Context, g Group, from, to string) error {
	data, err := json.Marshal([]operation{
		{"test", "/spec/holderIdentity", from},
		{"replace", "/spec/holderIdentity", to},
		{"replace", "/spec/renewTime", k.clock.Now().UTC().Format(metav1.RFC3339Micro)},
	})
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	key := g.Key()
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	return k.writer.Patch(ctx, l, client.RawPatch(types.JSONPatchType, data))
}

// moved is whether a patch failed because the Lease has gone or is held by another: a JSON patch whose test fails is 422.
func moved(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsInvalid(err) }
