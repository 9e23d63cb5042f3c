package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// locked is the folder of a temporary cluster, and the lock on it.
func locked(t *testing.T) (supervise.Config, *os.File) {
	t.Helper()
	cfg := supervise.Config{Dir: t.TempDir(), ID: "test", Ephemeral: true}
	if err := cfg.Write(); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() }) // closed already, unless the test failed
	return cfg, lock
}

func TestClosingWaitsForTheLockOfASupervisorThatWasKilled(t *testing.T) {
	cfg, lock := locked(t)
	const noMore = 1 << 22 // no process has a higher number: proc(5)
	if err := os.WriteFile(cfg.Path(supervise.PIDFile), []byte(strconv.Itoa(noMore)), 0o600); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = lock.Close() }) // its last thread ends
	c, err := Attach(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder: %v, want it gone", err)
	}
}

func TestAClusterThatIsBeingBuiltIsNotClosed(t *testing.T) {
	cfg, _ := locked(t)
	c, err := Attach(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("a cluster is being built for %q: interrupt the command that starts it", cfg.Dir)
	if err := c.Close(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
