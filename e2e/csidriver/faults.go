package csidriver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// Faults is what goes wrong in the driver, from the moment they are set until they are replaced or the process ends. The
// zero value is a driver without faults.
type Faults struct {
	// Slow delays each CreateSnapshot and CreateVolumeGroupSnapshot before anything is cut. A caller that gives up in the
	// meantime leaves nothing behind.
	Slow time.Duration
	// Hang holds every call of these RPCs, before it does anything, until the RPC is no longer listed or the caller gives up.
	Hang []string
	// Fail makes calls fail, by the name of the RPC, for example "DeleteVolumeGroupSnapshot".
	Fail map[string]Failure
	// MemberShort leaves the last volume out of each new group snapshot of two or more volumes.
	MemberShort bool
	// NoListing hides that the driver can list snapshots: many cannot. csi-snapshotter then believes what an import says.
	NoListing bool
	// NotReady withholds readiness from snapshots that have not been reported ready before.
	NotReady NotReady
}

// Failure is how the calls of one RPC fail.
type Failure struct {
	// Code is what the caller gets. It must not be OK.
	Code codes.Code
	// Message is what the caller reads; if empty, one that says that this is a fault.
	Message string
	// Calls is how many calls fail; 0 means every call until the faults are replaced. It counts down.
	Calls int
	// Afterwards lets the call do its work first, as if only the reply had been lost.
	Afterwards bool
}

// NotReady is how long a new snapshot is reported with ready_to_use false, and is refused as the source of a volume. Where
// both are set, both must have passed. The zero value is: not at all.
type NotReady struct {
	// For counts from the cut.
	For time.Duration
	// Polls is the number of replies that report the snapshot as not ready. Looking at the inventory is no poll.
	Polls int
}

// Validate reports the first value that makes no sense, so that a misspelt fault cannot pass as a driver that works.
func (f Faults) Validate() error {
	switch {
	case f.Slow < 0:
		return fmt.Errorf("slow is %s: must not be negative", f.Slow)
	case f.NotReady.For < 0:
		return fmt.Errorf("notReady.for is %s: must not be negative", f.NotReady.For)
	case f.NotReady.Polls < 0:
		return fmt.Errorf("notReady.polls is %d: must not be negative", f.NotReady.Polls)
	}
	for _, rpc := range f.Hang {
		if err := checkRPC("hang", rpc); err != nil {
			return err
		}
	}
	for _, rpc := range sortedKeys(f.Fail) {
		if err := checkRPC("fail", rpc); err != nil {
			return err
		}
		if err := f.Fail[rpc].validate(); err != nil {
			return fmt.Errorf("fail of %s: %w", rpc, err)
		}
	}
	return nil
}

func (f Failure) validate() error {
	if f.Calls < 0 {
		return fmt.Errorf("calls is %d: must not be negative", f.Calls)
	}
	if _, known := codeName(f.Code); !known || f.Code == codes.OK {
		return fmt.Errorf("code %d is no gRPC error code", f.Code)
	}
	return nil
}

func checkRPC(fault, rpc string) error {
	if slices.Contains(RPCs(), rpc) {
		return nil
	}
	return fmt.Errorf("%s names the RPC %q: must be one of %s", fault, rpc, strings.Join(RPCs(), ", "))
}

// RPCs returns the names of the RPCs that the driver can serve, in order: those of the CSI services it registers.
func RPCs() []string {
	var names []string
	for _, service := range []grpc.ServiceDesc{
		csi.Identity_ServiceDesc, csi.Controller_ServiceDesc, csi.GroupController_ServiceDesc, csi.Node_ServiceDesc,
	} {
		for _, method := range service.Methods {
			names = append(names, method.MethodName)
		}
	}
	slices.Sort(names)
	return names
}
