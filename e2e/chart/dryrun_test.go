package chart_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// applied asks the API server whether it would take a manifest, and to refuse fields that it does not know. kubectl refuses a manifest of
// which one object is refused.
func applied(ctx context.Context, manifest string) error {
	kubectl := exec.CommandContext(ctx, shared.Program("kubectl"), "--kubeconfig="+shared.Kubeconfig(),
		"apply", "--dry-run=server", "--validate=strict", "--filename=-")
	kubectl.Stdin = strings.NewReader(manifest)
	_, err := run(kubectl)
	return err
}

// namespaces are those into which renderings put objects.
const namespaces = `
{apiVersion: v1, kind: Namespace, metadata: {name: storage}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: snapshot-group-test}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: groups-test}}
`

func TestTheAPIServerAcceptsEachRendering(t *testing.T) {
	create := exec.CommandContext(t.Context(), shared.Program("kubectl"), "--kubeconfig="+shared.Kubeconfig(), "create", "--filename=-")
	create.Stdin = strings.NewReader(namespaces)
	_, err := run(create)
	must(t, err)
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	must(t, err)
	if len(files) < 5 {
		t.Fatalf("%d sets of values", len(files))
	}
	for _, values := range files {
		t.Run(filepath.Base(values), func(t *testing.T) {
			manifest, err := run(exec.CommandContext(t.Context(), helm, "template", "snapshot-group", chart, "--namespace=storage", "--values="+values))
			must(t, err)
			if strings.Count(manifest, "\nkind: ") < 20 {
				t.Fatalf("the rendering has few objects:\n%s", manifest)
			}
			must(t, applied(t.Context(), manifest))
		})
	}
	t.Run("but none with a field that it does not know", func(t *testing.T) {
		manifest, err := run(exec.CommandContext(t.Context(), helm, "template", "snapshot-group", chart, "--namespace=storage"))
		must(t, err)
		err = applied(t.Context(), strings.Replace(manifest, "publishNotReadyAddresses:", "publishesNotReadyAddresses:", 1))
		if err == nil || !strings.Contains(err.Error(), `unknown field "spec.publishesNotReadyAddresses"`) {
			t.Errorf("error %v", err)
		}
	})
}
