package fault_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
)

// moments at which the loop is killed by SIGKILL: the write was not sent yet, or it was done and the loop never heard of it.
var moments = []moment{{"before", proxy.Before}, {"after", proxy.After}}

type moment struct {
	name string
	at   func(write string, n int, do func()) proxy.Fault
}

// work is what a loop is killed in.
type work struct {
	// name begins the names of the namespaces.
	name string
	// ready makes namespaces in which nothing is left to do but this, begin asks one for it, ended tells whether it was done.
	ready func(t *testing.T, l *loop, namespaces ...string)
	begin func(t *testing.T, namespace string)
	ended func(namespace string) func(context.Context) error
}

// TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen kills it in as many runs as an undisturbed one makes writes, at another write
// each, so a write that is new to the loop is covered by itself.
func TestALoopKilledAtAnyWriteEndsAsIfItHadNotBeen(t *testing.T) {
	l := start(t, alone)
	for _, workflow := range workflows {
		killEverywhere(t, l, work{
			name: string(workflow), begin: ask, ended: answered,
			ready: func(t *testing.T, _ *loop, namespaces ...string) {
				t.Helper()
				ready(t, workflow, groups[:1], namespaces...)
			},
		})
	}
}

func killEverywhere(t *testing.T, l *loop, w work) {
	t.Helper()
	want, writes := undisturbed(t, l, w)
	for _, m := range moments {
		t.Run(w.name+" "+m.name, func(t *testing.T) {
			killAtEach(t, l, killing{work: w, moment: m, writes: writes, want: want})
		})
	}
}

// undisturbed is how work ends that nothing happens to, and its writes.
func undisturbed(t *testing.T, l *loop, w work) (state string, writes []string) {
	t.Helper()
	namespace := w.name + "-undisturbed"
	w.ready(t, l, namespace)
	l.proxy.Set(nil)
	w.begin(t, namespace)
	eventually(t, namespace+" to end", w.ended(namespace))
	writes = l.wrote()
	state = settled(t, namespace)
	t.Logf("%s undisturbed writes %q and leaves\n%s", w.name, writes, state)
	return state, writes
}

type killing struct {
	work   work
	moment moment
	// writes are those of undisturbed work, and want is how it ends.
	writes []string
	want   string
}

func (k killing) namespace(i int) string {
	return fmt.Sprintf("%s-%s-%d", k.work.name, k.moment.name, i)
}

func killAtEach(t *testing.T, l *loop, k killing) {
	t.Helper()
	var namespaces []string
	for i := range k.writes {
		namespaces = append(namespaces, k.namespace(i))
	}
	k.work.ready(t, l, namespaces...)
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
// view is made once more, which another try may not need.
func killAt(t *testing.T, l *loop, k killing, index int) bool {
	t.Helper()
	write := k.writes[index]
	nth := count(k.writes[:index+1], write)
	namespace, victim := k.namespace(index), l.process
	l.proxy.Set(k.moment.at(write, nth, victim.Kill))
	k.work.begin(t, namespace)
	eventually(t, "the write to come or the work to end", func(ctx context.Context) error {
		if count(l.wrote(), write) >= nth {
			return nil
		}
		return k.work.ended(namespace)(ctx)
	})
	came := count(l.wrote(), write) >= nth
	if came {
		<-victim.Ended()
		l.start(t)
	}
	eventually(t, fmt.Sprintf("the work to end after a kill at %q", write), k.work.ended(namespace))
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
