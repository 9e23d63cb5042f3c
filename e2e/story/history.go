package story

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// history is what a watch has shown of the VolumeSnapshots of the namespace: each as every write to it left it.
type history struct {
	watch watch.Interface

	mu   sync.Mutex
	seen []watch.Event
}

func (t *teller) watchMembers(ctx context.Context) (*history, error) {
	w, err := t.client.Watch(ctx, &snapv1.VolumeSnapshotList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("watch members: %w", err)
	}
	h := &history{watch: w}
	go func() {
		for e := range w.ResultChan() {
			h.mu.Lock()
			h.seen = append(h.seen, e)
			h.mu.Unlock()
		}
	}()
	return h, nil
}

func (h *history) events() []watch.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.seen)
}

// upToDate waits until the watch has shown the members of a run as they are now, and returns all that it has shown.
func (t *teller) upToDate(ctx context.Context, h *history, run string) ([]watch.Event, error) {
	var events []watch.Event
	err := t.eventually(ctx, "the watch to catch up", func(ctx context.Context) error {
		members, err := t.members(ctx, run)
		if err != nil {
			return err
		}
		events = h.events()
		for _, m := range members {
			if !slices.ContainsFunc(events, func(e watch.Event) bool {
				o, ok := e.Object.(*snapv1.VolumeSnapshot)
				return ok && o.UID == m.UID && o.ResourceVersion == m.ResourceVersion
			}) {
				return fmt.Errorf("member %q at resourceVersion %s was not shown", m.Name, m.ResourceVersion)
			}
		}
		return nil
	})
	return events, err
}

// labelledAtCreation checks that each member had its labels and its class when it was created, and that no later write
// touched them.
func (t *teller) labelledAtCreation(history []watch.Event, run string) error {
	t.say("Every write to the members, as watched: their labels and class are there from the first.")
	created := map[string]*snapv1.VolumeSnapshot{}
	for _, e := range history {
		member, ok := e.Object.(*snapv1.VolumeSnapshot)
		if !ok {
			return fmt.Errorf("the watch broke: %v", e.Object)
		}
		fmt.Fprintf(t.out, "    %-8s resourceVersion %s  claim %s  class %s  run %s\n", e.Type, member.ResourceVersion,
			member.Labels[group.ClaimLabel], className(member), member.Labels[group.RunLabel])
		first, known := created[member.Name]
		if !known {
			created[member.Name] = member
			first = member
			if e.Type != watch.Added {
				return fmt.Errorf("member %q was not watched from its creation", member.Name)
			}
		}
		if !maps.Equal(first.Labels, member.Labels) || className(first) != className(member) {
			return fmt.Errorf("member %q was changed after its creation: labels %v, class %s", member.Name, member.Labels, className(member))
		}
	}
	return rightMembers(created, run)
}

func rightMembers(created map[string]*snapv1.VolumeSnapshot, run string) error {
	left := map[string]bool{}
	for _, name := range claimNames {
		left[name] = true
	}
	for name, member := range created {
		want := map[string]string{
			group.GroupLabel: groupName, group.RunLabel: run, group.TriggerLabel: group.TriggerManual,
			group.ClaimLabel: *member.Spec.Source.PersistentVolumeClaimName, "team": "payments",
		}
		for k, v := range want {
			if member.Labels[k] != v {
				return fmt.Errorf("member %q was created with label %s=%q, want %q", name, k, member.Labels[k], v)
			}
		}
		if className(member) != "csi-a" {
			return fmt.Errorf("member %q was created with class %q, want csi-a", name, className(member))
		}
		if member.Annotations[group.ClaimSpecAnnotation] == "" {
			return fmt.Errorf("member %q was created without annotation %s", name, group.ClaimSpecAnnotation)
		}
		delete(left, member.Labels[group.ClaimLabel])
	}
	if len(created) != len(claimNames) || len(left) > 0 {
		return fmt.Errorf("%d members, none of claims %v", len(created), left)
	}
	return nil
}

func className(s *snapv1.VolumeSnapshot) string {
	if s.Spec.VolumeSnapshotClassName == nil {
		return "none"
	}
	return *s.Spec.VolumeSnapshotClassName
}
