package rights_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestEveryRightIsNeeded has the product do all that it does, and compares what that took with what the chart grants. A right that
// nothing takes is one too many. One that is taken is needed: an act waits for its effect, which a refused request does not have.
func TestEveryRightIsNeeded(t *testing.T) {
	s := newSite(t)
	for _, act := range acts {
		t.Run(act.what, func(t *testing.T) {
			act.do(s, t)
			all := s.requests(t)
			for program, rights := range map[string][]string{"webhook": act.webhook, "snapshotter": act.snapshotter} {
				took := used(all, program)
				for _, r := range rights {
					if !slices.Contains(took, r) {
						t.Errorf("it took the %s no right to %s", program, r)
					}
				}
			}
		})
	}
	var webhook, snapshotter []string
	for _, act := range acts {
		webhook, snapshotter = append(webhook, act.webhook...), append(snapshotter, act.snapshotter...)
	}
	s.grants(t, webhook, clusterRole("snapshot-group-webhook"), clusterRole("snapshot-group-webhook-ca"), role("snapshot-group-webhook-ca"))
	s.grants(t, snapshotter, clusterRole("snapshot-group-snapshotter"), role("snapshot-group-snapshotter"))
	for _, r := range s.requests(t) {
		if r.denied {
			t.Errorf("the %s may not %s", r.program, r.right)
		}
	}
}

// grants fails the test unless roles grant these rights and no other.
func (s *site) grants(t *testing.T, rights []string, roles ...client.Object) {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, o := range roles {
		must(t, s.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			rules = append(rules, o.Rules...)
		case *rbacv1.Role:
			rules = append(rules, o.Rules...)
		}
	}
	slices.Sort(rights)
	if diff := cmp.Diff(slices.Compact(rights), granted(rules)); diff != "" {
		t.Errorf("rights of %s (-taken +granted):\n%s", roles[0].GetName(), diff)
	}
}

func clusterRole(name string) client.Object {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func role(name string) client.Object {
	return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "snapshot-group", Name: name}}
}
