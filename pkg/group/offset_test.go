package group

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestOffsetSpreadsNamespacesAndStays(t *testing.T) {
	const jitter = 10 * time.Minute
	s := Settings{Jitter: jitter}
	minutes := [10]int{}
	for i := range 1000 {
		uid := types.UID(fmt.Sprintf("namespace-%d", i))
		offset := s.Offset(uid)
		if offset < 0 || offset >= jitter || offset%time.Second != 0 || offset != s.Offset(uid) {
			t.Fatalf("offset %s, want the same whole seconds below %s each time", offset, jitter)
		}
		minutes[offset/time.Minute]++
	}
	for minute, n := range minutes {
		if n < 60 || n > 140 {
			t.Errorf("%d of 1000 namespaces in minute %d, want about 100", n, minute)
		}
	}
	if got := (Settings{}).Offset("u"); got != 0 {
		t.Errorf("offset %s without jitter, want none", got)
	}
}
