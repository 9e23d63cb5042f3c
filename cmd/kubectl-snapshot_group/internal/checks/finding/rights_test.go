package finding

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsNotLookedAtIsToldAndNothingIsMadeOfIt(t *testing.T) {
	for name, tc := range map[string]struct {
		part   Part
		breaks func(*Facts) // as it looks where nothing of the part is known
	}{
		"CSIDrivers":                     {CSIDrivers, func(f *Facts) { f.Cluster.CSIDrivers = nil }},
		"Leases":                         {Leases, func(f *Facts) { f.Cluster.Leases = nil }},
		"workloads":                      {Workloads, func(f *Facts) { f.Cluster.Programs = nil }},
		"the webhook configurations":     {Webhooks, func(f *Facts) { f.Cluster.Webhooks = nil }},
		"a webhook's EndpointSlices":     {Webhooks, func(f *Facts) { f.Cluster.Webhooks[0].Ready = 0 }},
		"the classes of group snapshots": {Classes, func(f *Facts) { f.Cluster.Classes.GroupSnapshot = nil }},
		"volumes, by which to find drivers": {Volumes, func(f *Facts) {
			f.Namespaces[0].Groups[0].Facts.Members[0].Driver.Name = "guessed"
		}},
		"namespaces":              {Inside, func(f *Facts) { f.Namespaces = nil }},
		"contents":                {Contents, func(*Facts) {}},
		"what is left over by it": {Leftovers, func(*Facts) {}},
	} {
		t.Run(name, func(t *testing.T) {
			f := well(t)
			tc.breaks(&f)
			f.Unseen = map[Part]string{tc.part: "forbidden"}
			var got []Finding
			for _, found := range All(f) {
				if found.Severity != Passed {
					got = append(got, found)
				}
			}
			want := []Finding{{
				Severity: Warning, Check: "rights", Where: string(tc.part), What: "not looked at: forbidden",
				Why: "nothing is said of what depends on it", Mend: "let somebody check who may read it",
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
