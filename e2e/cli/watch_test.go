package cli_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
)

// watching is a command that goes on, and the lines that it has shown so far.
type watching struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	lines []string
}

// watch starts the plugin on a terminal.
func watch(t *testing.T, arguments ...string) *watching {
	t.Helper()
	w := &watching{cmd: exec.Command(filepath.Join(programs(), "kubectl-snapshot_group"), arguments...)}
	w.cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig(), "TERM=xterm", "NO_COLOR=")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	terminal, err := pty.StartWithSize(w.cmd, &pty.Winsize{Rows: 50, Cols: 250})
	must(t, err)
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		_ = terminal.Close()
	})
	go w.read(terminal)
	return w
}

func (w *watching) read(terminal io.Reader) {
	lines := bufio.NewScanner(terminal)
	for lines.Scan() {
		w.mu.Lock()
		w.lines = append(w.lines, lines.Text())
		w.mu.Unlock()
	}
}

// shows waits until the last line is the one that is wanted, but for ages, names that change and the width of columns.
func (w *watching) shows(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the command to show it", func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.lines) == 0 {
			return errors.New("it has shown nothing yet")
		}
		last := w.lines[len(w.lines)-1]
		if diff := cmp.Diff(want, strings.TrimSpace(ages.ReplaceAllString(columns(last), "${1}AGE"))); diff != "" {
			return fmt.Errorf("last line (-want +got):\n%s", diff)
		}
		return nil
	})
}

// ends interrupts the command as a person would, which is no failure.
func (w *watching) ends(t *testing.T) {
	t.Helper()
	must(t, w.cmd.Process.Signal(os.Interrupt))
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ended with: %v", err)
	}
}

// On a terminal, and so with colours, status and list go on to show what becomes of a namespace.
func TestStatusAndListAreWatched(t *testing.T) {
	const ns = "watched"
	const good, bad, plain = "\x1b[32m", "\x1b[31m", "\x1b[0m"
	namespace(t, ns)
	database(t, ns)
	ok(t, "kubectl label namespace watched snapshot-group=enabled")
	status := watch(t, "status", "--watch", "--namespace="+ns)
	list := watch(t, "list", "--watch", "--namespace="+ns)
	status.shows(t, "watched - - - never 1 0/0 "+good+"0"+plain)
	list.shows(t, "No restore points found in namespace watched. To make one: kubectl snapshot-group run --namespace watched")

	ok(t, "kubectl annotate namespace watched snapshot-group/workflow=copy")
	status.shows(t, "watched - - - never 1 0/0 "+bad+"1"+plain)
	ok(t, "kubectl annotate namespace watched snapshot-group/workflow-")
	apply(t, strings.Replace(groupedClaim(ns, "queue", "csi-a"), "db-cluster-1", "queue-1", 1))
	status.shows(t, "watched - - - never 2 0/0 "+good+"0"+plain)

	loop(t)
	ok(t, "kubectl snapshot-group run --wait --group=db-cluster-1 --namespace watched")
	status.shows(t, "watched - - "+good+"succeeded"+" (AGE ago), only db-cluster-1"+plain+" never 2 1/1 "+good+"0"+plain)
	list.shows(t, "db-cluster-1-RUN-HASH db-cluster-1 2/2 "+good+"Complete"+plain+" 2Mi AGE no")
	status.ends(t)
	list.ends(t)
}
