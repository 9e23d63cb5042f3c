package admission_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// user is somebody at the API server, who sees warnings as kubectl shows them.
type user struct {
	client.WithWatch

	mu     sync.Mutex
	warned []string
}

// newUser is the administrator or, where a name is given, somebody of that name who has every right.
func newUser(t *testing.T, name string) *user {
	t.Helper()
	config, err := shared.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	u := &user{}
	config.WarningHandler = u
	if name != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if u.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	return u
}

// HandleWarningHeader is for rest.Config.
func (u *user) HandleWarningHeader(_ int, _, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.warned = append(u.warned, text)
}

// warnings are those since they were last asked for.
func (u *user) warnings() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	warned := u.warned
	u.warned = nil
	return warned
}

// dryRun asks whether an object could be created, and creates nothing.
func (u *user) dryRun(ctx context.Context, o client.Object) error {
	return u.Create(ctx, o.DeepCopyObject().(client.Object), client.DryRunAll)
}

func mergePatch(text string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(text)) }

// label sets a label of a claim, as kubectl label does; an empty value takes it away.
func (u *user) label(t *testing.T, c *corev1.PersistentVolumeClaim, key, value string) error {
	t.Helper()
	quoted := "null"
	if value != "" {
		quoted = strconv.Quote(value)
	}
	return u.Patch(t.Context(), c, mergePatch(fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, key, quoted)))
}

// The webhooks of the chart, by the first part of their names.
const (
	claimsWebhook         = "claims"
	namespacesWebhook     = "namespaces"
	classesWebhook        = "classes"
	groupSnapshotsWebhook = "groupsnapshots"
	membersWebhook        = "members"
	labelsWebhook         = "labels"
)

// refusal is what a refused user gets to read.
type refusal struct {
	Code    int32
	Reason  metav1.StatusReason
	Message string
	// Rules are the types of the causes.
	Rules []string
}

// deniedBy is the refusal of one of our webhooks for rules.
func deniedBy(webhook, message string, rules ...string) refusal {
	return refusal{
		Code: 403, Reason: metav1.StatusReasonForbidden, Rules: rules,
		Message: fmt.Sprintf("admission webhook %q denied the request: %s", webhook+".snapshot-group.admission", message),
	}
}

// mismatch tells how err differs from a refusal; empty if it does not.
func mismatch(want refusal, err error) string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return fmt.Sprintf("not refused (error: %v), want\n%s", err, want.Message)
	}
	s := status.Status()
	got := refusal{Code: s.Code, Reason: s.Reason, Message: s.Message}
	if s.Details != nil {
		for _, c := range s.Details.Causes {
			got.Rules = append(got.Rules, string(c.Type))
		}
	}
	return cmp.Diff(want, got)
}

// refused fails the test unless err is the refusal.
func refused(t *testing.T, err error, want refusal) {
	t.Helper()
	if diff := mismatch(want, err); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
}

func admitted(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("not admitted: %v", err)
	}
}

// warned fails the test unless the user was told exactly these warnings since they were last asked for.
func (u *user) wasWarned(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, u.warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// patience bounds each wait; what is waited for takes milliseconds, on a busy machine a second.
const patience = suite.Patience

// await asks until check returns nil; its last error says what was missing.
func await(ctx context.Context, what string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// eventually is await for a test that cannot go on without.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	must(t, await(t.Context(), what, check))
}

// eventuallyRefused waits until the webhook, whose cache follows the API server by milliseconds, refuses a dry run.
func (u *user) eventuallyRefused(t *testing.T, o client.Object, want refusal) {
	t.Helper()
	eventually(t, "the refusal", func() error {
		if diff := mismatch(want, u.dryRun(t.Context(), o)); diff != "" {
			return errors.New(strings.TrimSpace(diff))
		}
		return nil
	})
}
