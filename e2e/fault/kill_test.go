package fault_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// moments at which the loop is killed by SIGKILL: the write was not sent yet, or it was done and the loop never heard of it.
var moments = []moment{{"before", proxy.Before}, {"after", proxy.After}}

type moment struct {
	name string
	at   func(write string, n int, do func()) proxy.Fault
}

// TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen kills it in as many runs as an undisturbed one makes writes, at another write
// each, so a write that is new to the loop is covered by itself.
func TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen(t *testing.T) {
	l := start(t, alone)
	for _, workflow := range workflows {
		want, writes := undisturbed(t, l, workflow)
		for _, m := range moments {
			t.Run(string(workflow)+" "+m.name, func(t *testing.T) {
				killAtEach(t, l, killing{workflow: workflow, moment: m, writes: writes, want: want})
			})
		}
	}
}

// undisturbed is how a run ends that nothing happens to, and its writes.
func undisturbed(t *testing.T, l *loop, workflow group.Workflow) (state string, writes []string) {
	t.Helper()
	namespace := fmt.Sprintf("%s-undisturbed", workflow)
	ready(t, workflow, groups[:1], namespace)
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
	moment   moment
	// writes are those of an undisturbed run, and want is how it ends.
	writes []string
	want   string
}

func (k killing) namespace(i int) string {
	return fmt.Sprintf("%s-%s-%d", k.workflow, k.moment.name, i)
}

func killAtEach(t *testing.T, l *loop, k killing) {
	t.Helper()
	var namespaces []string
	for i := range k.writes {
		namespaces = append(namespaces, k.namespace(i))
	}
	ready(t, k.workflow, groups[:1], namespaces...)
	killed := map[string]bool{}
	for i, write := range k.writes {
		if killAt(t, l, k, i) {
			killed[write] = true
		}
	}
	for _, write := range k.writes {
		if !killed[write] {
			t.Errorf("the loop was never killed at %q", write)
		}
	}
	for _, ns := range namespaces { // once more: nothing came later
		becomes(t, ns, k.want)
	}
}

// killAt kills the loop at the write of that index. It tells whether there was one: a write that was refused for an outdated
// view is made once more, which another run may not need.
func killAt(t *testing.T, l *loop, k killing, index int) bool {
	t.Helper()
	write := k.writes[index]
	nth := count(k.writes[:index+1], write)
	namespace, victim := k.namespace(index), l.process
	l.proxy.Set(k.moment.at(write, nth, victim.Kill))
	ask(t, namespace)
	eventually(t, "the write to come or the run to end", func(ctx context.Context) error {
		if count(l.wrote(), write) >= nth {
			return nil
		}
		return answered(namespace)(ctx)
	})
	came := count(l.wrote(), write) >= nth
	if came {
		<-victim.Ended()
		l.start(t)
	}
	eventually(t, fmt.Sprintf("the run to end after a kill at %q", write), answered(namespace))
	becomes(t, namespace, k.want)
	return came
}

func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
