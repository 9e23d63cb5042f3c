package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test's binary the program.
const asProgram = "SNAPSHOT_GROUP_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestTheSecondInterruptEndsWhatTheFirstDoesNot: a command that reads what does not come looks at nothing else.
func TestTheSecondInterruptEndsWhatTheFirstDoesNot(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Args = []string{"kubectl-snapshot_group", "check", "--filename=-"}
	cmd.Env = append(os.Environ(), asProgram+"=yes", "KUBECONFIG=/dev/null")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reads := func() { // more than a pipe holds
		t.Helper()
		if _, err := in.Write(bytes.Repeat([]byte("# nothing yet\n"), 20_000)); err != nil {
			t.Fatalf("it reads no more: %v: %s", err, &said)
		}
	}
	interrupt := func() {
		t.Helper()
		if err := cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	reads()
	interrupt()
	reads()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in the state
	}()
	deadline := time.After(time.Minute)
	for over := false; !over; {
		interrupt() // a moment after the first, one may still be taken for another first
		select {
		case <-ended:
			over = true
		case <-deadline:
			t.Fatal("it goes on after every interrupt")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended by %s, want by the interrupt: %s", cmd.ProcessState, &said)
	}
}
