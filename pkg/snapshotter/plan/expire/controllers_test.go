package expire

import (
	"maps"
	"slices"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// controllers let the rest of the cluster do one thing; false if it has nothing to do.
func (w *world) controllers() bool {
	for _, name := range slices.Sorted(maps.Keys(w.points)) {
		if m := w.points[name]; m.hasContent && w.move(m) {
			return true
		}
	}
	return false
}

func (w *world) move(m *modelled) bool {
	if m.Workflow == group.Keep && !m.Ungrouped() {
		return m.Snapshot.Terminating && w.cascade(m)
	}
	for i, mm := range m.Members {
		if mm.Terminating && w.memberGoes(m, i) {
			return true
		}
	}
	for i, c := range m.Left {
		if c.Freeable {
			m.Left = slices.Delete(slices.Clone(m.Left), i, i+1)
			return true
		}
	}
	if m.Ungrouped() || !m.Content.Terminating {
		return false
	}
	if m.Content.Freeable && m.onStorage {
		if len(m.Members) > 0 {
			w.t.Fatalf("the storage of %q is freed while it has members", m.Name)
		}
		m.onStorage, m.Content.Handle = false, ""
		return true
	}
	if m.Content.Guarded {
		return false
	}
	if len(m.Left) > 0 {
		w.t.Fatalf("the anchor of %q goes before what its members have left: nothing tells any more whose that is", m.Name)
	}
	m.hasContent = false
	return true
}

// cascade is what snapshot-controller does when a VolumeGroupSnapshot is deleted.
func (w *world) cascade(m *modelled) bool {
	if m.Content.Retained || slices.ContainsFunc(m.Members, func(mm point.Member) bool { return mm.Content.Retained }) {
		w.t.Fatalf("%q is deleted while its class retains what it leaves", m.Name)
	}
	if m.forgets && !m.Content.Freeable {
		moved := !m.Content.Terminating
		m.Content.Terminating = true
		for i := range m.Members {
			m.Members[i].Terminating, m.Members[i].Ready = true, false
		}
		return moved
	}
	for _, mm := range m.Members {
		if m.forgets && !mm.Content.Freeable {
			w.t.Fatalf("%q goes, and the content of member %q is stuck: nothing tells any more whose it is", m.Name, mm.Name)
		}
	}
	m.hasContent, m.onStorage, m.Members = false, false, nil
	return true
}

// memberGoes lets the VolumeSnapshot of that index go. A member of a group does not wait for its content.
func (w *world) memberGoes(m *modelled, i int) bool {
	mm := m.Members[i]
	c := mm.Content
	if c.Retained {
		w.t.Fatalf("member %q is deleted while its class retains its content", mm.Name)
	}
	stuck := m.forgets && !c.Freeable
	if stuck && m.Ungrouped() {
		moved := !c.Terminating
		c.Terminating = true
		return moved
	}
	if stuck {
		left := *c
		left.Terminating = true
		m.Left = append(m.Left, left)
	}
	m.Members = slices.Delete(slices.Clone(m.Members), i, i+1)
	if m.Ungrouped() {
		m.hasContent, m.onStorage = false, false
	}
	return true
}
