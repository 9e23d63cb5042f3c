package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/build/image"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// previous is the version before the one of the checkout. None is published yet: what stands in for it has the same programs, and differs
// from the checkout's, as any version does, in the labels of all objects and in the image of the Pods, which an upgrade therefore replaces.
const previous = "0.0.1-previous"

// makeReleases makes the chart of the previous version, has the node know the images of both versions, and makes classes of claims that
// wait for Pods, so that traffic leaves storage alone: class "late", and "bare", whose driver has no snapshot classes.
func (s site) makeReleases(ctx context.Context) error {
	now, before := filepath.Join(s.Dir(), "now.tar"), filepath.Join(s.Dir(), "before.tar")
	_, err := s.run(ctx, fmt.Sprintf(`version=$(awk '/^appVersion:/ {print $2}' charts/snapshot-group/Chart.yaml)
go run ./build/image/cmd --version $version --output %s
helm package charts/snapshot-group --version %s --app-version %[2]s --destination %s
`, now, previous, s.Dir())+classes)
	if err != nil {
		return err
	}
	built, err := tarball.ImageFromPath(now, nil)
	if err != nil {
		return fmt.Errorf("read the image: %w", err)
	}
	if err := image.Save(before, "snapshot-group:"+previous, built); err != nil {
		return err
	}
	return errors.Join(s.LoadImage(ctx, now), s.LoadImage(ctx, before))
}

// previousChart is the chart of the previous version.
func (s site) previousChart() string {
	return filepath.Join(s.Dir(), "snapshot-group-"+previous+".tgz")
}

const classes = `kubectl apply --filename - <<'EOF'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late}
provisioner: csi-a.test
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: bare}
provisioner: bare.test
volumeBindingMode: WaitForFirstConsumer
EOF`

func (s site) install(t *testing.T, chart string) {
	t.Helper()
	s.ok(t, "helm install snapshot-group "+chart+" --namespace snapshot-group --create-namespace --set image.pullPolicy=Never")
	s.rolledOut(t)
}

// rolledOut waits until all Pods are as the Deployment says.
func (s site) rolledOut(t *testing.T) {
	t.Helper()
	s.ok(t, "kubectl --namespace snapshot-group rollout status deployment/snapshot-group --timeout=3m")
}

// gone waits until there is no Pod.
func (s site) gone(t *testing.T) {
	t.Helper()
	s.ok(t, "kubectl --namespace snapshot-group wait pod --all --for=delete --timeout=3m")
}

// documented runs a command as it stands in the chart's README.
func (s site) documented(t *testing.T, command string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(s.root, "charts", "snapshot-group", "README.md"))
	suite.Must(t, err)
	if !strings.Contains(string(page), "\n    "+command+"\n") {
		t.Fatalf("the chart's README does not say: %s", command)
	}
	s.ok(t, command)
}

const upgrade = "helm upgrade snapshot-group charts/snapshot-group --namespace snapshot-group --reset-then-reuse-values"

// checks returns an error unless claims of a namespace are checked.
func (s site) checks(ctx context.Context, namespace string) error {
	err := s.admin.Create(ctx, suite.Claim(namespace, "db", "bare", "bare"), client.DryRunAll)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "[no-default-snapshot-class]") {
		return fmt.Errorf("a claim on a driver without snapshot classes: error %w, want a refusal that says so", err)
	}
	return nil
}
