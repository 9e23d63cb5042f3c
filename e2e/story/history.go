package story

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// watchMembers records every VolumeSnapshot of the namespace as each write to it left it.
func (t *teller) watchMembers(ctx context.Context) (history func() []watch.Event, stop func(), err error) {
	w, err := t.client.Watch(ctx, &snapv1.VolumeSnapshotList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, nil, fmt.Errorf("watch members: %w", err)
	}
	var seen []watch.Event
	var ended atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if e.Type != watch.Error || !ended.Load() { // a watch that is stopped may say so as an error
				seen = append(seen, e)
			}
		}
	}()
	history = func() []watch.Event {
		ended.Store(true)
		w.Stop()
		<-done
		return seen
	}
	return history, w.Stop, nil
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
