package group

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestRunIDsRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 0, 0, 999, time.FixedZone("CET", 3600))
	id := RunID(at)
	if id != "20261122t150000z" {
		t.Errorf("RunID = %q, want 20261122t150000z", id)
	}
	if got, ok := RunTime(id); !ok || !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("RunTime(%q) = %s, %t", id, got, ok)
	}
	for _, bad := range []string{"", "20261122T150000Z", "20261122t150000", "20261322t150000z", "nightly"} {
		if got, ok := RunTime(bad); ok {
			t.Errorf("RunTime(%q) = %s, want none", bad, got)
		}
	}
}

func TestSnapshotName(t *testing.T) {
	const run = "20261122t150000z"
	for name, tc := range map[string]struct{ group, want string }{
		"the group, the run and a hash":                  {"db-cluster-1", "db-cluster-1-20261122t150000z-cbfd8"},
		"what a name may not hold becomes a dash":        {"Db_Cluster.1", "db-cluster-1-20261122t150000z-2335a"},
		"a long group is cut, never the run or the hash": {strings.Repeat("g", 63), strings.Repeat("g", 40) + "-20261122t150000z-812e3"},
		"a group that leaves nothing":                    {"_", "group-20261122t150000z-89a5a"},
	} {
		t.Run(name, func(t *testing.T) {
			got := SnapshotName("uid-1", tc.group, run)
			if got != tc.want {
				t.Errorf("name = %q, want %q", got, tc.want)
			}
			if why := validation.IsDNS1123Label(got); why != nil {
				t.Errorf("%q is no object name: %v", got, why)
			}
		})
	}
	if SnapshotName("uid-1", "db", run) == SnapshotName("uid-2", "db", run) {
		t.Error("two namespaces share a name")
	}
}

func TestLabelValue(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"63 characters fit":           {strings.Repeat("a", 63), strings.Repeat("a", 63)},
		"64 are cut to 57 and a hash": {strings.Repeat("a", 64), strings.Repeat("a", 57) + "ffe054"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := LabelValue(tc.in); got != tc.want {
				t.Errorf("label value = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestClaimSnapshotName(t *testing.T) {
	const run = "20261122t150000z"
	for name, tc := range map[string]struct{ claim, want string }{
		"another than that of a group of the same name": {"db-cluster-1", "db-cluster-1-20261122t150000z-"},
		"a long claim is cut":                           {strings.Repeat("c.", 126), strings.Repeat("c-", 19) + "c-20261122t150000z-"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ClaimSnapshotName("uid-1", tc.claim, run)
			if !strings.HasPrefix(got, tc.want) || len(got) != len(tc.want)+5 || got == SnapshotName("uid-1", tc.claim, run) {
				t.Errorf("name = %q, want %q and five more", got, tc.want)
			}
			if why := validation.IsDNS1123Label(got); why != nil {
				t.Errorf("name %q is not valid: %v", got, why)
			}
			if other := ClaimSnapshotName("uid-2", tc.claim, run); other == got {
				t.Errorf("name %q is the same in another namespace", got)
			}
		})
	}
}
