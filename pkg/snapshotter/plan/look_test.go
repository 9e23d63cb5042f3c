package plan

import (
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNeedsLook(t *testing.T) {
	begun := unmade("db")
	begun.Snapshot = &Snapshot{UID: "u1", Created: noon}
	made := changed(begun, func(g *Group) { g.Content = &Content{Name: "c", UID: "u2"} })
	refused := Group{Name: "other", Refusal: "its claim is Pending"}
	for name, tc := range map[string]struct {
		groups []Group
		begins bool
		looked bool
		want   bool
	}{
		"not before a snapshot is begun":                            {[]Group{unmade("db")}, true, false, false},
		"not while snapshot-controller may look for claims itself":  {[]Group{begun}, false, false, false},
		"not while one of two is still to be begun":                 {[]Group{made, unmade("other")}, false, false, false},
		"when all has begun":                                        {[]Group{made}, false, false, true},
		"what is refused need not begin":                            {[]Group{made, refused}, false, false, true},
		"once":                                                      {[]Group{made}, false, true, false},
		"before a run ends well, if all of it came in one moment":   {[]Group{complete("db")}, false, false, true},
		"not again before it ends well":                             {[]Group{complete("db")}, false, true, false},
		"before a run fails that has just begun":                    {[]Group{refused}, true, false, true},
		"again before a run fails, for a class may be there by now": {[]Group{complete("db"), refused}, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(time.Second, group.Keep, tc.groups...)
			o.Begins = tc.begins
			if got := NeedsLook(o, Next(o), tc.looked); got != tc.want {
				t.Errorf("needs a look: %t, want %t", got, tc.want)
			}
		})
	}
	rest := Observed{Now: noon}
	if NeedsLook(rest, Next(rest), false) {
		t.Error("needs a look at rest")
	}
}
