package group

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// documented are the annotations of a Namespace in the reference: key, and the default where it is a value.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	// A row has two cells or three; a value stands at the end of the last.
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|[^|\n]*\\|(?:[^|\n]*?(?:`([^`|\n]+)`)? \\|)?$")
	out := map[string]string{}
	for _, found := range row.FindAllStringSubmatch(string(page), -1) {
		out[found[1]] = found[2]
	}
	return out
}

func TestTheReferenceHasEachAnnotationOfANamespaceAndNoOther(t *testing.T) {
	want := append(slices.Collect(maps.Keys(parsers)), WrittenAnnotations...)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(documented(t)))); diff != "" {
		t.Errorf("keys (-parsed or written +documented):\n%s", diff)
	}
}

func TestTheReferenceGivesTheDefaults(t *testing.T) {
	none, _ := ParseSettings(nil, DefaultLabelKey)
	given := 0
	for key, value := range documented(t) {
		if value == "" {
			continue
		}
		given++
		settings, problems := ParseSettings(map[string]string{key: value}, "example.com/other")
		settings.LabelKey = none.LabelKey
		if key == LabelKeyAnnotation && value != DefaultLabelKey {
			t.Errorf("%s is %q by default, not %q", key, DefaultLabelKey, value)
		}
		if diff := cmp.Diff(none, settings, cmpopts.IgnoreUnexported(Schedule{})); diff != "" || len(problems) > 0 {
			t.Errorf("%s=%s is not the default: %s\n%s", key, value, problems, diff)
		}
	}
	if given != 9 {
		t.Errorf("%d defaults are given, want 9", given)
	}
}
