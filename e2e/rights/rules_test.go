package rights_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// rules are those of a program's roles.
type rules struct {
	cluster []rbacv1.PolicyRule // of ClusterRoles
	own     []rbacv1.PolicyRule // of Roles in the namespace of the release
}

// right is a verb on a resource, as "patch volumesnapshots.snapshot.storage.k8s.io/status".
func right(verb, resource, subresource, apiGroup string) string {
	if apiGroup != "" {
		resource += "." + apiGroup
	}
	if subresource != "" {
		resource += "/" + subresource
	}
	return verb + " " + resource
}

// granted are the rights of rules, sorted.
func (r rules) granted() []string {
	var out []string
	for _, rule := range each(slices.Concat(r.cluster, r.own)) {
		for _, verb := range rule.Verbs {
			out = append(out, rightOf(rule, verb))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// less are the rules with one right fewer.
func (r rules) less(taken string) rules {
	without := func(all []rbacv1.PolicyRule) []rbacv1.PolicyRule {
		all = each(all)
		for i, rule := range all {
			all[i].Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool { return rightOf(rule, verb) == taken })
		}
		return slices.DeleteFunc(all, func(rule rbacv1.PolicyRule) bool { return len(rule.Verbs) == 0 })
	}
	return rules{cluster: without(r.cluster), own: without(r.own)}
}

// each has the same rules, each of one API group and one resource.
func each(all []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, rule := range all {
		for _, apiGroup := range rule.APIGroups {
			for _, resource := range rule.Resources {
				one := rule
				one.APIGroups, one.Resources = []string{apiGroup}, []string{resource}
				out = append(out, one)
			}
		}
	}
	return out
}

// rightOf is the right of a verb in a rule of each.
func rightOf(rule rbacv1.PolicyRule, verb string) string {
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	return right(verb, resource, subresource, rule.APIGroups[0])
}

func TestRulesCanHaveOneRightFewer(t *testing.T) {
	all := rules{
		cluster: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"pods", "pods/status"}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"one"}, Verbs: []string{"get"}},
		},
		own: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
	}
	for taken, want := range map[string][]string{
		"":                     {"get deployments.apps", "get pods", "get pods/status", "patch pods", "patch pods/status"},
		"get pods":             {"get deployments.apps", "get pods/status", "patch pods", "patch pods/status"},
		"patch pods/status":    {"get deployments.apps", "get pods", "get pods/status", "patch pods"},
		"get deployments.apps": {"get pods", "get pods/status", "patch pods", "patch pods/status"},
	} {
		t.Run("without "+taken, func(t *testing.T) {
			if diff := cmp.Diff(want, all.less(taken).granted()); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
	if got := all.less("").cluster[2].ResourceNames; !slices.Equal(got, []string{"one"}) {
		t.Errorf("names of what the rule is for = %v, want them kept", got)
	}
}
