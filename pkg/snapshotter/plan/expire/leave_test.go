package expire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

func TestLeave(t *testing.T) {
	deleting := func(p *point.Point) {
		p.Deleting, p.Snapshot.Terminating, p.Content.Terminating, p.Members[0].Terminating = true, true, true, true
	}
	for name, tc := range map[string]struct {
		in   Observed
		want []string
	}{
		"nothing expires where nothing is any more": {observed(group.Retention{Last: 1}, whole(2), whole(1)), []string{}},
		"a member that nobody lets go is let go": {
			Observed{Captives: []point.Captive{{Object: point.Object{Name: "m", UID: "u"}, Snapshot: point.Object{Name: "pg-1", UID: "v"}}}},
			[]string{`let member "m" go`}},
		"what goes and is not marked is marked": {
			observed(group.Retention{}, whole(1, deleting)),
			[]string{`let VolumeSnapshotContent "mc-pg-1" be freed`, `let content "c-pg-1" be freed`}},
		"an anchor that was let go of is carried to the end": {
			observed(group.Retention{}, whole(1, letGo)), []string{`delete VolumeSnapshot "m-pg-1"`}},
		"what a detach is about to release is left to it": {
			observed(group.Retention{}, whole(1, func(p *point.Point) { p.Workflow, p.Deleting = group.Detach, true })), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Leave(tc.in))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
