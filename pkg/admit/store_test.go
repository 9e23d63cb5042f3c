package admit

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestGroupClaims(t *testing.T) {
	elsewhere := claimObject("elsewhere", "fast", inGroup)
	elsewhere.Namespace = "other"
	s := newStore(t, elsewhere,
		claimObject("a", "fast", inGroup), claimObject("b", "fast", map[string]string{group.DefaultLabelKey: "db2", "team": "x"}),
		claimObject("c", "fast", map[string]string{"team": "x"}), claimObject("d", "fast", nil))
	for name, tc := range map[string]struct {
		key, value string
		want       []string
	}{
		"by the default key":                     {group.DefaultLabelKey, "db", []string{"a"}},
		"by a key of the namespace's own":        {"team", "x", []string{"b", "c"}},
		"a group that nobody is in has no claim": {group.DefaultLabelKey, "none", nil},
	} {
		t.Run(name, func(t *testing.T) {
			claims, err := s.groupClaims("shop", tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range claims {
				got = append(got, c.Name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStoreNeedsEveryKindToBeServed(t *testing.T) {
	_, err := NewStore(t.Context(), &informertest.FakeInformers{Error: errors.New("no matches for kind")}, group.DefaultLabelKey)
	const want = "watch Namespaces: no matches for kind"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
