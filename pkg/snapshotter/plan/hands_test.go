package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestAContentThatSomebodyDeletes(t *testing.T) {
	for name, tc := range map[string]struct {
		content func(*Content)
		want    []string
	}{
		"once it is kept, it gets no finalizer back, and the detach goes on": {
			func(c *Content) { c.Anchored, c.Settled = true, false },
			[]string{`delete VolumeGroupSnapshot "db-vgs", sparing 2 members`, `wait: VolumeGroupSnapshot "db-vgs" to be gone`},
		},
		"before it is kept, nothing can keep it any more, and the group is given up": {
			func(*Content) {},
			[]string{
				`give up 1 groups of manual run 20261122t120000z: map[db:content "db-vgsc" is being deleted by somebody else]`,
				`let content "db-vgsc" be freed`,
				`delete VolumeGroupSnapshot "db-vgs", sparing 0 members`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := changed(complete("db"), func(g *Group) {
				g.Content.Deleting = true
				tc.content(g.Content)
				for i := range g.Members {
					g.Members[i].Owned, g.Members[i].Bound = false, false
				}
			})
			if diff := cmp.Diff(tc.want, said(Next(observed(time.Second, group.Detach, g)))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
