package fault_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestALoopKilledAtAnyWriteOfAnExpiryEndsAsIfItHadNotBeen(t *testing.T) {
	l := start(t, alone)
	for _, workflow := range workflows {
		killEverywhere(t, l, expiryOf(workflow))
	}
}

// expiryOf is that of the older one of two restore points.
func expiryOf(workflow group.Workflow) work {
	return work{
		name: "expiry-" + string(workflow), begin: keepOne, ended: oneLeft,
		ready: func(t *testing.T, l *loop, namespaces ...string) {
			t.Helper()
			twice(t, l, workflow, namespaces...)
		},
	}
}

// twice makes namespaces that had two runs each, and whose restore points are all kept.
func twice(t *testing.T, l *loop, workflow group.Workflow, namespaces ...string) {
	t.Helper()
	l.proxy.Set(nil)
	ready(t, workflow, groups[:1], namespaces...)
	for _, r := range []string{"0", request} {
		for _, ns := range namespaces {
			askFor(t, ns, r)
		}
		for _, ns := range namespaces {
			eventually(t, fmt.Sprintf("run %s of %s to end", r, ns), answeredTo(ns, r))
		}
	}
}

func keepOne(t *testing.T, namespace string) {
	t.Helper()
	change(t, namespace, func(o *corev1.Namespace) { metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.KeepAnnotation, "1") })
}

// oneLeft: the objects and the storage of one restore point are left, and nothing else.
func oneLeft(namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		s := &sight{namespace: namespace, names: map[string]string{}}
		if err := s.read(ctx); err != nil {
			return err
		}
		if err := s.nameAll(); err != nil {
			return err
		}
		got := fmt.Sprintf("%d contents of groups, %d members, %d contents of members, on storage %d", len(s.groupContents.Items),
			len(s.members.Items), len(s.contents.Items), len(s.storage()))
		n := len(claims)
		if want := fmt.Sprintf("1 contents of groups, %d members, %d contents of members, on storage %d", n, n, n+1); got != want {
			return fmt.Errorf("%s, want %s", got, want)
		}
		return nil
	}
}

// TestAnExpiryEndsThoughSnapshotControllerFailsToMarkWhatGoes: csi-snapshotter lets no content go without a mark. Where the
// controller fails to write that, it believes to have written it and never tries again, so the loop has to.
func TestAnExpiryEndsThoughSnapshotControllerFailsToMarkWhatGoes(t *testing.T) {
	l := start(t, alone)
	const markGroup, markMember = "PATCH volumegroupsnapshotcontents", "PATCH volumesnapshotcontents"
	for name, tc := range map[string]struct {
		workflow group.Workflow
		begin    func(t *testing.T, namespace string)
		marks    []string
	}{
		"expired-keep": {group.Keep, keepOne, []string{markMember, markMember, markGroup}},
		"by-hand-keep": {group.Keep, deleteOldest, []string{markMember, markMember, markGroup}},
		// The anchor of a detached group is marked when it is let go of, anyway.
		"expired-detach": {group.Detach, keepOne, []string{markMember, markMember}},
		"by-hand-detach": {group.Detach, deleteOldest, []string{markMember, markMember}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "unmarked-" + name
			twice(t, l, tc.workflow, namespace)
			refuseMarks(t, namespace)
			l.proxy.Set(nil)
			tc.begin(t, namespace)
			eventually(t, "one restore point to be left in "+namespace, oneLeft(namespace))
			for _, write := range tc.marks {
				if got, want := count(l.wrote(), write), count(tc.marks, write); got < want {
					t.Errorf("%d times %q, want %d: were the marks refused?", got, write, want)
				}
			}
		})
	}
}

// deleteOldest deletes the VolumeGroupSnapshot of the oldest run, or its members where that is gone.
func deleteOldest(t *testing.T, namespace string) {
	t.Helper()
	s := &sight{namespace: namespace}
	must(t, s.read(t.Context()))
	slices.SortFunc(s.groups.Items, func(a, b groupv1.VolumeGroupSnapshot) int {
		return strings.Compare(a.Labels[group.RunLabel], b.Labels[group.RunLabel])
	})
	if len(s.groups.Items) > 0 {
		must(t, admin.Delete(t.Context(), &s.groups.Items[0]))
		return
	}
	slices.SortFunc(s.members.Items, func(a, b snapv1.VolumeSnapshot) int {
		return strings.Compare(a.Labels[group.RunLabel], b.Labels[group.RunLabel])
	})
	for i := range claims {
		must(t, admin.Delete(t.Context(), &s.members.Items[i]))
	}
}

// TestNothingOfAUsersIsMarked: what a user's group snapshot of the same namespace has left hangs by the same fault, and is theirs.
func TestNothingOfAUsersIsMarked(t *testing.T) {
	l := start(t, alone)
	const namespace = "unmarked-user"
	twice(t, l, group.Keep, namespace)
	left := leaveUnmarked(t, namespace)
	keepOne(t, namespace)
	eventually(t, "the first restore point to expire", func(ctx context.Context) error {
		s := &sight{namespace: namespace}
		if err := s.read(ctx); err != nil {
			return err
		}
		if g, c := len(s.groups.Items), len(s.contents.Items); g != 1 || c != len(claims)+len(left) {
			return fmt.Errorf("%d group snapshots and %d contents, want 1 and %d", g, c, len(claims)+len(left))
		}
		return nil
	})
	for _, name := range left {
		c := &snapv1.VolumeSnapshotContent{}
		must(t, admin.Get(t.Context(), client.ObjectKey{Name: name}, c))
		if c.DeletionTimestamp == nil || c.Annotations[group.MemberBeingDeletedAnnotation] != "" {
			t.Errorf("content of a user's member: %+v, want it deleted and unmarked", c.ObjectMeta)
		}
	}
}

// leaveUnmarked has a user's group snapshot taken and deleted, and returns the contents of its members: these are left, for they
// could not be marked.
func leaveUnmarked(t *testing.T, namespace string) (contents []string) {
	t.Helper()
	own := ofGroup(namespace, "mine")
	must(t, admin.Create(t.Context(), own))
	eventually(t, "the user's group snapshot to be ready", isReady(own))
	content := &groupv1.VolumeGroupSnapshotContent{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: *own.Status.BoundVolumeGroupSnapshotContentName}, content))
	before := content.DeepCopy()
	metav1.SetMetaDataAnnotation(&content.ObjectMeta, group.GroupBeingDeletedAnnotation, "yes") // what is to hang comes after it
	must(t, admin.Patch(t.Context(), content, client.MergeFrom(before)))
	refuseMarks(t, namespace)
	must(t, admin.Delete(t.Context(), own))
	eventually(t, "its members to be gone and their contents to hang", func(ctx context.Context) error {
		s := &sight{namespace: namespace}
		if err := s.read(ctx); err != nil {
			return err
		}
		contents = nil
		for _, c := range s.contents.Items {
			if c.DeletionTimestamp != nil {
				contents = append(contents, c.Name)
			}
		}
		if len(contents) != len(claims) || len(s.members.Items) != 2*len(claims) || len(s.groups.Items) != 2 {
			return fmt.Errorf("%d contents hang, %d members and %d group snapshots are there", len(contents), len(s.members.Items), len(s.groups.Items))
		}
		return nil
	})
	return contents
}

const refused = "refused by the test"

// refuseMarks has the API server refuse to mark the contents of a namespace, until the end of the test, to everybody but the loop:
// the controllers of the cluster are no ServiceAccounts.
func refuseMarks(t *testing.T, namespace string) {
	t.Helper()
	const isMarked = `(has(%[1]s.metadata.annotations) && %[1]s.metadata.annotations.exists(k, k.endsWith("-being-deleted")))`
	ref := `(has(object.spec.volumeGroupSnapshotRef) ? object.spec.volumeGroupSnapshotRef : object.spec.volumeSnapshotRef)`
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{group.GroupSnapshotAPIGroup, group.SnapshotAPIGroup}, APIVersions: []string{"*"},
						Resources: []string{"volumegroupsnapshotcontents", "volumesnapshotcontents"},
					},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{
				Expression: strings.Join([]string{
					`request.userInfo.username.startsWith("system:serviceaccount:")`, ref + `.namespace != "` + namespace + `"`,
					"!" + fmt.Sprintf(isMarked, "object"), fmt.Sprintf(isMarked, "oldObject"),
				}, " || "),
				Message: refused,
			}},
		},
	}
	must(t, admin.Create(t.Context(), policy))
	t.Cleanup(func() { must(t, admin.Delete(context.WithoutCancel(t.Context()), policy)) })
	must(t, admin.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}))
	eventually(t, "marks to be refused", func(ctx context.Context) error { return marksAreRefused(ctx, namespace) })
}

// marksAreRefused tries to mark a content, without doing so.
func marksAreRefused(ctx context.Context, namespace string) error {
	s := &sight{namespace: namespace}
	if err := s.read(ctx); err != nil {
		return err
	}
	c := &s.contents.Items[0]
	before := c.DeepCopy()
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, group.MemberBeingDeletedAnnotation, "yes")
	err := admin.Patch(ctx, c, client.MergeFrom(before), client.DryRunAll)
	switch {
	case err == nil:
		return fmt.Errorf("content %q may be marked", c.Name)
	case strings.Contains(err.Error(), refused):
		return nil
	}
	return err
}
