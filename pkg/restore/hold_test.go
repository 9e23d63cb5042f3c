package restore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var snapKey = client.ObjectKey{Namespace: "shop", Name: "snap"}

func TestARestoreInPlaceHoldsItsPoint(t *testing.T) {
	const run, hold = "snapshot-group/run", "snapshot-group/hold"
	for name, tc := range map[string]struct {
		labels, meanwhile, want map[string]string
		held                    bool // meanwhile, by a person
	}{
		"of a run, until the end": {map[string]string{run: "r"}, map[string]string{run: "r", hold: "true"}, map[string]string{run: "r"}, false},
		"but leaves it held if somebody holds it since": {map[string]string{run: "r"}, map[string]string{run: "r", hold: "true"},
			map[string]string{run: "r", hold: "true"}, true},
		"but leaves it held if it was": {map[string]string{run: "r", hold: "true"}, map[string]string{run: "r", hold: "true"},
			map[string]string{run: "r", hold: "true"}, false},
		"and no point of others": {map[string]string{"app": "db"}, map[string]string{"app": "db"}, map[string]string{"app": "db"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t).Build()
			vs := &snapshotv1.VolumeSnapshot{}
			read := func() {
				t.Helper()
				if err := c.Get(t.Context(), snapKey, vs); err != nil {
					t.Fatal(err)
				}
			}
			read()
			vs.Labels = tc.labels
			if err := c.Update(t.Context(), vs); err != nil {
				t.Fatal(err)
			}
			var meanwhile map[string]string
			r := inPlace(c, after{created, func() {
				read()
				meanwhile = vs.Labels
				if tc.held {
					if err := SetHold(t.Context(), c, Hold{Held: true}, vs); err != nil {
						t.Error(err)
					}
				}
				bind(t, c)
			}})
			if _, err := r.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			read()
			if diff := cmp.Diff([]map[string]string{tc.meanwhile, tc.want}, []map[string]string{meanwhile, vs.Labels}); diff != "" {
				t.Errorf("labels meanwhile and at the end (-want +got):\n%s", diff)
			}
			if by := vs.Annotations["snapshot-group/held-by"]; by != "" {
				t.Errorf("it is held by %s for ever", by)
			}
		})
	}
}
