package rights_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

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
func granted(rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, rule := range rules {
		for _, apiGroup := range rule.APIGroups {
			for _, resource := range rule.Resources {
				resource, subresource, _ := strings.Cut(resource, "/")
				for _, verb := range rule.Verbs {
					out = append(out, right(verb, resource, subresource, apiGroup))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// request is what the audit log says of one of the product's requests.
type request struct {
	program string // webhook or snapshotter
	right   string
	denied  bool
}

// requests reads the audit log: one event a line. Requests for what is no resource, such as discovery, need no right of the chart's.
func requests(log []byte) ([]request, error) {
	var out []request
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			UserAgent, Verb string
			Annotations     map[string]string
			ObjectRef       *struct{ Resource, Subresource, APIGroup string }
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if e.ObjectRef == nil {
			continue
		}
		agent, _, _ := strings.Cut(strings.TrimPrefix(e.UserAgent, "snapshot-group-"), "/")
		out = append(out, request{
			program: agent,
			right:   right(e.Verb, e.ObjectRef.Resource, e.ObjectRef.Subresource, e.ObjectRef.APIGroup),
			denied:  e.Annotations["authorization.k8s.io/decision"] == "forbid",
		})
	}
	return out, lines.Err()
}

// used are the rights that a program used, sorted.
func used(all []request, program string) []string {
	var out []string
	for _, r := range all {
		if r.program == program && !r.denied {
			out = append(out, r.right)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *site) requests(t *testing.T) []request {
	t.Helper()
	log, err := os.ReadFile(s.audit)
	must(t, err)
	all, err := requests(log)
	must(t, err)
	return all
}

func TestTheAuditLogIsReadAsItIsWritten(t *testing.T) {
	const log = `{"userAgent":"snapshot-group-webhook/dev","verb":"list","objectRef":{"resource":"pods"},"responseStatus":{"code":200}}
{"userAgent":"snapshot-group-snapshotter/dev","verb":"patch","objectRef":{"resource":"volumesnapshots","subresource":"status","apiGroup":"snapshot.storage.k8s.io"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"userAgent":"snapshot-group-webhook/dev","verb":"get","requestURI":"/api","responseStatus":{"code":200}}
`
	got, err := requests([]byte(log))
	must(t, err)
	want := []request{
		{"webhook", "list pods", false},
		{"snapshotter", "patch volumesnapshots.snapshot.storage.k8s.io/status", true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"list pods"}, used(append(got, got...), "webhook")); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
}
