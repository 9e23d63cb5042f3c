package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestRightsAreTheseAndNoMore holds every right of the product, so that none is added without a reader seeing it.
func TestRightsAreTheseAndNoMore(t *testing.T) {
	for role, want := range map[string][]string{
		"ClusterRole snapshot-group-webhook": {
			"namespaces: get list watch",
			"persistentvolumeclaims: get list watch",
			"persistentvolumes: get list watch",
			"volumegroupsnapshotclasses.groupsnapshot.storage.k8s.io: list watch",
			"volumegroupsnapshots.groupsnapshot.storage.k8s.io: get list watch",
			"volumesnapshotclasses.snapshot.storage.k8s.io: list watch",
			"storageclasses.storage.k8s.io: list watch",
			"leases.coordination.k8s.io: create get list patch watch",
		},
		"ClusterRole snapshot-group-webhook-ca": {
			"mutatingwebhookconfigurations.admissionregistration.k8s.io/snapshot-group: list patch watch",
			"validatingwebhookconfigurations.admissionregistration.k8s.io/snapshot-group: list patch watch",
		},
		"Role snapshot-group-webhook-ca": {
			"secrets/snapshot-group-webhook-ca: list update watch",
			"secrets: create",
		},
		"ClusterRole snapshot-group-snapshotter": {
			"namespaces: get list patch watch",
			"persistentvolumeclaims: list watch",
			"persistentvolumes: get list watch",
			"configmaps/snapshot-group-restore: get list watch",
			"events.events.k8s.io: create",
			"leases.coordination.k8s.io: delete list watch",
			"volumegroupsnapshotclasses.groupsnapshot.storage.k8s.io: list watch",
			"volumegroupsnapshotcontents.groupsnapshot.storage.k8s.io: create delete get list patch watch",
			"volumegroupsnapshotcontents/status.groupsnapshot.storage.k8s.io: patch",
			"volumegroupsnapshots.groupsnapshot.storage.k8s.io: create delete get list watch",
			"volumesnapshotclasses.snapshot.storage.k8s.io: list watch",
			"volumesnapshotcontents.snapshot.storage.k8s.io: delete list patch watch",
			"volumesnapshots.snapshot.storage.k8s.io: create delete get list patch watch",
			"volumesnapshots/status.snapshot.storage.k8s.io: patch",
			"storageclasses.storage.k8s.io: list watch",
		},
		"Role snapshot-group-snapshotter": {
			"leases.coordination.k8s.io/snapshot-group-snapshotter: get update",
			"leases.coordination.k8s.io: create",
		},
	} {
		t.Run(role, func(t *testing.T) {
			slices.Sort(want)
			if diff := cmp.Diff(want, rights(t, role)); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

// rights are the rules of a role, one line a resource: resource.group/name: verbs.
func rights(t *testing.T, role string) []string {
	t.Helper()
	var rules []rbacv1.PolicyRule
	if strings.HasPrefix(role, "ClusterRole ") {
		rules = find[*rbacv1.ClusterRole](t, role).Rules
	} else {
		rules = find[*rbacv1.Role](t, role).Rules
	}
	var lines []string
	for _, r := range rules {
		lines = append(lines, flat(r)...)
	}
	slices.Sort(lines)
	return lines
}

func flat(r rbacv1.PolicyRule) []string {
	verbs := slices.Sorted(slices.Values(r.Verbs))
	names := r.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var lines []string
	for _, apiGroup := range r.APIGroups {
		for _, resource := range r.Resources {
			for _, name := range names {
				lines = append(lines, resource+prefixed(".", apiGroup)+prefixed("/", name)+": "+strings.Join(verbs, " "))
			}
		}
	}
	return lines
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
