package cli_test

import (
	"bytes"
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
)

// question is one that the plugin has asked a person, and waits for the answer to.
type question struct {
	cmd      *exec.Cmd
	terminal *os.File

	mu    sync.Mutex
	shown bytes.Buffer
}

// asks starts the plugin on a terminal, and returns when it asks.
func asks(t *testing.T, arguments ...string) *question {
	t.Helper()
	q := &question{cmd: exec.Command(filepath.Join(programs(), "kubectl-snapshot_group"), arguments...)}
	q.cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig())
	q.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	q.terminal, err = pty.Start(q.cmd)
	must(t, err)
	t.Cleanup(func() {
		_ = q.cmd.Process.Kill()
		_ = q.terminal.Close()
	})
	go func() { _, _ = io.Copy(q, q.terminal) }() // ends with the command
	eventually(t, "the command to ask", func(context.Context) error {
		if said := q.said(); !strings.HasSuffix(said, " Go on? [y/N] ") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	return q
}

func (q *question) Write(part []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.shown.Write(part)
}

func (q *question) said() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strings.ReplaceAll(q.shown.String(), "\r\n", "\n")
}

// yes is what the command says after that answer, and its exit status.
func (q *question) yes(t *testing.T) answer {
	t.Helper()
	before := len(q.said())
	_, err := q.terminal.WriteString("y\n")
	must(t, err)
	err = q.cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		must(t, err)
	}
	var said string
	eventually(t, "the terminal to show the end", func(context.Context) error {
		if said = q.said()[before:]; strings.Count(said, "\n") < 2 { // the first is that of the answer
			return fmt.Errorf("it shows %q", said)
		}
		return nil
	})
	return answer{err: strings.TrimPrefix(said, "y\n"), status: q.cmd.ProcessState.ExitCode()}
}

// Between the question and its answer, others may need the restore point.
func TestARestorePointThatIsNeededMeanwhileIsNotDeleted(t *testing.T) {
	const ns, point = "delete-asked", "demo"
	namespace(t, ns)
	mysql(t, ns)
	snapshot(t, ns, point)
	for name, tc := range map[string]struct{ needed, free, want string }{
		"held by somebody": {
			"kubectl snapshot-group hold demo --namespace " + ns, "kubectl snapshot-group release demo --namespace " + ns,
			`restore point "demo" is held: to release it, kubectl snapshot-group release demo --namespace ` + ns + "; it was not deleted",
		},
		"a restore in place has begun": {
			`kubectl create configmap snapshot-group-restore --from-literal=journal.json='{"point":"demo"}' --namespace ` + ns,
			"kubectl delete configmap snapshot-group-restore --namespace " + ns,
			`restore point "demo" is needed: claims are being restored in place from it, as ConfigMap "snapshot-group-restore" says; ` +
				"run that restore again to finish it; it was not deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := asks(t, "delete", point, "--namespace="+ns)
			ok(t, tc.needed)
			if got, want := q.yes(t), (answer{err: "error: " + tc.want + "\n", status: 1}); got != want {
				t.Errorf("it answers %+v, want %+v", got, want)
			}
			must(t, complete(t.Context(), ns, point, 2))
			ok(t, tc.free)
		})
	}
}
