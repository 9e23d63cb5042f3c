package csidriver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

func TestTheInventoryListsAndCounts(t *testing.T) {
	d := start(t)
	a, b := d.volume(t, "a", ""), d.volume(t, "b", "")
	group, alone := d.group(t, "g", a, b), d.snapshot(t, "s", a)
	restored := d.restored(t, "restored", alone.GetSnapshotId())
	if _, err := d.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{}); err == nil { // a call that is refused counts too
		t.Error("deleting a snapshot without an ID was not refused")
	}

	got, err := d.control.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	volumes := map[string]csidriver.Volume{
		a:        {ID: a, Name: "a", Capacity: gib},
		b:        {ID: b, Name: "b", Capacity: gib},
		restored: {ID: restored, Name: "restored", Capacity: gib, SourceSnapshot: alone.GetSnapshotId()},
	}
	snapshots := map[string]csidriver.Snapshot{}
	for _, s := range append(group.GetSnapshots(), alone) {
		name := "g-" + s.GetSourceVolumeId()
		if s == alone {
			name = "s"
		}
		snapshots[s.GetSnapshotId()] = csidriver.Snapshot{
			ID: s.GetSnapshotId(), Name: name, SourceVolume: s.GetSourceVolumeId(), GroupID: s.GetGroupSnapshotId(),
			Size: gib, Created: s.GetCreationTime().AsTime(), Ready: true,
		}
	}
	want := csidriver.Inventory{
		Volumes: inOrder(volumes), Snapshots: inOrder(snapshots),
		Groups: []csidriver.Group{{
			ID: group.GetGroupSnapshotId(), Name: "g", Snapshots: memberIDs(group), Created: group.GetCreationTime().AsTime(), Ready: true,
		}},
		Calls: map[string]int{"CreateVolume": 3, "CreateSnapshot": 1, "CreateVolumeGroupSnapshot": 1, "DeleteSnapshot": 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

func TestFaultsAreReadBackAsTheyWereSet(t *testing.T) {
	d := start(t)
	want := csidriver.Faults{
		Slow: 90 * time.Second, Hang: []string{"Probe"}, MemberShort: true, NoListing: true,
		Fail:     map[string]csidriver.Failure{"CreateVolume": {codes.ResourceExhausted, "full", 3, true}, "DeleteVolume": {Code: codes.Aborted}},
		NotReady: csidriver.NotReady{For: time.Minute, Polls: 3},
	}
	for name, want := range map[string]csidriver.Faults{"all kinds of faults": want, "no faults": {}} {
		t.Run(name, func(t *testing.T) {
			d.faults(t, want)
			got, err := d.control.Faults(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"slow":"1m30s","hang":["Probe"],"fail":{"CreateVolume":{"code":"RESOURCE_EXHAUSTED","message":"full","calls":3,`+
		`"afterwards":true},"DeleteVolume":{"code":"ABORTED"}},"memberShort":true,"noListing":true,"notReady":{"for":"1m0s","polls":3}}`,
		string(text)); diff != "" {
		t.Errorf("faults as they are written (-want +got):\n%s", diff)
	}
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	d := start(t)
	rpcs := strings.Join(csidriver.RPCs(), ", ")
	for name, tc := range map[string]struct{ body, want string }{
		"a field that does not exist":    {`{"slwo":"1s"}`, `json: unknown field "slwo"`},
		"a field of a failure, likewise": {`{"fail":{"Probe":{"cod":"ABORTED"}}}`, `json: unknown field "cod"`},
		"an RPC that does not exist":     {`{"fail":{"CreateGroup":{"code":"ABORTED"}}}`, `fail names the RPC "CreateGroup": must be one of ` + rpcs},
		"an RPC to hang, likewise":       {`{"hang":["CreateGroup"]}`, `hang names the RPC "CreateGroup": must be one of ` + rpcs},
		"a code that does not exist":     {`{"fail":{"Probe":{"code":"BROKEN"}}}`, `"BROKEN" is not a gRPC code such as UNAVAILABLE`},
		"a failure without a code":       {`{"fail":{"Probe":{}}}`, `fail of Probe: code 0 is no gRPC error code`},
		"a failure that is none":         {`{"fail":{"Probe":{"code":"OK"}}}`, `fail of Probe: code 0 is no gRPC error code`},
		"a negative number of calls":     {`{"fail":{"Probe":{"code":"ABORTED","calls":-1}}}`, `fail of Probe: calls is -1: must not be negative`},
		"a negative delay":               {`{"slow":"-1s"}`, `slow is -1s: must not be negative`},
		"a negative time":                {`{"notReady":{"for":"-1s"}}`, `notReady.for is -1s: must not be negative`},
		"a negative number of polls":     {`{"notReady":{"polls":-1}}`, `notReady.polls is -1: must not be negative`},
		"a duration without a unit":      {`{"slow":"10"}`, `"10" is not a duration such as 500ms or 1m30s`},
		"no JSON":                        {`slow`, `invalid character 's' looking for beginning of value`},
		"nothing":                        {``, `unexpected end of JSON input`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := put(t, d.path("control.sock"), "/faults", tc.body)
			if diff := cmp.Diff(fmt.Sprintf("400 understand faults: %s\n", tc.want), fmt.Sprint(status, " ", body)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	if got, err := d.control.Faults(t.Context()); err != nil || !cmp.Equal(csidriver.Faults{}, got) {
		t.Errorf("faults are %+v, %v after all this, want none", got, err)
	}
	err := d.control.SetFaults(t.Context(), csidriver.Faults{Hang: []string{"CreateGroup"}})
	if diff := cmp.Diff(`set faults: 400 Bad Request: understand faults: hang names the RPC "CreateGroup": must be one of `+rpcs, fmt.Sprint(err)); diff != "" {
		t.Errorf("error of the client (-want +got):\n%s", diff)
	}
}

// put sends a body as it is, past the client that would not.
func put(t *testing.T, socket, path, body string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://driver"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(reply)
}
