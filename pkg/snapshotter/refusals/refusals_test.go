package refusals

import (
	"errors"
	"testing"
)

func TestTheLastRefusalIsRememberedUntilTheWriteIsTakenOrTheRunEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		then func(*Writes)
		want string
	}{
		"refused":                            {func(*Writes) {}, "quota"},
		"refused for another reason":         {func(w *Writes) { w.Note("db", "pg", errors.New("policy")) }, "policy"},
		"taken":                              {func(w *Writes) { w.Note("db", "pg", nil) }, ""},
		"taken for another group":            {func(w *Writes) { w.Note("db", "queue", nil) }, "quota"},
		"the run has ended":                  {func(w *Writes) { w.Forget("db") }, ""},
		"the run of another Namespace ended": {func(w *Writes) { w.Forget("web") }, "quota"},
	} {
		t.Run(name, func(t *testing.T) {
			w := New()
			w.Note("db", "pg", errors.New("quota"))
			tc.then(w)
			if got := w.Why("db", "pg"); got != tc.want {
				t.Errorf("refused for %q, want %q", got, tc.want)
			}
		})
	}
}
