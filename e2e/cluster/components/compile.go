package components

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

type compilation struct {
	Component
	from, to string // the folder of the module, the program to write
}

// compile runs go build. CGO is off: a bare machine has no C compiler, and the programs need none.
func compile(ctx context.Context, progress io.Writer, c compilation) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-buildvcs=false",
		"-ldflags", strings.TrimSpace("-s -w "+c.flags), "-o", c.to, c.pkg)
	cmd.Dir = c.from
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	cmd.WaitDelay = 5 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("start go build: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go build: %w", err)
	}
	teller := tell(progress, c.Name)
	said := teller.read(stderr)
	err = cmd.Wait()
	teller.stop(err)
	if err != nil {
		return errors.Join(fmt.Errorf("go build %s: %w", c.pkg, err), errors.New(said))
	}
	return nil
}

// tellEvery is the pace of progress lines: often enough to show life, seldom enough for a log.
const tellEvery = 10 * time.Second

// teller says what go build is doing. go build -v prints a line per package that it compiles.
type teller struct {
	out   io.Writer
	name  string
	began time.Time
	done  chan struct{}
	wg    sync.WaitGroup

	mu       sync.Mutex
	packages int
}

func tell(out io.Writer, name string) *teller {
	t := &teller{out: out, name: name, began: time.Now(), done: make(chan struct{})}
	fmt.Fprintf(out, "building %s\n", name)
	t.wg.Go(t.tick)
	return t
}

func (t *teller) tick() {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.done:
			return
		case <-ticker.C:
			fmt.Fprintf(t.out, "building %s: %d packages compiled in %s\n", t.name, t.count(), t.elapsed())
		}
	}
}

func (t *teller) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.packages
}

func (t *teller) elapsed() time.Duration { return time.Since(t.began).Round(time.Second) }

// read consumes go build's output: package names are counted, the last lines of anything else are kept for the error.
func (t *teller) read(r io.Reader) string {
	var kept [][]byte
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Bytes()
		if isPackage(line) {
			t.mu.Lock()
			t.packages++
			t.mu.Unlock()
			continue
		}
		if !bytes.HasPrefix(line, []byte("go: downloading ")) {
			kept = append(kept, bytes.Clone(line))
		}
		if len(kept) > 20 {
			kept = kept[1:]
		}
	}
	return string(bytes.Join(kept, []byte("\n")))
}

func isPackage(line []byte) bool {
	return len(line) > 0 && !bytes.ContainsAny(line, " :#\t")
}

func (t *teller) stop(err error) {
	close(t.done)
	t.wg.Wait()
	if err == nil {
		fmt.Fprintf(t.out, "built %s in %s\n", t.name, t.elapsed())
	}
}
