// Package view looks at what a cache holds.
package view

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
)

// Of reads a cache's own objects, without a copy: copying a group of fifty members at each of their events would cost the loop more than
// all else. What it returns must not be changed.
func Of(cache client.Reader) client.Reader { return view{cache} }

type view struct{ client.Reader }

func (v view) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return v.Reader.Get(ctx, key, o, append(opts, client.UnsafeDisableDeepCopy)...)
}

func (v view) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return v.Reader.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...)
}

// All returns every object of a kind, as pointers to the cache's own, which must not be changed. A list would hold a copy of each, and
// with 50,000 of a kind that is a lot of memory at once.
type All func(ctx context.Context, kind client.Object) ([]any, error)

// Indexed is the like for those of a kind that an index of its informer has under a key.
type Indexed func(ctx context.Context, kind client.Object, index, key string) ([]any, error)

// AllOf is All of a cache that has begun.
func AllOf(informers cache.Informers) All {
	return func(ctx context.Context, kind client.Object) ([]any, error) {
		store, err := storeOf(ctx, informers, kind)
		if err != nil {
			return nil, err
		}
		return store.List(), nil
	}
}

// IndexedOf is Indexed of a cache that has begun.
func IndexedOf(informers cache.Informers) Indexed {
	return func(ctx context.Context, kind client.Object, index, key string) ([]any, error) {
		store, err := storeOf(ctx, informers, kind)
		if err != nil {
			return nil, err
		}
		return store.ByIndex(index, key)
	}
}

func storeOf(ctx context.Context, informers cache.Informers, kind client.Object) (toolscache.Indexer, error) {
	informer, err := informers.GetInformer(ctx, kind)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", cluster.Kinds(kind), err)
	}
	stored, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, fmt.Errorf("look at %s: their informer of type %T has no store", cluster.Kinds(kind), informer)
	}
	return stored.GetIndexer(), nil
}
