// Package host prepares the namespaces in which the node tier of a cluster runs, and removes what outlives them.
//
// Init is process 1 of the cluster's process namespace. When it ends, by itself or killed, the kernel ends every process
// in the namespace, and with the last of them go the mount and the network namespace: mounts, interfaces, routes and
// iptables rules. Only cgroups remain, which Init removes at its end and RemoveCgroups after it was killed.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// Namespaces are the clone flags for the process that calls Init.
const Namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET

// Init prepares mounts, network and cgroups, runs this same program with args as its child, hands it standard input and
// output and the inherited descriptors, and reaps what is orphaned. It returns the child's exit status when the child has
// ended, every other process of the namespace is killed and the cgroups are gone. The end of ctx asks the child to end.
func Init(ctx context.Context, cfg supervise.Config, args []string) (int, error) {
	if os.Getpid() != 1 {
		return 1, errors.New("init must be process 1 of a namespace of its own")
	}
	if err := errors.Join(mounts(cfg), network()); err != nil {
		return 1, err
	}
	if err := createCgroups(cfg.CgroupRoot()); err != nil {
		return 1, errors.Join(err, RemoveCgroups(cfg.CgroupRoot()))
	}
	status, err := runChild(ctx, args)
	killAll()
	err = errors.Join(err, RemoveCgroups(cfg.CgroupRoot()))
	if cfg.Ephemeral && status == 0 {
		err = errors.Join(err, removeDir(cfg.Dir))
	}
	return status, err
}

// runChild starts the child and reaps until it has ended.
func runChild(ctx context.Context, args []string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{os.NewFile(supervise.ForwardFD, "forward"), os.NewFile(supervise.LockFD, "lock")}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start the supervisor: %w", err)
	}
	// Only the child may write to the launcher and hold the port.
	_ = os.Stdout.Close()
	_ = cmd.ExtraFiles[0].Close()
	stop := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // ended already
	})
	defer stop()
	return reapUntil(cmd.Process.Pid)
}

// reapUntil reaps every process that ends, the orphans of containerd's shims among them, until pid has.
func reapUntil(pid int) (int, error) {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, fmt.Errorf("wait for the supervisor: %w", err)
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == pid:
			return status.ExitStatus(), nil
		}
	}
}

// killAll kills every other process of the namespace and reaps them all.
func killAll() {
	for range 100 { // a process that forks while it is being killed needs another round
		if err := unix.Kill(-1, unix.SIGKILL); errors.Is(err, unix.ESRCH) {
			return
		}
		for {
			ended, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if ended <= 0 || err != nil {
				break
			}
		}
		time.Sleep(10 * time.Millisecond) // their end is not an event that can be waited for without a child left
	}
}
