// Package view looks at what a cache holds.
package view

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
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
