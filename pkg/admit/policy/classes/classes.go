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

// resource is what kubectl calls the class's kind.
func resource(c *rule.Class) string { return strings.ToLower(c.Kind) }

// before and after are all classes of the kind, without the request and with it.
func before(c *rule.Class) []group.Class { return with(c.Others, c.Before) }
func after(c *rule.Class) []group.Class  { return with(c.Others, c.After) }

func with(others []group.Class, c *group.Class) []group.Class {
	if c == nil {
		return others
	}
	return append(slices.Clip(others), *c)
}
