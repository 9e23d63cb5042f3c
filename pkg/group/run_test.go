package group

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLastRunRoundTrips(t *testing.T) {
	run := LastRun{ID: "20261122t150000z", Trigger: TriggerManual, Request: "1", Time: time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC),
		Outcome: Failed, Message: `group "db": no class`}
	const want = `{"id":"20261122t150000z","trigger":"manual","request":"1","time":"2026-11-22T15:00:00Z","outcome":"failed","message":"group \"db\": no class"}`
	if diff := cmp.Diff(want, run.String()); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
	got, err := ParseLastRun(map[string]string{LastRunAnnotation: want})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
}

func TestParseLastRun(t *testing.T) {
	if got, err := ParseLastRun(nil); err != nil || got != (LastRun{}) {
		t.Errorf("of no annotation = %v, %v; want the zero run", got, err)
	}
	_, err := ParseLastRun(map[string]string{LastRunAnnotation: "yesterday"})
	const want = `parse annotation "snapshot-group/last-run": invalid character 'y' looking for beginning of value`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
