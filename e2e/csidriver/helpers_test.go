package csidriver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// patience is how long a test waits for a driver to do what it does at once.
const patience = 20 * time.Second

// eventually waits until check returns nil, and ends the test with its last error if it never does.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	if err := within(t.Context(), patience, check); err != nil {
		t.Fatalf("waited %s for %s: %v", patience, what, err)
	}
}

func within(ctx context.Context, limit time.Duration, check func() error) error {
	over := time.After(limit)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-over:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// received waits for what a call in the background ends with.
func received(t *testing.T, what string, result <-chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		return nil
	}
}

// refusal checks that err is the status, message and all; it returns what is wrong, or "".
func refusal(err error, code codes.Code, message string) string {
	type answer struct {
		Code    codes.Code
		Message string
	}
	got := status.Convert(err)
	return cmp.Diff(answer{code, message}, answer{got.Code(), got.Message()})
}

func refused(t *testing.T, err error, code codes.Code, message string) {
	t.Helper()
	if diff := refusal(err, code, message); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestTheHelpersOfTheseTestsSeeFailure(t *testing.T) {
	no := status.Error(codes.NotFound, "no")
	for name, diff := range map[string]string{
		"a call that was not refused":      refusal(nil, codes.NotFound, "no"),
		"a refusal with another code":      refusal(no, codes.Aborted, "no"),
		"a refusal with a longer message":  refusal(no, codes.NotFound, "no, never"),
		"a refusal with a shorter message": refusal(no, codes.NotFound, "n"),
	} {
		if diff == "" {
			t.Errorf("%s is taken for the one that was wanted", name)
		}
	}
	if diff := refusal(no, codes.NotFound, "no"); diff != "" {
		t.Errorf("the refusal that was wanted is not recognised:\n%s", diff)
	}
	never := errors.New("never")
	if err := within(t.Context(), time.Millisecond, func() error { return never }); !errors.Is(err, never) {
		t.Errorf("waiting for what never comes ended with %v, want its own error", err)
	}
}
