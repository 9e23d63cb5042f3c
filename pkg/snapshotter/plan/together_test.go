package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTogether(t *testing.T) {
	unbind, release := Unbind{Group: "db", Member: "a"}, Release{Group: "db", Member: "a"}
	other, foreign := Release{Group: "db", Member: "b"}, Release{Group: "mail", Member: "c"}
	for name, tc := range map[string]struct {
		steps []Step
		want  int
	}{
		"members of one group go together":           {[]Step{unbind, release, other}, 3},
		"those of another group do not":              {[]Step{unbind, release, foreign}, 2},
		"what is of the whole group comes after all": {[]Step{release, other, DeleteSnapshot{Group: "db"}}, 2},
		"what is of the whole group comes before":    {[]Step{Anchor{Group: "db"}, release, other}, 1},
		"two of whole groups are in order":           {[]Step{Create{Group: "db"}, Create{Group: "mail"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.steps[:tc.want], Together(tc.steps)); diff != "" {
				t.Errorf("together (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStretch(t *testing.T) {
	a, b := Create{Group: "db"}, Create{Group: "mail"}
	for name, tc := range map[string]struct {
		steps []Step
		want  int
	}{
		"those of several groups need no order": {[]Step{a, b, Wait{Group: "db"}}, 3},
		"what is of the run comes after":        {[]Step{a, b, GiveUp{}, Wait{Group: "db"}}, 2},
		"what is of the run comes before":       {[]Step{Begin{}, a, b}, 1},
		"two of the run are in order":           {[]Step{Begin{}, End{}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.steps[:tc.want], Stretch(tc.steps)); diff != "" {
				t.Errorf("stretch (-want +got):\n%s", diff)
			}
		})
	}
}
