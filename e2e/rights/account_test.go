package rights_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

// account is a ServiceAccount for one program, with what the chart's roles of that program grant, or less. The chart has one for both, as they
// share a Pod; with that, what one of them may do would hide what the other may not.
type account struct {
	name       string
	kubeconfig string
	rules      rules
	cluster    *rbacv1.ClusterRole
	own        *rbacv1.Role
}

// ofChart are the rules that the chart grants to a program.
func (s *site) ofChart(t *testing.T, program string) rules {
	t.Helper()
	var out rules
	var clusterRoles rbacv1.ClusterRoleList
	var roles rbacv1.RoleList
	must(t, s.admin.List(t.Context(), &clusterRoles))
	must(t, s.admin.List(t.Context(), &roles, client.InNamespace(outside.Namespace)))
	names := []string{outside.Name + "-" + program, outside.Name + "-" + program + "-ca"}
	for _, role := range clusterRoles.Items {
		if slices.Contains(names, role.Name) {
			out.cluster = append(out.cluster, role.Rules...)
		}
	}
	for _, role := range roles.Items {
		if slices.Contains(names, role.Name) {
			out.own = append(out.own, role.Rules...)
		}
	}
	return out
}

// account makes one with rules.
func (s *site) account(t *testing.T, name string, has rules) *account {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: outside.Namespace, Name: name}
	user := &corev1.ServiceAccount{ObjectMeta: meta}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meta.Namespace, Name: name}}
	a := &account{
		name: name, rules: has, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"),
		cluster: &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: has.cluster},
		own:     &rbacv1.Role{ObjectMeta: meta, Rules: has.own},
	}
	for _, o := range []client.Object{
		user, a.cluster, a.own,
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		},
		&rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}},
	} {
		must(t, s.admin.Create(t.Context(), o))
	}
	token := &authenticationv1.TokenRequest{}
	must(t, s.admin.SubResource("token").Create(t.Context(), user, token))
	config, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig())
	must(t, err)
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	must(t, clientcmd.WriteToFile(*config, a.kubeconfig))
	s.obeyed(t, a, has.granted(), true)
	return a
}

// has gives an account other rules.
func (s *site) has(t *testing.T, a *account, now rules) {
	t.Helper()
	a.cluster.Rules, a.own.Rules = now.cluster, now.own
	must(t, s.admin.Update(t.Context(), a.cluster))
	must(t, s.admin.Update(t.Context(), a.own))
}

// obeyed waits until the API server goes by what the roles say of rights, which its cache of them shows a moment later.
func (s *site) obeyed(t *testing.T, a *account, rights []string, may bool) {
	t.Helper()
	for _, rule := range each(slices.Concat(a.rules.cluster, a.rules.own)) {
		for _, verb := range rule.Verbs {
			if slices.Contains(rights, rightOf(rule, verb)) {
				eventually(t, "the API server to obey the roles", s.answers(a, attributes(rule, verb), may))
			}
		}
	}
}

// attributes are those of a request that takes a verb of a rule of each.
func attributes(rule rbacv1.PolicyRule, verb string) *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	out := &authorizationv1.ResourceAttributes{
		Namespace: outside.Namespace, Verb: verb, Group: rule.APIGroups[0], Resource: resource, Subresource: subresource,
	}
	if len(rule.ResourceNames) > 0 {
		out.Name = rule.ResourceNames[0]
	}
	return out
}

func (s *site) answers(a *account, what *authorizationv1.ResourceAttributes, may bool) step {
	return func(ctx context.Context) error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + outside.Namespace + ":" + a.name, ResourceAttributes: what,
		}}
		err := s.admin.Create(ctx, review)
		if err == nil && review.Status.Allowed != may {
			err = fmt.Errorf("%s %s: allowed is %t", what.Verb, what.Resource, review.Status.Allowed)
		}
		return err
	}
}
