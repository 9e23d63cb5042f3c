package admit

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/cached"
)

func (w *world) sync(r *writer) {
	r.synced = w.version
	var claims, leases []any
	for _, c := range w.claims {
		claims = append(claims, cached.Claim(c))
	}
	if w.lease != nil {
		leases = append(leases, w.lease.DeepCopy())
	}
	if err := errors.Join(r.store.claims.Replace(claims, ""), r.store.leases.Replace(leases, "")); err != nil {
		panic(err)
	}
}

// Get, List, Create, Patch and Delete are the API server's.

func (w *world) Get(ctx context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	return step(ctx, "get", func() error {
		l, ok := o.(*coordinationv1.Lease)
		if !ok || w.lease == nil {
			return apierrors.NewNotFound(schema.GroupResource{}, "")
		}
		w.lease.DeepCopyInto(l)
		return nil
	})
}

func (w *world) List(ctx context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *coordinationv1.LeaseList:
		if w.lease != nil {
			l.Items = append(l.Items, *w.lease)
		}
	case *storagev1.StorageClassList:
		l.Items = append(l.Items, *storageClassObject("fast", "a.csi"), *storageClassObject("slow", "b.csi"))
	case *corev1.PersistentVolumeClaimList:
		return step(ctx, "list", func() error {
			for _, name := range slices.Sorted(maps.Keys(w.claims)) {
				l.Items = append(l.Items, *w.claims[name])
			}
			return nil
		})
	}
	return nil
}

func (w *world) Create(ctx context.Context, o client.Object, _ ...client.CreateOption) error {
	return step(ctx, "create", func() error {
		if w.lease != nil {
			return apierrors.NewAlreadyExists(schema.GroupResource{}, o.GetName())
		}
		w.write(o.(*coordinationv1.Lease))
		return nil
	})
}

func (w *world) write(l *coordinationv1.Lease) {
	w.version++
	w.lease = l.DeepCopy()
	w.lease.ResourceVersion = strconv.Itoa(w.version)
}

func (w *world) Patch(ctx context.Context, o client.Object, p client.Patch, _ ...client.PatchOption) error {
	return step(ctx, "patch", func() error {
		if w.lease == nil {
			return apierrors.NewNotFound(schema.GroupResource{}, o.GetName())
		}
		data, err := p.Data(o)
		patch, decodeErr := jsonpatch.DecodePatch(data)
		before, encodeErr := json.Marshal(w.lease)
		if err := errors.Join(err, decodeErr, encodeErr); err != nil {
			panic(err)
		}
		after, err := patch.Apply(before)
		if err != nil {
			return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		changed := &coordinationv1.Lease{}
		if err := json.Unmarshal(after, changed); err != nil {
			panic(err)
		}
		w.write(changed)
		return nil
	})
}

func (w *world) Delete(ctx context.Context, _ client.Object, opts ...client.DeleteOption) error {
	return step(ctx, "delete", func() error {
		var o client.DeleteOptions
		o.ApplyOptions(opts)
		switch {
		case w.lease == nil:
			return apierrors.NewNotFound(schema.GroupResource{}, "")
		case !w.lax && *o.Preconditions.ResourceVersion != w.lease.ResourceVersion:
			return apierrors.NewConflict(schema.GroupResource{}, "", errors.New("it has changed"))
		}
		w.version++
		w.lease = nil
		return nil
	})
}
