package pods_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

const (
	buildImage = `go run ./build/image/cmd --version 0.0.0-pods --output `

	upgrade = `helm upgrade --install snapshot-group charts/snapshot-group --namespace snapshot-group --create-namespace \
  --set image.tag=0.0.0-pods --set image.pullPolicy=Never --wait --timeout 5m`
)

// claims are of two namespaces: web of shop is snapshotted each leap day, and so has no restore point, pg of orders each minute, the shortest interval
// there is.
const claims = `kubectl apply --filename - <<'EOF'
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {snapshot-group: enabled}
  annotations: {snapshot-group/schedule: "0 0 29 2 *", snapshot-group/keep: "7"}
---
apiVersion: v1
kind: Namespace
metadata:
  name: orders
  labels: {snapshot-group: enabled}
  annotations: {snapshot-group/schedule: "* * * * *", snapshot-group/timeout: 20s, snapshot-group/keep: "7"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web, namespace: shop, labels: {velero.io/volume-group: web}}
spec: {storageClassName: csi-a, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: pg, namespace: orders, labels: {velero.io/volume-group: pg}}
spec: {storageClassName: csi-b, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
EOF
kubectl --namespace shop wait persistentvolumeclaim/web --for=jsonpath='{.status.phase}'=Bound --timeout=2m
kubectl --namespace orders wait persistentvolumeclaim/pg --for=jsonpath='{.status.phase}'=Bound --timeout=2m`

// stray is a claim that the webhook refuses: its group is on another driver.
const stray = `kubectl apply --dry-run=server --filename - <<'EOF'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: stray, namespace: shop, labels: {velero.io/volume-group: web}}
spec: {storageClassName: csi-b, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
EOF`

const (
	snapshotNow  = "kubectl snapshot-group run --wait --namespace orders --timeout=2m"
	defaultClass = "kubectl annotate --overwrite volumesnapshotclass csi-a snapshot.storage.kubernetes.io/is-default-class"

	runFailed = `SnapshotGroupRunFailed{namespace="orders",severity="warning"}: The last run of namespace orders failed`
	noClass   = `SnapshotGroupNoDefaultClass{namespace="shop",rule="no-default-snapshot-class",severity="warning"}: ` +
		`Groups of namespace shop cannot be snapshotted for want of one snapshot class`
	loopDown = `SnapshotGroupSnapshotterDown{severity="critical"}: No loop takes snapshots`
	overdue  = `SnapshotGroupOverdue{group="pg",namespace="orders",severity="critical"}: ` +
		`The newest restore point of group orders/pg is too old`
)

// watched breaks one thing after the other and mends it as the runbooks say, and looks at what arrives in Alertmanager. Before no run can be had
// any more, one is: a minute and a half after its last restore point group pg is overdue, which is told of, too.
func watched(t *testing.T, s site) {
	t.Helper()
	tarball := filepath.Join(s.cluster.Dir(), "snapshot-group.tar")
	s.ok(t, buildImage+tarball)
	suite.Must(t, s.cluster.LoadImage(t.Context(), tarball))
	s.ok(t, upgrade)
	m := monitor(t, s)
	m.gives(t, "both containers of both Pods", `count(up == 1) == 4`)
	s.ok(t, claims)
	m.become(t, suite.Patience)
	s.ok(t, snapshotNow)

	s.ok(t, defaultClass+"-")
	m.become(t, suite.Patience, noClass)
	suite.Eventually(t, "a refusal", func(ctx context.Context) error {
		_, err := s.run(ctx, stray)
		if err == nil {
			return errors.New("the claim is admitted")
		}
		if !strings.Contains(err.Error(), "[mixed-drivers]") {
			return err
		}
		return nil
	})
	dashboard(t, s, m)
	s.ok(t, defaultClass+"=true")
	m.become(t, suite.Patience)

	s.ok(t, snapshotNow)
	s.ok(t, "kubectl --namespace snapshot-group delete rolebinding snapshot-group-snapshotter")
	m.become(t, suite.Patience, loopDown)
	s.ok(t, upgrade)
	m.become(t, suite.Patience)

	s.ok(t, snapshotNow)
	driver := csidriver.Dial(s.cluster.Drivers()[1].Control)
	suite.Must(t, driver.SetFaults(t.Context(), csidriver.Faults{
		Fail: map[string]csidriver.Failure{"CreateVolumeGroupSnapshot": {Code: codes.Internal, Message: "out of space"}},
	}))
	if out, err := s.run(t.Context(), snapshotNow); err == nil {
		t.Errorf("a run with a driver that fails succeeded: %s", out)
	}
	m.become(t, suite.Patience, runFailed)
	m.become(t, 5*time.Minute, overdue, runFailed)
	suite.Must(t, driver.SetFaults(t.Context(), csidriver.Faults{}))
	s.ok(t, snapshotNow)
	m.become(t, suite.Patience)
}

// dashboard checks that each query of the dashboard gives data.
func dashboard(t *testing.T, s site, m monitoring) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, "charts/snapshot-group/files/dashboard.json"))
	suite.Must(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	suite.Must(t, json.Unmarshal(text, &board))
	// What Grafana puts in for the variables, all namespaces being chosen.
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*")
	queries := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries++
			m.gives(t, "data of panel "+p.Title, variables.Replace(target.Expr))
		}
	}
	if queries == 0 {
		t.Error("the dashboard has no queries")
	}
}
