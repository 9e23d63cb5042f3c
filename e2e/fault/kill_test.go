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
	// sure are the writes that it takes however quick the controllers are; nil: all that undisturbed work makes.
	sure []string
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
	calm := undisturbed(t, l, w)
	for _, m := range moments {
		t.Run(w.name+" "+m.name, func(t *testing.T) {
			killAtEach(t, l, killing{work: w, moment: m, calm: calm})
		})
	}
}

// ending is how undisturbed work ends.
type ending struct {
	state string
	// writes are those that the API server took. One that it refused, for an outdated view, need not come again.
	writes []string
}

// endings are those that are known, by the name of the work.
var endings = map[string]ending{}

// undisturbed has work done that nothing happens to, once for all tests.
func undisturbed(t *testing.T, l *loop, w work) ending {
	t.Helper()
	if known, is := endings[w.name]; is {
		return known
	}
	namespace := w.name + "-undisturbed"
	w.ready(t, l, namespace)
	l.proxy.Set(nil)
	w.begin(t, namespace)
	eventually(t, namespace+" to end", w.ended(namespace))
	e := ending{state: settled(t, namespace), writes: l.did()}
	t.Logf("%s undisturbed writes %q and leaves\n%s", w.name, e.writes, e.state)
	endings[w.name] = e
	return e
}

type killing struct {
	work   work
	moment moment
	calm   ending
}

func (k killing) namespace(i int) string {
	return fmt.Sprintf("%s-%s-%d", k.work.name, k.moment.name, i)
}

func killAtEach(t *testing.T, l *loop, k killing) {
	t.Helper()
	var namespaces []string
	for i := range k.calm.writes {
		namespaces = append(namespaces, k.namespace(i))
	}
	k.work.ready(t, l, namespaces...)
	for i := range k.calm.writes {
		killAt(t, l, k, i)
	}
	for _, ns := range namespaces { // once more: nothing came later
		becomes(t, ns, k.calm.state)
	}
}

// killAt kills the loop at the write of that index.
func killAt(t *testing.T, l *loop, k killing, index int) {
	t.Helper()
	write := k.calm.writes[index]
	nth := count(k.calm.writes[:index+1], write)
	namespace, victim := k.namespace(index), l.process
	l.proxy.Set(k.moment.at(write, nth, victim.Kill))
	k.work.begin(t, namespace)
	eventually(t, "the write to come or the work to end", func(ctx context.Context) error {
		if count(l.wrote(), write) >= nth {
			return nil
		}
		return k.work.ended(namespace)(ctx)
	})
	if count(l.wrote(), write) < nth {
		t.Errorf("the loop was not killed: it wrote %q, and no %q number %d", l.wrote(), write, nth)
		return
	}
	<-victim.Ended()
	l.start(t)
	eventually(t, fmt.Sprintf("the work to end after a kill at %q", write), k.work.ended(namespace))
	becomes(t, namespace, k.calm.state)
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
