package loop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestABadEditWipesNoHistory(t *testing.T) {
	l := start(t)
	h := withHistory(t, "expire-pause", 4, nil)
	annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
	token := h.paused(t, l, `3 of 4 complete restore points of group "pg" would expire at once`)
	h.becomes(t, keptPoints(4))
	annotate(t, h.namespace, map[string]string{group.ConfirmExpiryAnnotation: token})
	h.becomes(t, keptPoints(1))
	h.goesOn(t, l)
}

// What each run makes superfluous, one of each group and claim, is more than the limit here.
func TestAnEditThatLetsGoOfMoreThanTheLimitWaitsUntilItIsConfirmed(t *testing.T) {
	l := start(t, "--max-expire-per-pass=2")
	h := withHistory(t, "expire-limit", 0, map[string]string{group.KeepAnnotation: "3"})
	h.claim(t, "logs")
	h.claim(t, "cache")
	last := ""
	for i := range 4 {
		last = h.run(t, fmt.Sprint(i))
	}
	const three = "9 complete: 3 VGS, 3 VGSC, 12 VS, 12 VSC; on storage 4 groups, 12 snapshots" // those in no group are counted as one
	h.becomes(t, three)
	l.tells(t, `snapshot_group_expired_total{outcome="expired"}`, "3")
	annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "2"})
	token := h.paused(t, l, "3 restore points would expire at once since keep=3 in UTC was edited to keep=2 in UTC, more than 2")
	annotate(t, h.namespace, map[string]string{group.RunNowAnnotation: "4 groups=none"}) // fails at once, and expiry looks again
	ended(t, h.namespace, last)
	l.tells(t, `snapshot_group_expired_total{outcome="expired"}`, "3")
	h.becomes(t, three)
	annotate(t, h.namespace, map[string]string{group.ConfirmExpiryAnnotation: token})
	h.becomes(t, "6 complete: 2 VGS, 2 VGSC, 8 VS, 8 VSC; on storage 3 groups, 8 snapshots")
	l.tells(t, `snapshot_group_expired_total{outcome="expired"}`, "6")
	h.goesOn(t, l)
}

// paused waits until expiry is paused, for a reason that the annotation, one Event and a metric tell, and returns the token that
// confirms it.
func (h *history) paused(t *testing.T, l *loop, reason string) (token string) {
	t.Helper()
	var why string
	eventually(t, time.Minute, "expiry to pause", func(ctx context.Context) error {
		has, err := annotations(ctx, h.namespace)
		if why = has[group.ExpiryPausedAnnotation]; why == "" {
			err = errors.Join(err, errors.New("it does not say so"))
		}
		return err
	})
	_, rest, _ := strings.Cut(why, group.ConfirmExpiryAnnotation+"=")
	token, _, _ = strings.Cut(rest, ";")
	want := fmt.Sprintf("%s; nothing of this namespace expires until that is confirmed: kubectl annotate --overwrite namespace %s %s=%s; else correct %s",
		reason, h.namespace, group.ConfirmExpiryAnnotation, token, group.KeepAnnotation)
	if why != want || token == "" {
		t.Fatalf("paused: %s\nwant: %s", why, want)
	}
	l.tells(t, h.pausedMetric(), "1")
	told := slices.DeleteFunc(events(t, h.namespace), func(e string) bool { return e != "Warning ExpiryPaused: "+want })
	if len(told) != 1 {
		t.Errorf("told %d times, want once: %s", len(told), events(t, h.namespace))
	}
	return token
}

// goesOn waits until expiry is not paused any more.
func (h *history) goesOn(t *testing.T, l *loop) {
	t.Helper()
	eventually(t, time.Minute, "the pause to end", func(ctx context.Context) error {
		has, err := annotations(ctx, h.namespace)
		if has[group.ExpiryPausedAnnotation] != "" {
			err = errors.Join(err, errors.New("it goes on"))
		}
		return err
	})
	l.tells(t, h.pausedMetric(), "")
}

func (h *history) pausedMetric() string {
	return fmt.Sprintf("snapshot_group_expiry_paused{namespace=%q}", h.namespace)
}
