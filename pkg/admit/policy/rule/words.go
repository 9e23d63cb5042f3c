package rule

import (
	"fmt"
	"strconv"
	"strings"
)

// Named is how many names of a list are given before the rest is counted: a group may have hundreds of claims, and
// a message must stay readable.
const Named = 3

// Few quotes the first names and counts the rest: `"a", "b", "c" and 2 more`.
func Few(names []string) string {
	quoted := make([]string, 0, Named)
	for _, n := range names[:min(Named, len(names))] {
		quoted = append(quoted, strconv.Quote(n))
	}
	out := strings.Join(quoted, ", ")
	if rest := len(names) - len(quoted); rest > 0 {
		out += fmt.Sprintf(" and %d more", rest)
	}
	return out
}

// FewOf is Few with its noun, whose plural ends in s or es: `claim "a"`, `claims "a", "b"`.
func FewOf(noun string, names []string) string {
	switch {
	case len(names) == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return noun + " " + Few(names)
}

// Arguments are the first names as arguments of a command; the rest follows from running it again.
func Arguments(names []string) string { return strings.Join(names[:min(Named, len(names))], " ") }

// Cut shortens a warning to what the API server passes on, at a space.
func Cut(s string) string {
	if len(s) <= maxWarning {
		return s
	}
	const mark = " ..."
	s = s[:maxWarning-len(mark)]
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return strings.ToValidUTF8(s, "") + mark
}
