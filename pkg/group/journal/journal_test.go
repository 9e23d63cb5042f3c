package journal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestWhyNoSnapshotIsTaken(t *testing.T) {
	const (
		readable = `{"point":"pg-1","id":"x","claims":[{"name":"data","old":"u","new":{"metadata":{"name":"data","labels":{"group":"pg"}}}}]}`
		restored = `claim "data" is being restored in place from "pg-1", as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
		unknown  = `what is being restored in place is not known: ConfigMap "snapshot-group-restore" cannot be read, for ` +
			`its key journal.json does not parse: unexpected end of JSON input; delete it if no restore in place is unfinished`
	)
	for name, tc := range map[string]struct {
		data string
		why  func(Journal) string
		want string
	}{
		"a claim that is replaced":                 {readable, func(j Journal) string { return j.OfClaim("data") }, restored},
		"another claim":                            {readable, func(j Journal) string { return j.OfClaim("wal") }, ""},
		"a group of such a claim":                  {readable, func(j Journal) string { return j.OfGroup("any", "key", []string{"data", "wal"}) }, restored},
		"a group of other claims":                  {readable, func(j Journal) string { return j.OfGroup("any", "key", []string{"wal"}) }, ""},
		"its group while it is gone":               {readable, func(j Journal) string { return j.OfGroup("pg", "group", []string{"wal"}) }, restored},
		"a claim where the journal cannot be read": {"", func(j Journal) string { return j.OfClaim("wal") }, unknown},
		"a group where the journal cannot be read": {"", func(j Journal) string { return j.OfGroup("pg", "group", nil) }, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			j := Of(&corev1.ConfigMap{Data: map[string]string{Key: tc.data}})
			if diff := cmp.Diff(tc.want, tc.why(j)); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhyARestorePointIsNotDeleted(t *testing.T) {
	const (
		text    = `{"point":"pg-1","safety":{"name":"pg-safety-2"},"outdated":["pg-safety-1"]}`
		from    = `claims are being restored in place from it, as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
		secured = `what claims held before they are restored in place from "pg-1" is in it, as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
	)
	for name, want := range map[string]string{"pg-1": from, "pg-safety-1": secured, "pg-safety-2": secured, "pg-2": ""} {
		t.Run(name, func(t *testing.T) {
			j := Of(&corev1.ConfigMap{Data: map[string]string{Key: text}})
			if diff := cmp.Diff(want, j.OfPoint(name)); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
	for name, j := range map[string]Journal{"where there is none": {}, "where it has no safety snapshot": {Point: "pg-1"}} {
		if why := j.OfPoint("pg-2"); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}
