// Package story tells the product's main job on a real cluster, from `helm install` to a restored volume, in the commands
// that a user types. The demo shows it; the end-to-end test asserts it.
package story

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
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// Promise is something that the product promises its users, and whether it was kept.
type Promise struct {
	Text string
	// Err says how it was broken; nil if it was kept.
	Err error
}

// ErrUntold is the error of a promise that was not put to the test because one before it was broken.
var ErrUntold = errors.New("not told, because of the promise broken above")

// teller tells one story on one cluster.
type teller struct {
	cluster *cluster.Cluster
	client  client.WithWatch
	root    string // the repository
	out     io.Writer
	env     []string
}

// chapter shows how one promise is kept, and returns an error where it is not.
type chapter struct {
	promise string
	tell    func(*teller, context.Context) error
}

var chapters = []chapter{
	{"helm install brings up webhook and snapshotter, with a certificate of their own and least rights", (*teller).install},
	{"claims of a group on one driver are admitted; one on another driver is refused, with the reason", (*teller).mixedDrivers},
	{"a group on a driver without a default VolumeSnapshotClass is refused, with the command that mends it", (*teller).noDefaultClass},
	{"a namespace that did not opt in notices nothing", (*teller).notOptedIn},
	{"one annotation snapshots the group at once; its members are labelled when they are created", (*teller).keep},
	{"volumes restored from the members hold the data of the snapshot's instant", (*teller).restore},
	{"workflow detach leaves ready members and the anchor, which frees their storage", (*teller).detach},
	{"while every webhook is down, one command lets claims in, and helm upgrade brings the check back", (*teller).breakGlass},
	{"helm uninstall leaves no webhook, Lease or Secret, and every restore point", (*teller).uninstall},
}

// Tell tells the story on a fresh cluster of the node tier with two drivers, and shows on out each command and what came
// back. The promises are in the order in which they were told.
func Tell(ctx context.Context, c *cluster.Cluster, out io.Writer) ([]Promise, error) {
	t, err := newTeller(ctx, c, out)
	if err != nil {
		return nil, err
	}
	if err := t.loadImage(ctx); err != nil {
		return nil, err
	}
	var told []Promise
	var broken error
	for i, ch := range chapters {
		p := Promise{Text: ch.promise, Err: ErrUntold}
		if broken == nil {
			fmt.Fprintf(out, "\n── %d. %s\n", i+1, ch.promise)
			p.Err = ch.tell(t, ctx)
			broken = p.Err
		}
		told = append(told, p)
	}
	return told, nil
}

func newTeller(ctx context.Context, c *cluster.Cluster, out io.Writer) (*teller, error) {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return nil, err
	}
	api, err := newClient(c)
	if err != nil {
		return nil, err
	}
	path := filepath.Dir(c.Program("kubectl")) + ":" + filepath.Dir(c.Program("helm")) + ":" + os.Getenv("PATH")
	return &teller{
		cluster: c, client: api, root: root, out: out,
		env: append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "PATH="+path, "HELM_CACHE_HOME="+c.Dir()+"/helm"),
	}, nil
}

// version is that of the image that the story installs.
const version = "0.0.0-story"

func (t *teller) loadImage(ctx context.Context) error {
	tarball := filepath.Join(t.cluster.Dir(), "snapshot-group.tar")
	if _, err := t.run(ctx, "go run ./build/image/cmd --version "+version+" --output "+tarball); err != nil {
		return err
	}
	return t.cluster.LoadImage(ctx, tarball)
}

// run shows a command, runs it in the repository and shows what came back. A status other than 0 is an error.
func (t *teller) run(ctx context.Context, command string) (string, error) {
	out, status, err := t.try(ctx, command)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d of: %s\n%s", status, command, out)
	}
	return out, err
}

// runAll runs commands until one fails.
func (t *teller) runAll(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if _, err := t.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// try is run for a command whose failure is part of the story.
func (t *teller) try(ctx context.Context, command string) (string, int, error) {
	fmt.Fprintf(t.out, "\n  $ %s\n", strings.ReplaceAll(command, "\n", "\n    "))
	var both bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = t.root, t.env
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	out := strings.TrimSpace(both.String())
	if out != "" {
		fmt.Fprintf(t.out, "    %s\n", strings.ReplaceAll(out, "\n", "\n    "))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return out, exit.ExitCode(), nil
	}
	if err != nil {
		return out, -1, fmt.Errorf("run %q: %w", command, err)
	}
	return out, 0, nil
}

// refused runs a command that must fail with a message that holds every one of words.
func (t *teller) refused(ctx context.Context, command string, words ...string) error {
	out, status, err := t.try(ctx, command)
	if err != nil {
		return err
	}
	if status == 0 {
		return fmt.Errorf("it was admitted: %s", out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			return fmt.Errorf("the refusal does not mention %s: %s", w, out)
		}
	}
	return nil
}

// untilRefused waits, without showing it, until a dry run of an apply is refused: the webhooks see an object that was just
// written a few milliseconds later.
func (t *teller) untilRefused(ctx context.Context, apply string) error {
	dry := *t
	dry.out = io.Discard
	return t.eventually(ctx, "the refusal", func(ctx context.Context) error {
		return dry.refused(ctx, strings.Replace(apply, "kubectl apply", "kubectl apply --dry-run=server", 1), "denied the request")
	})
}

// say explains what comes next.
func (t *teller) say(text string) { fmt.Fprintf(t.out, "\n  # %s\n", text) }

// patience bounds every wait for something to happen on the cluster; it takes a second or two.
const patience = 2 * time.Minute

// eventually asks until check returns nil; its last error says what was missing.
func (t *teller) eventually(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", patience, what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
