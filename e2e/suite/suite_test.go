package suite

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAwaitAsksUntilThereIsNoError(t *testing.T) {
	asked := 0
	err := await(t.Context(), time.Minute, func(context.Context) error {
		asked++
		if asked < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times, error %v, want 3 and none", asked, err)
	}
}

func TestAwaitEndsWithTheLastError(t *testing.T) {
	never := errors.New("never")
	err := await(t.Context(), 2*interval, func(ctx context.Context) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return never
	})
	if !errors.Is(err, never) {
		t.Errorf("error = %v, want %v", err, never)
	}
}
