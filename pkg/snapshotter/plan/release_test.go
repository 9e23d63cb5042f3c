package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestAReleasedMemberSaysWhatItWasDetachedFrom(t *testing.T) {
	const said = "vgs-uid/2"
	lacks := group.Marks{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}
	g := changed(complete("db"), func(g *Group) {
		g.Content.SnapshotUID = "vgs-uid"
		g.Members[0].Missing = lacks
	})
	var got []group.Marks
	for _, s := range Next(observed(time.Second, group.Detach, g)) {
		if r, releases := s.(Release); releases {
			got = append(got, r.Marks)
		}
	}
	want := []group.Marks{
		{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d", group.DetachedAnnotation: said}},
		{Annotations: map[string]string{group.DetachedAnnotation: said}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks of released members (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"c": "d"}, lacks.Annotations); diff != "" {
		t.Errorf("what was observed is changed (-before +after):\n%s", diff)
	}
}
