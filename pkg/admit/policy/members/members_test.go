package members

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestMemberOfGroup(t *testing.T) {
	for name, tc := range map[string]struct {
		snapshot *rule.Snapshot
		want     string
	}{
		"a snapshot on its own may go":                  {&rule.Snapshot{Namespace: "shop"}, ""},
		"a member that is torn down with its group may": {&rule.Snapshot{Namespace: "shop", GroupSnapshot: "db-1", Torn: true}, ""},
		"a request about something else passes":         {nil, ""},
		"a member of a group that lives may not": {&rule.Snapshot{Namespace: "shop", GroupSnapshot: "db-1"},
			`VolumeSnapshot "m" in namespace "shop" cannot be deleted: [member-of-group] it is a member of VolumeGroupSnapshot "db-1", ` +
				`without which it cannot go: it would hang in Terminating; to mend it, delete the whole, upon which all of its members go: ` +
				`kubectl delete volumegroupsnapshot db-1 --namespace shop`},
		"a member of a restore point may not": {&rule.Snapshot{Namespace: "shop", GroupSnapshot: "db-1", OfRun: true},
			`VolumeSnapshot "m" in namespace "shop" cannot be deleted: [member-of-group] it is a member of VolumeGroupSnapshot "db-1", ` +
				`without which it cannot go: it would hang in Terminating; to mend it, delete the whole, upon which all of its members go: ` +
				`kubectl snapshot-group delete db-1 --namespace shop`},
	} {
		t.Run(name, func(t *testing.T) {
			d := rule.Evaluate([]rule.Rule{MemberOfGroup}, Request("shop", "m"), rule.Facts{Snapshot: tc.snapshot})
			if diff := cmp.Diff(tc.want, d.Message()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}
