package rights_test

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// step does what is to be done, or looks. It is called until it returns nil, and does not wait itself.
type step func(context.Context) error

// inOrder takes steps one after the other, each until it returns nil.
func inOrder(steps ...step) step {
	done := 0
	return func(ctx context.Context) error {
		for done < len(steps) {
			if err := steps[done](ctx); err != nil {
				return err
			}
			done++
		}
		return nil
	}
}

// opted makes an opted-in namespace. annotations are keys and values in turn.
func (s *site) opted(namespace string, annotations ...string) step {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{group.OptInLabel: group.OptInValue}}}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&ns.ObjectMeta, annotations[i], annotations[i+1])
	}
	return s.created(ns)
}

func (s *site) created(o client.Object) step {
	return func(ctx context.Context) error { return s.admin.Create(ctx, o) }
}

func (s *site) deleted(o client.Object) step {
	return func(ctx context.Context) error { return client.IgnoreNotFound(s.admin.Delete(ctx, o)) }
}

// bound makes claims and waits until they are bound.
func (s *site) bound(claims ...*corev1.PersistentVolumeClaim) step {
	var steps []step
	for _, c := range claims {
		steps = append(steps, s.created(c), func(ctx context.Context) error {
			err := s.admin.Get(ctx, client.ObjectKeyFromObject(c), c)
			if err == nil && c.Status.Phase != corev1.ClaimBound {
				err = fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
			}
			return err
		})
	}
	return inOrder(steps...)
}

// run asks for a run and waits for its end.
func (s *site) run(namespace, request string, want group.Outcome) step {
	return inOrder(s.asked(namespace, request), s.ended(namespace, request, want))
}

func (s *site) asked(namespace, request string) step {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, group.RunNowAnnotation, request)
	return func(ctx context.Context) error {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		return s.admin.Patch(ctx, ns, client.RawPatch(types.MergePatchType, patch))
	}
}

func (s *site) ended(namespace, request string, want group.Outcome) step {
	return func(ctx context.Context) error {
		ns := &corev1.Namespace{}
		if err := s.admin.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
			return err
		}
		run, err := plan.ParseRun(ns.Annotations)
		if err == nil && (run.Request != request || run.Outcome != want) {
			err = fmt.Errorf("last run %s, want it %s", run.LastRun, want)
		}
		return err
	}
}

// gone waits until a list has no object that which picks.
func gone[T client.Object](s *site, list client.ObjectList, which func(T) bool) step {
	return func(ctx context.Context) error {
		if err := s.admin.List(ctx, list); err != nil {
			return err
		}
		return meta.EachListItem(list, func(item runtime.Object) error {
			if o, ok := item.(T); ok && which(o) {
				return fmt.Errorf("%T %q is there", o, o.GetName())
			}
			return nil
		})
	}
}

// refused waits until a request is refused in such words.
func refused(request step, words string) step {
	return func(ctx context.Context) error {
		err := request(ctx)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), words) {
			return fmt.Errorf("answered %w, want it refused", err)
		}
		return nil
	}
}
