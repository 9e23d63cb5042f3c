package expire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// leaving is a kept point whose VolumeGroupSnapshot, content and member go, and wait for the CSI sidecar.
func leaving(p *point.Point) {
	p.Deleting, p.Snapshot.Terminating, p.Content.Terminating = true, true, true
	going(p)
}

func TestWhatIsHeldUpIsMarked(t *testing.T) {
	all := group.Retention{}
	const mark, markMember = `let content "c-pg-1" be freed`, `let VolumeSnapshotContent "mc-pg-1" be freed`
	for name, tc := range map[string]struct {
		in   Observed
		want []string
	}{
		"a content that goes unmarked with its members is marked, theirs first, whatever is kept": {
			observed(all, whole(1, leaving)), []string{markMember, mark}},
		"one that lost its members already is marked": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Members = nil })), []string{mark}},
		"one that is marked is waited for": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Content.Freeable = true })), []string{}},
		"one that nobody deletes yet is waited for": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Content.Terminating = false })), []string{}},
		"one that its class retains stays": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Content.Retained = true })), []string{}},
		"one whose members do not go yet is snapshot-controller's to mark": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Members[0].Terminating = false })), []string{}},
		"one whose group snapshot stays is not marked": {
			observed(all, whole(1, func(p *point.Point) { p.Content.Terminating = true })), []string{}},
		"one without a content is left to snapshot-controller": {
			observed(all, whole(1, leaving, func(p *point.Point) { p.Content = nil })), []string{}},
		"one that is in use waits": {func() Observed {
			o := observed(all, whole(1, leaving))
			o.InUse = map[string]string{"pg-1": `claim "restored"`}
			return o
		}(), []string{}},
		"contents of members are marked, whatever is left of their point": {func() Observed {
			o := observed(all)
			o.Stuck = []point.MemberContent{{Object: point.Object{Name: "a"}}, {Object: point.Object{Name: "b"}}}
			return o
		}(), []string{`let VolumeSnapshotContent "a" be freed`, `let VolumeSnapshotContent "b" be freed`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.in))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatWasTakenTwiceIsFreed(t *testing.T) {
	const mark, deleted = `let VolumeSnapshotContent "c" be freed`, `delete VolumeSnapshotContent "c"`
	const told = `orphaned: content "c", of a snapshot that nobody asked for`
	for name, tc := range map[string]struct {
		in   point.MemberContent
		want []string
	}{
		"it is marked and deleted":              {point.MemberContent{}, []string{mark, deleted, told}},
		"also if its class retains it":          {point.MemberContent{Retained: true}, []string{mark, deleted, told}},
		"what is marked is deleted":             {point.MemberContent{Freeable: true}, []string{deleted, told}},
		"what somebody has deleted is marked":   {point.MemberContent{Object: point.Object{Terminating: true}}, []string{mark}},
		"what goes and is marked is waited for": {point.MemberContent{Freeable: true, Object: point.Object{Terminating: true}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.in.Name = "c"
			o := observed(group.Retention{})
			o.Doubles = []point.MemberContent{tc.in}
			if diff := cmp.Diff(tc.want, said(Next(o))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
