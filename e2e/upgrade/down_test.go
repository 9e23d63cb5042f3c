package upgrade_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// timeout is how long the API server waits for the webhook of claims, by default.
const timeout = 3 * time.Second

// apply installs the product without helm, edited as by somebody who has the image elsewhere. Nobody asks the webhook while its Pods go, so
// they go at once.
const apply = "sed 's/--shutdown-delay-duration=5s/--shutdown-delay-duration=1s/' manifests/install.yaml | kubectl apply --filename -"

// usually is how long a claim usually takes to be created in a namespace: the median, as a dry run.
func (s site) usually(t *testing.T, namespace string) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 21 {
		begun := time.Now()
		suite.Must(t, s.creates(t.Context(), namespace))
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func (s site) creates(ctx context.Context, namespace string) error {
	return s.admin.Create(ctx, suite.Claim(namespace, "db", "data", "late"), client.DryRunAll)
}

// unchecked checks that claims of a namespace are refused because nobody checks them, and that the message names the Service.
func (s site) unchecked(t *testing.T, namespace string) {
	t.Helper()
	const want = `Internal error occurred: failed calling webhook "claims.snapshot-group.admission": failed to call webhook: ` +
		`Post "https://snapshot-group-webhook.snapshot-group.svc:443/claims?timeout=3s": `
	if err := s.creates(t.Context(), namespace); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error of a claim in %s: %v, want %s", namespace, err, want)
	}
}

func TestWhileNoPodRunsOnlyNamespacesThatOptedInNotice(t *testing.T) {
	s := onNode(t)
	s.ok(t, apply)
	s.rolledOut(t)
	suite.Must(t, s.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "playground"}}))
	db, web := s.optedIn(t, "db"), s.optedIn(t, "web")
	before := s.usually(t, "playground")
	s.ok(t, "kubectl --namespace snapshot-group scale deployment snapshot-group --replicas=0")
	s.gone(t)

	t.Run("others have their claims as fast as ever", func(t *testing.T) {
		during := s.usually(t, "playground")
		t.Logf("%s before, %s while it is down", before, during)
		if during > before+timeout/2 {
			t.Errorf("a claim takes %s, and took %s: it waits for the webhook", during, before)
		}
	})
	t.Run("their own are refused, with the reason", func(t *testing.T) {
		s.unchecked(t, db)
		s.unchecked(t, web)
	})
	t.Run("one command lets those of one namespace in", func(t *testing.T) {
		s.documented(t, "kubectl label namespace db snapshot-group-")
		s.admits(t, db)
		s.unchecked(t, web)
	})
	t.Run("one command lets all in", func(t *testing.T) {
		s.documented(t, `kubectl patch validatingwebhookconfiguration snapshot-group --type=strategic --patch='{"webhooks":[{"name":"claims.snapshot-group.admission","$patch":"delete"}]}'`)
		s.admits(t, web)
	})
	t.Run("and who applies the manifest again ends that", func(t *testing.T) {
		s.ok(t, apply)
		s.rolledOut(t)
		suite.Eventually(t, "the claims to be checked", func(ctx context.Context) error { return s.checks(ctx, web) })
	})
	s.ok(t, "kubectl delete --filename manifests/install.yaml")
}

// admits waits until the API server has heard that it need not ask any more.
func (s site) admits(t *testing.T, namespace string) {
	t.Helper()
	suite.Eventually(t, fmt.Sprintf("claims of %s to be admitted", namespace), func(ctx context.Context) error {
		return s.creates(ctx, namespace)
	})
}
