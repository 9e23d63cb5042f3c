package points

import (
	"context"
	"errors"
	"testing"
)

var errAway = errors.New("the API server is away")

// A person interrupts a watch at any moment, the middle of a listing included, which is no failure; one that fails by itself is.
func TestWhoInterruptsAWatchHasSeenEnough(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	if err := again(ctx, nil, func(context.Context) error { return errAway }); !errors.Is(err, errAway) {
		t.Errorf("a listing that failed: error %v, want %v", err, errAway)
	}
	err := again(ctx, nil, func(ctx context.Context) error {
		interrupt()
		return ctx.Err()
	})
	if err != nil {
		t.Errorf("interrupted in the middle of a listing: %v", err)
	}
}
