package admit

import (
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestEverySeriesStartsAtZero(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewMetrics(reg, "v1.2.3", []policy.Rule{{ID: "r", Webhook: rule.Classes}})
	want := `
# HELP snapshot_group_admission_decisions_total Admission decisions by webhook, rule and outcome. Each request is counted once, under the first rule that brought its outcome about.
# TYPE snapshot_group_admission_decisions_total counter
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="claims"} 0
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="classes"} 0
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="groupsnapshots"} 0
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="labels"} 0
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="members"} 0
snapshot_group_admission_decisions_total{outcome="allowed",rule="none",webhook="namespaces"} 0
snapshot_group_admission_decisions_total{outcome="audited",rule="r",webhook="classes"} 0
snapshot_group_admission_decisions_total{outcome="denied",rule="r",webhook="classes"} 0
snapshot_group_admission_decisions_total{outcome="incomplete",rule="none",webhook="labels"} 0
snapshot_group_admission_decisions_total{outcome="patched",rule="none",webhook="labels"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="claims"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="classes"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="groupsnapshots"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="labels"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="members"} 0
snapshot_group_admission_decisions_total{outcome="undecided",rule="none",webhook="namespaces"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="claims"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="classes"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="groupsnapshots"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="labels"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="members"} 0
snapshot_group_admission_decisions_total{outcome="undecodable",rule="none",webhook="namespaces"} 0
snapshot_group_admission_decisions_total{outcome="warned",rule="r",webhook="classes"} 0
# HELP snapshot_group_build_info Always 1; the labels say what was built, and with which Go.
# TYPE snapshot_group_build_info gauge
snapshot_group_build_info{go_version="` + runtime.Version() + `",version="v1.2.3"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "snapshot_group_admission_decisions_total", "snapshot_group_build_info"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(reg, "snapshot_group_admission_duration_seconds"); n != 6 {
		t.Errorf("%d duration histograms, want one for each webhook", n)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
