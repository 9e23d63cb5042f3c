package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// named is how many names of a list are given before the rest is counted: a group may have hundreds of claims, and
// a message must stay readable.
const named = 3

// maxWarning is the length in bytes at which the API server cuts a warning.
const maxWarning = 256

// few quotes the first names and counts the rest: `"a", "b", "c" and 2 more`.
func few(names []string) string {
	quoted := make([]string, 0, named)
	for _, n := range names[:min(named, len(names))] {
		quoted = append(quoted, strconv.Quote(n))
	}
	out := strings.Join(quoted, ", ")
	if rest := len(names) - len(quoted); rest > 0 {
		out += fmt.Sprintf(" and %d more", rest)
	}
	return out
}

// claims is few with its noun: `claim "a"`, `claims "a", "b"`.
func claims(names []string) string {
	if len(names) == 1 {
		return "claim " + few(names)
	}
	return "claims " + few(names)
}

// arguments are the first names as arguments of a command; the rest follows from running it again.
func arguments(names []string) string { return strings.Join(names[:min(named, len(names))], " ") }

// ungroup is the command that takes claims out of the group.
func ungroup(req Request, f Facts, names []string) string {
	return fmt.Sprintf("kubectl label persistentvolumeclaim %s --namespace %s %s-", arguments(names), req.Namespace, f.LabelKey)
}

// keepOut is how to keep claims out of the group: there is no command for a claim that is only being created.
func keepOut(req Request, f Facts, names []string) string {
	switch {
	case req.stands():
		return "take it out of the group: " + ungroup(req, f, names)
	case req.Operation == Create:
		return fmt.Sprintf("leave out its label %s=%s", f.LabelKey, req.Group)
	default:
		return fmt.Sprintf("give it a label %s of another value", f.LabelKey)
	}
}

// stands is whether the claims will be in the group whatever the rules say, so that the remedy is for afterwards.
func (r Request) stands() bool { return r.Operation == Audit || r.Exempt != "" }

// cut shortens a warning to what the API server passes on, at a space.
func cut(s string) string {
	if len(s) <= maxWarning {
		return s
	}
	const mark = " ..."
	s = s[:maxWarning-len(mark)]
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return s + mark
}
