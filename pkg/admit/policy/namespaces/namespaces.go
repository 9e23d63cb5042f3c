// Package namespaces holds the rules of what users write on a Namespace.
package namespaces

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Changed is what a request writes on the Namespace called name. before are the annotations as they were, nil where it was
// not opted in: what was there already is then new to us.
//
// A request answers for what it changes alone: neither a controller that sets a label nor the loop that reports a run is to
// be stopped by, or warned of, what somebody else wrote.
func Changed(name string, before, after map[string]string, defaultLabelKey string) *rule.Namespace {
	settings, problems := group.ParseSettings(after, defaultLabelKey)
	problems = append(problems, group.RecordProblems(after)...)
	touched := func(key string) bool {
		was, had := before[key]
		now, has := after[key]
		return was != now || had != has
	}
	_, kept := after[group.KeepAnnotation]
	_, keptFor := after[group.KeepForAnnotation]
	return &rule.Namespace{
		Name:     name,
		Settings: settings,
		Problems: slices.DeleteFunc(problems, func(p group.Problem) bool { return !touched(p.Key) }),
		Unknown:  slices.DeleteFunc(group.UnknownAnnotations(after), func(u group.Unknown) bool { return !touched(u.Key) }),
		Unkept: !settings.Schedule.IsZero() && !kept && !keptFor &&
			slices.ContainsFunc([]string{group.ScheduleAnnotation, group.KeepAnnotation, group.KeepForAnnotation}, touched),
	}
}

// Request is the question whether a Namespace may be given its annotations. It has no mode: the mode is for what users do in
// the Namespace, while a setting that cannot be read has no other meaning that it could be granted in.
func Request(name, exempt string) rule.Request {
	return rule.Request{Operation: rule.Other, Object: "Namespace " + quote(name), Act: "have these annotations", Namespace: name, Exempt: exempt}
}

// words are the texts of values in order.
func words[T interface{ String() string }](values []T) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

// remove is the command that takes annotations away.
func remove(namespace string, keys map[string]bool) string {
	return "kubectl annotate namespace " + namespace + " " + strings.Join(slices.Sorted(maps.Keys(keys)), "- ") + "-"
}

func quote(name string) string { return strconv.Quote(name) }
