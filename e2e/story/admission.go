package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (t *teller) install(ctx context.Context) error {
	if err := t.runAll(
		ctx,
		`helm install snapshot-group charts/snapshot-group --namespace snapshot-group --create-namespace \
  --set image.tag=`+version+` --set image.pullPolicy=Never --wait --timeout 2m`,
		"kubectl --namespace snapshot-group get pods",
		helmTest,
	); err != nil {
		return err
	}
	if err := t.podsReady(ctx); err != nil {
		return err
	}
	out, err := t.run(ctx, `kubectl get validatingwebhookconfiguration snapshot-group --output=jsonpath='{.webhooks[0].clientConfig.caBundle}' |
  base64 -d | grep -c 'BEGIN CERTIFICATE'`)
	if err != nil || out != "1" {
		return fmt.Errorf("CA bundle: %q, %w", out, err)
	}
	var mutating admissionregistrationv1.MutatingWebhookConfiguration
	if err := t.client.Get(ctx, client.ObjectKey{Name: "snapshot-group"}, &mutating); err != nil {
		return fmt.Errorf("get the mutating webhook: %w", err)
	}
	if len(mutating.Webhooks) != 1 || len(mutating.Webhooks[0].ClientConfig.CABundle) == 0 {
		return errors.New("the mutating webhook has no CA bundle")
	}
	return t.rights(ctx)
}

// podsReady checks that each Pod runs both containers.
func (t *teller) podsReady(ctx context.Context) error {
	var pods corev1.PodList
	if err := t.client.List(ctx, &pods, client.InNamespace("snapshot-group")); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	if len(pods.Items) != 2 {
		return fmt.Errorf("%d Pods, want 2", len(pods.Items))
	}
	for _, pod := range pods.Items {
		ready := map[string]bool{}
		for _, c := range pod.Status.ContainerStatuses {
			ready[c.Name] = c.Ready && c.RestartCount == 0
		}
		if len(ready) != 2 || !ready["webhook"] || !ready["snapshotter"] {
			return fmt.Errorf("containers of Pod %q that are ready without a restart: %v, want webhook and snapshotter", pod.Name, ready)
		}
	}
	return nil
}

// rights shows some of what the product may and may not do.
func (t *teller) rights(ctx context.Context) error {
	t.say("What the product may do is what the chart grants, and no more:")
	const can = "kubectl auth can-i --as=system:serviceaccount:snapshot-group:snapshot-group "
	for right, want := range map[string]string{
		"create volumegroupsnapshots.groupsnapshot.storage.k8s.io --all-namespaces": "yes",
		"delete persistentvolumeclaims --all-namespaces":                            "no",
		"get secrets --all-namespaces":                                              "no",
	} {
		out, _, err := t.try(ctx, can+right)
		if err != nil {
			return err
		}
		if got := lastLine(out); got != want {
			return fmt.Errorf("may it %s? %q, want %q", right, got, want)
		}
	}
	return nil
}

func lastLine(s string) string {
	return s[strings.LastIndex(s, "\n")+1:]
}

// claim is a shell command that applies a claim of the group in a namespace.
func claim(namespace, name, class string) string {
	return fmt.Sprintf(`kubectl apply --filename - <<'EOF'
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: %s
  namespace: %s
  labels: {velero.io/volume-group: db-cluster-1}
spec:
  storageClassName: %s
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 10Mi}}
EOF`, name, namespace, class)
}

func (t *teller) mixedDrivers(ctx context.Context) error {
	if err := t.runAll(
		ctx,
		"kubectl create namespace db",
		"kubectl label namespace db snapshot-group=enabled",
		claim("db", "db-data-pvc", "csi-a"),
		claim("db", "db-logs-pvc", "csi-a"),
	); err != nil {
		return err
	}
	t.say("The third claim is on another driver. Kubernetes would find out when the snapshot fails.")
	index := claim("db", "db-index-pvc", "csi-b")
	if err := t.untilRefused(ctx, index); err != nil {
		return err
	}
	if err := t.refused(
		ctx, index,
		`"db-cluster-1"`, `"db-data-pvc"`, `"db-logs-pvc"`, `"db-index-pvc"`, `"csi-a.test"`, `"csi-b.test"`,
		`to mend it, create claim "db-index-pvc" with a StorageClass of driver "csi-a.test"`,
	); err != nil {
		return err
	}
	_, err := t.run(ctx, "kubectl --namespace db get persistentvolumeclaims")
	return err
}

func (t *teller) noDefaultClass(ctx context.Context) error {
	t.say("csi-b loses the mark of its default VolumeSnapshotClass, as happens.")
	const key = "snapshot.storage.kubernetes.io/is-default-class"
	if _, err := t.run(ctx, "kubectl annotate volumesnapshotclass csi-b "+key+"-"); err != nil {
		return err
	}
	audit := strings.Replace(claim("db", "audit-pvc", "csi-b"), "db-cluster-1", "audit", 1)
	if err := t.untilRefused(ctx, audit); err != nil {
		return err
	}
	if err := t.refused(
		ctx, audit,
		`"audit-pvc"`, `no VolumeSnapshotClass of driver "csi-b.test" is marked default`,
		"kubectl annotate volumesnapshotclass csi-b "+key+"=true",
	); err != nil {
		return err
	}
	_, err := t.run(ctx, "kubectl annotate volumesnapshotclass csi-b "+key+"=true")
	return err
}

func (t *teller) notOptedIn(ctx context.Context) error {
	before, err := t.calls(ctx)
	if err != nil {
		return err
	}
	if err := t.runAll(
		ctx,
		"kubectl create namespace playground",
		claim("playground", "data", "csi-a"),
		claim("playground", "index", "csi-b"),
		"kubectl --namespace playground get persistentvolumeclaims",
	); err != nil {
		return err
	}
	after, err := t.calls(ctx)
	if err != nil {
		return err
	}
	if before == "" || before != after {
		return fmt.Errorf("the API server called the webhook of claims: it counted %q calls before and %q after", before, after)
	}
	return nil
}

// calls is how often the API server has called the webhook of claims, by its own count.
func (t *teller) calls(ctx context.Context) (string, error) {
	quiet := *t
	quiet.out = io.Discard
	return quiet.run(ctx, `kubectl get --raw /metrics |
  grep '^apiserver_admission_webhook_admission_duration_seconds_count{name="claims.snapshot-group.admission"' | sort`)
}
