package rights_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// ready makes an opted-in namespace with claims, and returns when they are bound. annotations are keys and values in turn.
func (s *site) ready(t *testing.T, namespace string, claims []*corev1.PersistentVolumeClaim, annotations ...string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{group.OptInLabel: group.OptInValue}}}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&ns.ObjectMeta, annotations[i], annotations[i+1])
	}
	must(t, s.admin.Create(t.Context(), ns))
	for _, c := range claims {
		eventually(t, "the claim to be admitted", func(ctx context.Context) error { return s.admin.Create(ctx, c) })
	}
	eventually(t, "the claims to be bound", func(ctx context.Context) error {
		for _, c := range claims {
			if err := s.admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			if c.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
			}
		}
		return nil
	})
}

// run asks for a run and waits for its end.
func (s *site) run(t *testing.T, namespace, request string, want group.Outcome) {
	t.Helper()
	s.ask(t, namespace, request)
	s.ended(t, namespace, request, want)
}

func (s *site) ask(t *testing.T, namespace, request string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, group.RunNowAnnotation, request)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	must(t, s.admin.Patch(t.Context(), ns, client.RawPatch(types.MergePatchType, patch)))
}

func (s *site) ended(t *testing.T, namespace, request string, want group.Outcome) {
	t.Helper()
	ns := &corev1.Namespace{}
	eventually(t, "the run to end", func(ctx context.Context) error {
		if err := s.admin.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
			return err
		}
		run, err := plan.ParseRun(ns.Annotations)
		if err == nil && (run.Request != request || run.Outcome != want) {
			err = fmt.Errorf("last run %s, want it %s", run.LastRun, want)
		}
		return err
	})
}
