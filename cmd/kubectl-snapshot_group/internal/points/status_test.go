package points

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
)

func TestTheStatusOfANamespace(t *testing.T) {
	const rest = `"nextRun":null,"lastRun":null,"lastSuccess":null,"groups":[],"ungroupedClaims":[],"restorePoints":0,"completeRestorePoints":0,`
	for name, tc := range map[string]struct {
		annotations map[string]string
		want        string
	}{
		"where nothing is, has empty lists": {nil, rest + `"violations":[]`},
		"whose last run cannot be read, says so among what is wrong": {map[string]string{"snapshot-group/last-run": "{"},
			rest + `"violations":["parse annotation \"snapshot-group/last-run\": unexpected end of JSON input"]`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session.Session{LabelKey: "group", Clock: testclock.NewFakePassiveClock(time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC))}
			n := statusIn(corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: tc.annotations}}, groups.Found{}, s)
			got, err := json.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(`{"namespace":"shop",`+tc.want+"}", string(got)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}
