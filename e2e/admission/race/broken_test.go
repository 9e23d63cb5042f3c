package race_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// allBut are the answers of a round in which runners got what they were given and all others were admitted.
func allBut(given map[int]answer) []answer {
	answers := make([]answer, runners)
	for i := range answers {
		answers[i] = admitted
		if a, found := given[i]; found {
			answers[i] = a
		}
	}
	return answers
}

// oddRefused refuses the runners with odd numbers, which are on the second driver of a round of two.
func oddRefused() map[int]answer {
	given := map[int]answer{}
	for i := 1; i < runners; i += 2 {
		given[i] = refused
	}
	return given
}

// there are the claims of the runners that were admitted.
func there(r round, answers []answer) []corev1.PersistentVolumeClaim {
	var claims []corev1.PersistentVolumeClaim
	for i, a := range answers {
		if a == admitted {
			claims = append(claims, *r.claim(i))
		}
	}
	return claims
}

func TestABrokenPromiseIsSeen(t *testing.T) {
	one, two := round{oneOnly: true}, round{}
	oneDies, twoDie := round{oneOnly: true, dies: true}, round{dies: true}
	refusedSome := oddRefused()
	refusedSome[0] = refused
	undecidedSome := oddRefused()
	undecidedSome[0] = undecided
	for name, tc := range map[string]struct {
		round   round
		answers []answer
		want    string
	}{
		"one driver, all admitted":                        {one, allBut(nil), ""},
		"two drivers, one admitted":                       {two, allBut(oddRefused()), ""},
		"two drivers, somebody undecided by a death":      {twoDie, allBut(undecidedSome), ""},
		"one driver, somebody refused":                    {one, allBut(map[int]answer{3: refused}), "claim 3 was refused, and all were on one driver"},
		"one driver, somebody refused by a death":         {oneDies, allBut(map[int]answer{3: refused}), "claim 3 was refused, and all were on one driver"},
		"one driver, somebody undecided":                  {one, allBut(map[int]answer{3: undecided}), "claim 3 was not decided"},
		"two drivers, somebody undecided without a death": {two, allBut(undecidedSome), "claim 0 was not decided"},
		"two drivers, somebody of the group's refused":    {two, allBut(refusedSome), "claim 0 was refused, and the group is on its driver"},
		"two drivers, both admitted":                      {two, allBut(nil), "the group has two drivers: map[race-a:true race-b:true]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := broken(tc.round, tc.answers, there(tc.round, tc.answers)); got != tc.want {
				t.Errorf("broken = %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("a claim that nobody admitted", func(t *testing.T) {
		answers := allBut(oddRefused())
		claims := append(there(two, answers), *two.claim(0))
		if got, want := broken(two, answers, claims), "11 claims are in the group and 10 were admitted"; got != want {
			t.Errorf("broken = %q, want %q", got, want)
		}
	})
	t.Run("a group that nobody may join", func(t *testing.T) {
		none := oddRefused()
		for i := 0; i < runners; i += 2 {
			none[i] = refused
		}
		if got, want := broken(two, allBut(none), nil), "nobody was admitted"; got != want {
			t.Errorf("broken = %q, want %q", got, want)
		}
	})
}

func TestALeaseThatStaysIsSeen(t *testing.T) {
	now := time.Now()
	s := &stage{gone: map[string]time.Time{"just": now.Add(-longest), "long": now.Add(-longest - time.Second)}}
	for name, tc := range map[string]struct {
		leases []string
		want   string
	}{
		"none":                         {nil, ""},
		"one of a group that just was": {[]string{"just"}, ""},
		"one of a group that long was": {[]string{"just", "long"}, "long"},
		"one of nobody":                {[]string{"just", "nobody"}, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.late(tc.leases, now); got != tc.want {
				t.Errorf("late = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOnlyTheRuleRefuses(t *testing.T) {
	status := func(code int32, cause metav1.CauseType) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: cause}}}}}
	}
	for name, tc := range map[string]struct {
		err  error
		want answer
	}{
		"nothing":             {nil, admitted},
		"the rule":            {status(403, "mixed-drivers"), refused},
		"another rule":        {status(403, "not-csi"), undecided},
		"another code":        {status(500, "mixed-drivers"), undecided},
		"an error of our own": {errors.New("EOF"), undecided},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(tc.err); got != tc.want {
				t.Errorf("judge = %s, want %s", got, tc.want)
			}
		})
	}
}
