package fault_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// moments at which the loop is killed by SIGKILL: the write was not sent yet, or it was done and the loop never heard of it.
var moments = []struct {
	name string
	at   func(n int, do func()) proxy.Fault
}{{"before", proxy.Before}, {"after", proxy.After}}

// TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen kills it at the first write of a run, at the second of another, and so on
// until a run ends without a further write, so a write that is new to the loop is covered by itself.
func TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen(t *testing.T) {
	l := start(t, alone)
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		want, writes := undisturbed(t, l, workflow)
		for _, m := range moments {
			t.Run(string(workflow)+" "+m.name, func(t *testing.T) {
				killAtEach(t, l, killing{workflow: workflow, moment: m.name, at: m.at, writes: writes, want: want})
			})
		}
	}
}

// undisturbed is how a run ends that nothing happens to, and its writes.
func undisturbed(t *testing.T, l *loop, workflow group.Workflow) (state string, writes []string) {
	t.Helper()
	namespace := fmt.Sprintf("%s-undisturbed", workflow)
	ready(t, workflow, []string{"pg"}, namespace)
	l.proxy.Set(nil)
	ask(t, namespace)
	eventually(t, "the run to end", answered(namespace))
	writes = l.wrote()
	state = settled(t, namespace)
	t.Logf("an undisturbed run of workflow %s writes %q and leaves\n%s", workflow, writes, state)
	return state, writes
}

type killing struct {
	workflow group.Workflow
	moment   string
	at       func(n int, do func()) proxy.Fault
	// writes are those of an undisturbed run, and want is how it ends.
	writes []string
	want   string
}

func (k killing) namespace(n int) string { return fmt.Sprintf("%s-%s-%d", k.workflow, k.moment, n) }

func killAtEach(t *testing.T, l *loop, k killing) {
	t.Helper()
	spare := len(k.writes) + 3
	var namespaces []string
	for n := range spare {
		namespaces = append(namespaces, k.namespace(n+1))
	}
	ready(t, k.workflow, []string{"pg"}, namespaces...)
	var killed []string
	for n := 1; ; n++ {
		if n > spare {
			t.Fatalf("the run still writes after %d writes; undisturbed it makes %q", spare, k.writes)
		}
		write := killAt(t, l, k, n)
		if write == "" {
			break
		}
		killed = append(killed, write)
	}
	t.Logf("killed at %q", killed)
	for _, w := range k.writes {
		if !slices.Contains(killed, w) {
			t.Errorf("the loop was never killed at %q", w)
		}
	}
	for n := range killed { // once more: nothing came later
		becomes(t, k.namespace(n+1), k.want)
	}
}

// killAt returns the write at which the loop was killed; empty if the run ended before its nth.
func killAt(t *testing.T, l *loop, k killing, n int) (write string) {
	t.Helper()
	namespace, victim := k.namespace(n), l.process
	l.proxy.Set(k.at(n, victim.Kill))
	ask(t, namespace)
	eventually(t, "the write to come or the run to end", func(ctx context.Context) error {
		if len(l.proxy.Writes()) >= n {
			return nil
		}
		return answered(namespace)(ctx)
	})
	if writes := l.wrote(); len(writes) >= n {
		write = writes[n-1]
		<-victim.Ended()
		l.start(t)
	}
	eventually(t, fmt.Sprintf("the run to end after a kill at %q", write), answered(namespace))
	becomes(t, namespace, k.want)
	return write
}
