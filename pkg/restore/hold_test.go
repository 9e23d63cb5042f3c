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
	for name, tc := range map[string]struct{ labels, meanwhile, want map[string]string }{
		"of a run, until the end": {map[string]string{run: "r"}, map[string]string{run: "r", hold: "true"}, map[string]string{run: "r"}},
		"but leaves it held if it was": {map[string]string{run: "r", hold: "true"}, map[string]string{run: "r", hold: "true"},
			map[string]string{run: "r", hold: "true"}},
		"and no point of others": {map[string]string{"app": "db"}, map[string]string{"app": "db"}, map[string]string{"app": "db"}},
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
				bind(t, c)
			}})
			if _, err := r.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			read()
			if diff := cmp.Diff([]map[string]string{tc.meanwhile, tc.want}, []map[string]string{meanwhile, vs.Labels}); diff != "" {
				t.Errorf("labels meanwhile and at the end (-want +got):\n%s", diff)
			}
		})
	}
}
