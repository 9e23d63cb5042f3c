// Package session is what every command has: the user's cluster and namespace, streams, ways to print, and exit statuses.
package session

import (
	"context"
	"errors"
	"fmt"
	"os"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Session is one use of the command line.
type Session struct {
	genericiooptions.IOStreams
	// Config are kubectl's flags for the cluster to talk to.
	Config *genericclioptions.ConfigFlags
	// LabelKey is the key of the group label in namespaces that name none.
	LabelKey string
	Clock    clock.PassiveClock
}

// New is a session on streams.
func New(streams genericiooptions.IOStreams) *Session {
	return &Session{IOStreams: streams, Config: genericclioptions.NewConfigFlags(true), Clock: clock.RealClock{}}
}

// AddFlags gives the root command the flags of every command.
func (s *Session) AddFlags(root *cobra.Command) {
	s.Config.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&s.LabelKey, "group-label-key", group.DefaultLabelKey, "key of the group label in namespaces that name none")
}

// CompleteFlags says how flags are completed; one that the command does not have is a mistake in the program.
func CompleteFlags(cmd *cobra.Command, by map[string]cobra.CompletionFunc) {
	for flag, complete := range by {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err)
		}
	}
}

// Namespace is the one that the user means: of the flag, else of the kubeconfig's context.
func (s *Session) Namespace() (string, error) {
	namespace, _, err := s.Config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return namespace, nil
}

// Requests to the API server per second and at once, as kubectl's.
const (
	qps   = 50
	burst = 300
)

// RESTConfig is how the cluster is reached. Warnings of the API server go to the user.
func (s *Session) RESTConfig() (*rest.Config, error) {
	config, err := s.Config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS, config.Burst = qps, burst
	config.WarningHandler = rest.NewWarningWriter(s.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

// Client talks to the cluster, about group snapshots in the newest version that it serves. Where it serves none,
// the error is command.ErrNoGroupSnapshots.
func (s *Session) Client(ctx context.Context) (client.WithWatch, error) {
	config, err := s.RESTConfig()
	if err != nil {
		return nil, err
	}
	served, err := command.GroupSnapshotVersion(ctx, config)
	if err != nil {
		return nil, Explain(err)
	}
	return ClientOf(config, served)
}

// ClientOf is a client that talks about group snapshots in this version, and about what cert-manager makes.
func ClientOf(config *rest.Config, groupSnapshots string) (client.WithWatch, error) {
	scheme, err := command.Scheme(groupSnapshots)
	if err != nil {
		return nil, err
	}
	if err := certmanagerv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register API types: %w", err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	return c, nil
}

// Explain adds to an error what to do, where the cause is known.
func Explain(err error) error {
	if errors.Is(err, command.ErrNoGroupSnapshots) || apimeta.IsNoMatchError(err) {
		return fmt.Errorf("the cluster does not serve group snapshots: install external-snapshotter 8.6 or later with its CRDs "+
			"(kubectl snapshot-group check says what is missing): %w", err)
	}
	return err
}

// Deadline bounds a wait; a timeout of 0 is none. ErrTimeout is the cause of its end.
func (s *Session) Deadline(ctx context.Context, t Timeout) (context.Context, context.CancelFunc) {
	if t.After == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, t.After, fmt.Errorf("%w of %s", ErrTimeout, t.After))
}

// OnTerminal is whether a stream is one that a person looks at.
func OnTerminal(stream any) bool {
	f, isFile := stream.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}
