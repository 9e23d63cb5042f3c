// Package settle holds a Namespace back until the cache shows what the loop has itself written.
package settle

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Timeout bounds how long the loop trusts that a write will show in the cache. An object that was deleted by
// somebody right after we wrote it never does.
const Timeout = 5 * time.Second

// Writes are those of the loop that the cache may not show yet. A plan made from an older view would do steps again: safely,
// but at the cost of writes that the API server refuses.
type Writes struct {
	cache client.Reader
	clock clock.PassiveClock

	mu     sync.Mutex
	writes map[string]map[types.UID]write // by Namespace
}

type write struct {
	object  client.Object // a copy as the API server answered; its resourceVersion is what the cache must reach
	deleted bool
	expires time.Time
}

// New returns Writes that look into a cache.
func New(cache client.Reader, c clock.PassiveClock) *Writes {
	return &Writes{cache: cache, clock: c, writes: map[string]map[types.UID]write{}}
}

// Wrote notes that o, as the API server returned it, was written on behalf of a Namespace.
func (s *Writes) Wrote(namespace string, o client.Object) {
	s.note(namespace, write{object: o})
}

// Deleted notes that the deletion of o was asked for.
func (s *Writes) Deleted(namespace string, o client.Object) {
	s.note(namespace, write{object: o, deleted: true})
}

func (s *Writes) note(namespace string, w write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.expires = s.clock.Now().Add(Timeout)
	if s.writes[namespace] == nil {
		s.writes[namespace] = map[types.UID]write{}
	}
	s.writes[namespace][w.object.GetUID()] = w
}

// Left is how long at most to wait for the cache; zero once it shows every write. The event that brings the cache
// forward also wakes the Namespace, so the wait is nearly always shorter.
func (s *Writes) Left(ctx context.Context, namespace string) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for uid, w := range s.writes[namespace] {
		shown, err := s.shows(ctx, w)
		if err != nil {
			return 0, err
		}
		if !shown && now.Before(w.expires) {
			return w.expires.Sub(now), nil
		}
		delete(s.writes[namespace], uid)
	}
	delete(s.writes, namespace)
	return 0, nil
}

func (s *Writes) shows(ctx context.Context, w write) (bool, error) {
	cached, _ := w.object.DeepCopyObject().(client.Object)
	err := s.cache.Get(ctx, client.ObjectKeyFromObject(w.object), cached)
	switch {
	case apierrors.IsNotFound(err):
		return w.deleted, nil
	case err != nil:
		return false, fmt.Errorf("look for own write of %q: %w", w.object.GetName(), err)
	case cached.GetUID() != w.object.GetUID():
		return true, nil // replaced since
	case w.deleted:
		return cached.GetDeletionTimestamp() != nil, nil
	}
	order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), w.object.GetResourceVersion())
	if err != nil {
		return false, fmt.Errorf("look for own write of %q: %w", w.object.GetName(), err)
	}
	return order >= 0, nil
}
