// Package classes holds the rules of VolumeSnapshotClasses and VolumeGroupSnapshotClasses.
package classes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Kinds of classes.
const (
	SnapshotClass      = "VolumeSnapshotClass"
	GroupSnapshotClass = "VolumeGroupSnapshotClass"
)

// Request is the question whether a class of a kind may be changed: act is such as "be deleted".
func Request(kind, name, act string) rule.Request {
	return rule.Request{Operation: rule.Other, Object: fmt.Sprintf("%s %q", kind, name), Act: act}
}

// mark is the command that makes a class of c's kind the default, unmark that by which classes are no longer, and swap both in the order
// in which neither is refused.
func mark(c *rule.Class, name string) string {
	return fmt.Sprintf("kubectl annotate %s %s %s=true --overwrite", strings.ToLower(c.Kind), name, c.Default)
}

func unmark(c *rule.Class, names ...string) string {
	return fmt.Sprintf("kubectl annotate %s %s %s-", strings.ToLower(c.Kind), rule.Arguments(names), c.Default)
}

func swap(c *rule.Class, to string, from ...string) string {
	return unmark(c, from...) + " && " + mark(c, to)
}

// before and after are all classes of the kind, without the request and with it.
func before(c *rule.Class) []group.Class { return with(c.Others, c.Before) }
func after(c *rule.Class) []group.Class  { return with(c.Others, c.After) }

func with(others []group.Class, c *group.Class) []group.Class {
	if c == nil {
		return others
	}
	return append(slices.Clip(others), *c)
}
