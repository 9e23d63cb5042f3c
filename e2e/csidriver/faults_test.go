package csidriver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

func TestACutThatIsSlowIsMadeInTheEnd(t *testing.T) {
	const delay = 300 * time.Millisecond
	d := start(t)
	a := d.volume(t, "a", "")
	d.faults(t, csidriver.Faults{Slow: delay})
	for name, cut := range map[string]func(){
		"a snapshot":       func() { d.snapshot(t, "s", a) },
		"a group snapshot": func() { d.group(t, "g", a) },
	} {
		began := time.Now()
		cut()
		if took := time.Since(began); took < delay {
			t.Errorf("%s took %s, want at least %s", name, took, delay)
		}
	}
	d.faults(t, csidriver.Faults{})
	d.group(t, "g2", a)
	if held := d.inventory(t); len(held.Groups) != 2 || len(held.Snapshots) != 3 {
		t.Errorf("storage holds %+v, want 2 groups of 1 and a snapshot", held)
	}
}

func TestACallerThatGivesUpASlowCutLeavesNothing(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	d.faults(t, csidriver.Faults{Slow: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := d.CreateVolumeGroupSnapshot(ctx, &csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{a}})
	if got := status.Code(err); got != codes.DeadlineExceeded { // the text is gRPC's, and depends on which end is first
		t.Errorf("the call ended with %v, want %v", err, codes.DeadlineExceeded)
	}
	d.volume(t, "b", "") // by the same connection, on which the driver has then heard that the caller is gone
	d.faults(t, csidriver.Faults{})
	if held := d.inventory(t); len(held.Groups) != 0 || len(held.Snapshots) != 0 {
		t.Errorf("storage holds %+v, want no snapshot", held)
	}
}

func TestACallThatHangsGoesOnOnceItIsLetGo(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	d.faults(t, csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot"}})
	done := make(chan error, 1)
	go func() {
		_, err := d.CreateVolumeGroupSnapshot(t.Context(),
			&csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{a}})
		done <- err
	}()
	eventually(t, "the call to arrive", func() error { return d.called(t, "CreateVolumeGroupSnapshot", 1) })
	d.snapshot(t, "s", a) // other calls pass
	if held := d.inventory(t); len(held.Groups) != 0 {
		t.Fatalf("storage holds the groups %+v while the call hangs, want none", held.Groups)
	}
	d.faults(t, csidriver.Faults{})
	if err := received(t, "the call to go on", done); err != nil {
		t.Error(err)
	}
	if held := d.inventory(t); len(held.Groups) != 1 {
		t.Errorf("storage holds the groups %+v, want one", held.Groups)
	}
}

func TestCallsFailWithTheCodeAndAsOftenAsAsked(t *testing.T) {
	d := start(t)
	group := d.group(t, "g", d.volume(t, "a", ""), d.volume(t, "b", ""))
	remove := func() error {
		_, err := d.DeleteVolumeGroupSnapshot(t.Context(), &csi.DeleteVolumeGroupSnapshotRequest{
			GroupSnapshotId: group.GetGroupSnapshotId(), SnapshotIds: memberIDs(group),
		})
		return err
	}
	set := csidriver.Faults{Fail: map[string]csidriver.Failure{
		"DeleteVolumeGroupSnapshot": {Code: codes.FailedPrecondition, Message: "the array is rebuilding", Calls: 2},
		"DeleteSnapshot":            {Code: codes.Internal},
	}}
	d.faults(t, set)
	refused(t, remove(), codes.FailedPrecondition, "the array is rebuilding")
	left, err := d.control.Faults(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set.Fail["DeleteVolumeGroupSnapshot"] = csidriver.Failure{
		Code: codes.FailedPrecondition, Message: "the array is rebuilding", Calls: 1,
	}
	if diff := cmp.Diff(set, left); diff != "" {
		t.Errorf("faults after one call (-want +got):\n%s", diff)
	}
	refused(t, remove(), codes.FailedPrecondition, "the array is rebuilding")
	if held := d.inventory(t); len(held.Groups) != 1 {
		t.Errorf("storage holds the groups %+v, want the one that could not be deleted", held.Groups)
	}
	if err := remove(); err != nil {
		t.Errorf("the third call: %v", err)
	}
	for range 3 { // a failure without a number lasts
		_, err := d.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: "snap-1"})
		refused(t, err, codes.Internal, "DeleteSnapshot fails: a fault that is switched on")
	}
	d.faults(t, csidriver.Faults{})
	if _, err := d.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: "snap-1"}); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

func TestAReplyThatIsLostLeavesTheWorkDone(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	d.faults(t, csidriver.Faults{Fail: map[string]csidriver.Failure{
		"CreateVolumeGroupSnapshot": {Code: codes.Unavailable, Calls: 1, Afterwards: true},
	}})
	request := &csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{a}}
	_, err := d.CreateVolumeGroupSnapshot(t.Context(), request)
	refused(t, err, codes.Unavailable, "CreateVolumeGroupSnapshot fails: a fault that is switched on")
	held := d.inventory(t)
	if len(held.Groups) != 1 {
		t.Fatalf("storage holds the groups %+v, want one", held.Groups)
	}
	if again := d.group(t, "g", a).GetGroupSnapshotId(); again != held.Groups[0].ID {
		t.Errorf("asking again gave the group %q, want %q", again, held.Groups[0].ID)
	}
}

func TestAGroupMayLackAMember(t *testing.T) {
	d := start(t)
	volumes := []string{d.volume(t, "a", ""), d.volume(t, "b", ""), d.volume(t, "c", "")}
	d.faults(t, csidriver.Faults{MemberShort: true})
	short, single := d.group(t, "short", volumes...), d.group(t, "single", volumes[0])
	d.faults(t, csidriver.Faults{})
	for _, tc := range []struct {
		name  string
		group *csi.VolumeGroupSnapshot
		want  int
	}{
		{"a group of 3", short, 2}, {"the same group when asked again", d.group(t, "short", volumes...), 2},
		{"a group of 1", single, 1}, {"a group after the fault", d.group(t, "whole", volumes...), 3},
	} {
		if got := len(tc.group.GetSnapshots()); got != tc.want || !tc.group.GetReadyToUse() {
			t.Errorf("%s has %d members, want %d and readiness", tc.name, got, tc.want)
		}
	}
}

func TestADriverMayHideThatItCanListSnapshots(t *testing.T) {
	d := start(t)
	for _, hidden := range []bool{false, true, false} {
		d.faults(t, csidriver.Faults{NoListing: hidden})
		reply, err := d.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(reply.GetCapabilities(), func(c *csi.ControllerServiceCapability) bool {
			return c.GetRpc().GetType() == csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS
		})
		if told == hidden {
			t.Errorf("it says that it can: %t, want %t", told, !hidden)
		}
	}
}

func TestSnapshotsMayTakeAWhileToBeReady(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	before := d.group(t, "before", a)

	d.faults(t, csidriver.Faults{NotReady: csidriver.NotReady{Polls: 2}})
	var polled []bool
	for range 4 {
		group := d.group(t, "polls", a)
		if member := group.GetSnapshots()[0]; member.GetReadyToUse() != group.GetReadyToUse() {
			t.Errorf("member is ready: %v, its group: %v", member.GetReadyToUse(), group.GetReadyToUse())
		}
		d.inventory(t) // is no poll
		polled = append(polled, group.GetReadyToUse())
	}
	if diff := cmp.Diff([]bool{false, false, true, true}, polled); diff != "" {
		t.Errorf("readiness, poll by poll (-want +got):\n%s", diff)
	}
	if !d.group(t, "before", a).GetReadyToUse() || !before.GetReadyToUse() {
		t.Error("a group that was ready before the fault is so no longer")
	}

	d.faults(t, csidriver.Faults{NotReady: csidriver.NotReady{For: time.Hour}})
	waiting := d.snapshot(t, "s", a)
	_, err := d.CreateVolume(t.Context(), fromSnapshot(createVolume("early"), waiting.GetSnapshotId()))
	refused(t, err, codes.Unavailable, `snapshot "`+waiting.GetSnapshotId()+`" is not ready to use yet`)
	d.faults(t, csidriver.Faults{NotReady: csidriver.NotReady{For: time.Millisecond}})
	eventually(t, "the time to pass", func() error {
		if !d.snapshot(t, "s", a).GetReadyToUse() {
			return status.Error(codes.Unavailable, "not ready")
		}
		return nil
	})
	d.restored(t, "late", waiting.GetSnapshotId())
}
