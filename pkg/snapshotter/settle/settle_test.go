package settle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestWritesAreWaitedForAndNotForEver(t *testing.T) {
	cache := fake.NewClientBuilder().WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "ns"}}).Build()
	clock := testingclock.NewFakePassiveClock(noon)
	at := func(version string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "ns", ResourceVersion: version}}
	}
	absent := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new", UID: "new", ResourceVersion: "7"}}
	for name, tc := range map[string]struct {
		note func(*Writes)
		wait time.Duration
	}{
		"nothing written, nothing to wait for":            {func(*Writes) {}, 0},
		"a write that shows is not waited for":            {func(s *Writes) { s.Wrote("db", at("1")) }, 0},
		"a write that does not show is waited for":        {func(s *Writes) { s.Wrote("db", at("1000000")) }, Timeout},
		"a creation that does not show is waited for":     {func(s *Writes) { s.Wrote("db", absent) }, Timeout},
		"a deletion that does not show is waited for":     {func(s *Writes) { s.Deleted("db", at("1")) }, Timeout},
		"a deletion that shows is not waited for":         {func(s *Writes) { s.Deleted("db", absent) }, 0},
		"a write for another namespace is not waited for": {func(s *Writes) { s.Wrote("other", at("1000000")) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			clock.SetTime(noon)
			s := New(cache, clock)
			tc.note(s)
			left, err := s.Left(t.Context(), "db")
			if err != nil || left != tc.wait {
				t.Errorf("left %s, error %v, want %s", left, err, tc.wait)
			}
			clock.SetTime(noon.Add(Timeout))
			if left, err := s.Left(t.Context(), "db"); err != nil || left != 0 {
				t.Errorf("after the timeout left %s, error %v, want 0", left, err)
			}
		})
	}
}
