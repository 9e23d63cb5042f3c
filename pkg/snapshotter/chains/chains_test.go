package chains_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/chains"
)

// chainOf is the first letter of a step.
func chainOf(step string) string { return step[:1] }

func TestAChainEndsAtItsFirstFailureAndNoOtherDoes(t *testing.T) {
	bad := errors.New("bad")
	var mu sync.Mutex
	tried := map[string][]string{}
	done, err := chains.Do(strings.Fields("a1 b1 a2 b2 b3 c1"), chainOf, 8, func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		tried[chainOf(step)] = append(tried[chainOf(step)], step)
		if step == "b2" {
			return bad
		}
		return nil
	})
	if diff := cmp.Diff(strings.Fields("a1 b1 a2 c1"), done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{"a": {"a1", "a2"}, "b": {"b1", "b2"}, "c": {"c1"}}, tried); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
	if !errors.Is(err, bad) {
		t.Errorf("error %v, want %v", err, bad)
	}
}

func TestChainsGoSideBySideUpToALimit(t *testing.T) {
	const parallel = 2
	arrived, release := make(chan string), make(chan struct{})
	ended := make(chan []string)
	go func() {
		done, _ := chains.Do(strings.Fields("a1 b1 c1"), chainOf, parallel, func(step string) error {
			arrived <- step
			<-release
			return nil
		})
		ended <- done
	}()
	first := []string{<-arrived, <-arrived}
	slices.Sort(first)
	if diff := cmp.Diff(strings.Fields("a1 b1"), first); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	select {
	case step := <-arrived:
		t.Errorf("%s began beside %d others", step, parallel)
	default:
	}
	release <- struct{}{}
	if step := <-arrived; step != "c1" {
		t.Errorf("then %s, want c1", step)
	}
	close(release)
	if diff := cmp.Diff(strings.Fields("a1 b1 c1"), <-ended); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}
