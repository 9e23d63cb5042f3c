package fault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// TestALoopAtRestAsksTheAPIServerNothing but to lead, though it has restore points, and a schedule to keep. Leading takes a
// request every two seconds, which shows that requests are counted. (Each watch is begun anew every five to ten minutes.)
func TestALoopAtRestAsksTheAPIServerNothing(t *testing.T) {
	const rest = 20 * time.Second
	vacate(t)
	l := start(t)
	p := newPair(t, "rest")
	for _, ns := range p {
		change(t, ns, func(o *corev1.Namespace) {
			metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.ScheduleAnnotation, "@yearly")
		})
	}
	p.ask(t)
	eventually(t, "the runs to end", p.answered)
	for _, ns := range p {
		settled(t, ns)
	}
	l.proxy.Set(nil)
	<-time.After(rest)
	all := l.proxy.Requests()
	others := slices.DeleteFunc(slices.Clone(all), func(r string) bool { return strings.Contains(r, "/leases/"+leadership.Name+"?") })
	if len(others) > 0 {
		t.Errorf("within %s of rest the loop asked %q, want nothing", rest, others)
	}
	if leading := len(all) - len(others); leading < 5 {
		t.Errorf("within %s the loop led by %d requests, want one every two seconds: are they counted?", rest, leading)
	}
}
