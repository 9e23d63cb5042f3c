package cli_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// The commands go by the one version of group snapshots that the API server serves, as far as they can see.
func TestTheCommandsWorkWithEachVersionOfGroupSnapshots(t *testing.T) {
	config, err := shared.RESTConfig()
	must(t, err)
	p, err := proxy.Start(config)
	must(t, err)
	defer p.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, p.WriteKubeconfig(shared.Kubeconfig(), kubeconfig))
	const apis = "/apis/" + group.GroupSnapshotAPIGroup + "/"
	for _, version := range []string{"v1beta1", "v1beta2"} {
		t.Run(version, func(t *testing.T) {
			ns := "cli-" + version
			namespace(t, ns)
			mysql(t, ns)
			write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
			snapshot(t, ns, "demo")
			write(t, ns, "lost", "data-mysql-0", "data-mysql-1")
			p.Hide(hidden(version)...)
			p.Set(nil) // forgets the writes so far
			plugin := func(line string) string {
				t.Helper()
				a := shWith(t, "kubectl-snapshot_group --namespace="+ns+" "+line, kubeconfig)
				if a.status != 0 {
					t.Fatalf("exit status %d of %s: %s%s", a.status, line, a.out, a.err)
				}
				return a.out
			}
			want := "ok [snapshot-crds] cluster: group snapshots are served as " + version + "; " + version + " is used\n"
			if got := plugin("check --verbose | grep snapshot-crds"); got != want {
				t.Errorf("check says %s", cmp.Diff(want, got))
			}
			if got := plugin("list --output=name"); got != "demo\n" {
				t.Errorf("list shows %q", got)
			}
			const classless = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: classless}\nprovisioner: classless.test\n---"
			line := "check --with-cluster --filename=- <<'EOF' | grep --only-matching 'apiVersion: groupsnapshot.*'\n" + classless + groupedClaim(ns, "data", "classless") + "\nEOF"
			if got, want := plugin(line), "apiVersion: "+group.GroupSnapshotAPIGroup+"/"+version+"\n"; got != want {
				t.Errorf("a class that mends a manifest is of %q, want %q", got, want)
			}
			plugin("restore demo --in-place --yes --timeout=1m")
			holds(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
			plugin("hold demo")
			plugin("release demo")
			if version != "v1beta1" { // a write of a content in it drops status.volumeSnapshotInfoList, without which csi-snapshotter 8.7 frees nothing
				plugin("delete --yes --timeout=1m demo")
			}
			for _, w := range p.Writes() {
				if strings.HasPrefix(w.Path, apis) && !strings.HasPrefix(w.Path, apis+version+"/") {
					t.Errorf("it wrote to %s, want %s alone", w.Path, version)
				}
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		p.Hide(hidden("")...)
		for line, want := range map[string]answer{
			"check | grep -c '^failure .snapshot-crds. CustomResourceDefinition volumegroupsnapshot.*: it is not there'": {"3\n", "", 0},
			"list": {"", "error: the cluster does not serve group snapshots: install external-snapshotter 8.6 or later with its CRDs " +
				"(kubectl snapshot-group check says what is missing): the API server serves no group snapshots: it has " +
				"[volumegroupsnapshots volumegroupsnapshotcontents volumegroupsnapshotclasses] of API group groupsnapshot.storage.k8s.io " +
				"in none of the versions [v1 v1beta2 v1beta1]\n", 1},
		} {
			got := shWith(t, "kubectl-snapshot_group "+line, kubeconfig)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", line, diff)
			}
		}
	})
}

// hidden are the paths of all versions of group snapshots but one.
func hidden(but string) []string {
	var out []string
	for _, version := range []string{"v1", "v1beta2", "v1beta1"} {
		if version != but {
			out = append(out, "/apis/"+group.GroupSnapshotAPIGroup+"/"+version)
		}
	}
	return out
}
