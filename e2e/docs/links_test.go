package docs

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

var (
	// references are the links of a page to files of the repository: a path, a heading, or both.
	references = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	headings   = regexp.MustCompile("(?m)^#+ (.*)$")
	// unheard is what GitHub leaves out of the names of headings.
	unheard = regexp.MustCompile("[^a-z0-9 _-]")
)

// broken are the links of a page that lead to no file or to no heading of one.
func broken(repository fs.FS, page string) ([]string, error) {
	text, err := fs.ReadFile(repository, page)
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	var out []string
	for _, link := range references.FindAllStringSubmatch(string(text), -1) {
		target := page
		if link[1] != "" {
			target = path.Join(path.Dir(page), link[1])
		}
		if _, err := fs.Stat(repository, target); err != nil {
			out = append(out, fmt.Sprintf("%s: there is no %s", page, target))
			continue
		}
		if link[2] == "" {
			continue
		}
		text, err := fs.ReadFile(repository, target)
		if err != nil {
			return nil, fmt.Errorf("read a page: %w", err)
		}
		if !hasHeading(string(text), strings.TrimPrefix(link[2], "#")) {
			out = append(out, fmt.Sprintf("%s: %s has no heading %s", page, target, link[2]))
		}
	}
	return out, nil
}

func hasHeading(page, name string) bool {
	for _, heading := range headings.FindAllStringSubmatch(page, -1) {
		if strings.ReplaceAll(unheard.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-") == name {
			return true
		}
	}
	return false
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	pages, err := Pages(repository)
	suite.Must(t, err)
	for _, page := range append(pages, "CONTRIBUTING.md") {
		wrong, err := broken(repository, page)
		suite.Must(t, err)
		for _, w := range wrong {
			t.Error(w)
		}
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	checkout := fstest.MapFS{
		"docs/a.md": {Data: []byte("[1](b.md) [2](../c/d.md#a-b) [3](#x) [4](https://example.com/e.md) [5](lost.md) [6](b.md#lost)\n## X\n")},
		"docs/b.md": {}, "c/d.md": {Data: []byte("### A, `b`\n")},
	}
	got, err := broken(checkout, "docs/a.md")
	suite.Must(t, err)
	want := []string{"docs/a.md: there is no docs/lost.md", "docs/a.md: docs/b.md has no heading #lost"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("broken links (-want +got):\n%s", diff)
	}
}
