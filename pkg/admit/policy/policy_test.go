package policy

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const key = "velero.io/volume-group"

// on is a claim on a CSI driver that its StorageClass gave it.
func on(driver, claim string) Member {
	return Member{Name: claim, Driver: group.Driver{Name: driver, From: `StorageClass "` + driver + `-fast"`}}
}

// joins is the request of a claim to join group "db".
func joins(operation Operation, claim string) Request {
	return Request{Operation: operation, Namespace: "shop", Group: "db", Claim: claim}
}

// audit is the check of group "db" as a whole.
func audit() Request { return Request{Operation: Audit, Namespace: "shop", Group: "db"} }

// good are facts under which every rule passes for claims on driver "a".
func good(members ...Member) Facts {
	return Facts{
		LabelKey:             key,
		Members:              members,
		SnapshotClasses:      []group.Class{{Name: "a-snap", Driver: "a", Default: true}},
		GroupSnapshotClasses: []group.Class{{Name: "a-groups", Driver: "a"}},
	}
}

// ruleTest is a request, facts, and all that the rule says of them.
type ruleTest struct {
	req   Request
	facts Facts
	want  Verdict
}

func testRule(t *testing.T, rule Rule, cases map[string]ruleTest) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, rule.Check(tc.req, tc.facts)); diff != "" {
				t.Errorf("verdict of %s (-want +got):\n%s", rule.ID, diff)
			}
		})
	}
}

func TestRulesHaveAnIDOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if seen[r.ID] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(r.ID) {
			t.Errorf("ID %q is taken or is no lower-case phrase", r.ID)
		}
		seen[r.ID] = true
	}
}

func TestEveryRulePassesAGoodGroup(t *testing.T) {
	for _, req := range []Request{joins(Create, "data"), joins(Relabel, "data"), audit()} {
		if got := Evaluate(Rules, req, good(on("a", "data"), on("a", "logs"))).Findings; got != nil {
			t.Errorf("findings of a good group on %s: %v", req.Operation, got)
		}
	}
}

func TestMembersLeavesOutClaimsThatAreBeingDeleted(t *testing.T) {
	claim := func(name string, deleted bool, annotations map[string]string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}
		if deleted {
			c.DeletionTimestamp = &metav1.Time{Time: time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)}
		}
		return c
	}
	driver := group.Driver{Name: "a", From: `StorageClass "fast"`}
	got := Members([]*corev1.PersistentVolumeClaim{
		claim("z", false, nil), claim("gone", true, nil), claim("b", false, map[string]string{group.VeleroClaimGroupClassAnnotation: "gold"}),
	}, func(*corev1.PersistentVolumeClaim) group.Driver { return driver })
	want := []Member{{Name: "b", Driver: driver, GroupSnapshotClass: "gold"}, {Name: "z", Driver: driver}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestClaimAnnotationsChooseForTheirOwnDriverOnly(t *testing.T) {
	f := good(Member{Name: "data", Driver: group.Driver{Name: "a"}, GroupSnapshotClass: "gold"}, on("b", "logs"))
	f.GroupSnapshotClass = "for-all"
	for driver, want := range map[string]group.Choice{
		"a": {Name: "gold", How: `annotation velero.io/csi-volume-group-snapshot-class of claim "data"`},
		"b": {Name: "for-all", How: "annotation snapshot-group/group-snapshot-class of the namespace"},
	} {
		if diff := cmp.Diff(want, f.ChooseGroupSnapshotClass(driver)); diff != "" {
			t.Errorf("class of driver %s (-want +got):\n%s", driver, diff)
		}
	}
}
