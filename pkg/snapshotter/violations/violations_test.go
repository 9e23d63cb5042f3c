package violations

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachIsNewsOnceWhileItLasts(t *testing.T) {
	told := New()
	for _, step := range []struct {
		what   string
		broken map[string]string
		want   []string
	}{
		{"nothing is broken", nil, nil},
		{"two groups are", map[string]string{"b": "mixed", "a": "mixed"}, []string{"a", "b"}},
		{"they still are", map[string]string{"a": "mixed", "b": "mixed"}, nil},
		{"one by another rule", map[string]string{"a": "no class", "b": "mixed"}, []string{"a"}},
		{"one is mended", map[string]string{"a": "no class"}, nil},
		{"and broken again", map[string]string{"a": "no class", "b": "mixed"}, []string{"b"}},
		{"all are mended", nil, nil},
	} {
		got := told.News("db", step.broken)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: news (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(got, told.News("db", step.broken)); diff != "" {
			t.Errorf("%s: news that were not told yet (-want +got):\n%s", step.what, diff)
		}
		for _, group := range got {
			told.Note("db", group, step.broken[group])
		}
		told.Note("other", "a", "mixed")
	}
	told.Note("db", "a", "mixed")
	told.Forget("db")
	broken := map[string]string{"a": "mixed"}
	if diff := cmp.Diff([]string{"a"}, told.News("db", broken)); diff != "" {
		t.Errorf("a namespace that was forgotten: news (-want +got):\n%s", diff)
	}
	if news := told.News("other", broken); len(news) != 0 {
		t.Errorf("another namespace: news %q, want none", news)
	}
}
