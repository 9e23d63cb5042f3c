package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Who may read what is in a namespace, and nothing of the cluster, has the namespace checked, and is told what was not looked at.
func TestCheckGoesOnWhereSomethingMustNotBeRead(t *testing.T) {
	const ns = "limited"
	namespace(t, ns)
	database(t, ns)
	apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: developer, namespace: limited}
rules:
- {apiGroups: [""], resources: [namespaces, persistentvolumeclaims], verbs: [get, list]}
- {apiGroups: [snapshot.storage.k8s.io, groupsnapshot.storage.k8s.io], resources: ["*"], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: developer, namespace: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: developer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}]`)
	forbidden := func(list, group, resource string) string {
		return fmt.Sprintf(`not looked at: list %s: %s is forbidden: User "dev" cannot list resource %q in API group %q at the cluster scope`,
			list, joined(resource, group), resource, group)
	}
	eventually(t, "the API server to go by the role", func(context.Context) error {
		if a := sh(t, "kubectl auth can-i list persistentvolumeclaims --as=dev --namespace limited"); a.status != 0 {
			return errors.New(a.out + a.err)
		}
		return nil
	})
	a := sh(t, "kubectl snapshot-group check --as=dev --output=json --namespace limited")
	if a.status != 0 || a.err != "" {
		t.Fatalf("exit status %d: %s", a.status, a.err)
	}
	var list struct{ Items []found }
	must(t, json.Unmarshal([]byte(a.out), &list))
	got := map[string]string{}
	for _, f := range list.Items {
		if f.Severity != "ok" {
			got[f.Severity+" "+f.Check+" "+f.Where] = f.What
		}
	}
	want := map[string]string{
		"warning rights CSIDrivers":                               forbidden("CSIDrivers", "storage.k8s.io", "csidrivers"),
		"warning rights Leases":                                   forbidden("Leases", "coordination.k8s.io", "leases"),
		"warning rights Deployments, StatefulSets and DaemonSets": forbidden("Deployments", "apps", "deployments"),
		"warning rights webhook configurations and their EndpointSlices": forbidden("ValidatingWebhookConfigurations",
			"admissionregistration.k8s.io", "validatingwebhookconfigurations"),
		"warning rights StorageClasses and classes of snapshots": forbidden("StorageClasses", "storage.k8s.io", "storageclasses"),
		"warning rights PersistentVolumes":                       forbidden("PersistentVolumes", "", "persistentvolumes"),
		"warning rights VolumeGroupSnapshotContents":             forbidden("VolumeGroupSnapshotContents", "groupsnapshot.storage.k8s.io", "volumegroupsnapshotcontents"),
		"warning rights what belongs to no restore point":        forbidden("VolumeGroupSnapshotContents", "groupsnapshot.storage.k8s.io", "volumegroupsnapshotcontents"),
		`warning opted-in namespace "limited"`:                   "it is not opted in",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// joined is how the API server names a resource of a group.
func joined(resource, group string) string {
	if group == "" {
		return resource
	}
	return resource + "." + group
}
