package admit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ErrUnreadable reports a review that makes no sense here: of another kind, of another operation, or not of its form.
var ErrUnreadable = errors.New("read review")

// What is unreadable for these reasons has codes of its own.
var (
	errTooLarge    = fmt.Errorf("%w: it is too large", ErrUnreadable)
	errContentType = fmt.Errorf("%w: unknown content type", ErrUnreadable)
)

// claimReview is a review of a claim's CREATE or UPDATE.
type claimReview struct {
	// claim is as it would become; old is as it was, nil for a CREATE.
	claim, old *corev1.PersistentVolumeClaim
	// exempt completes "admitted because ..."; empty where a denial is one.
	exempt string
	// dryRun: nothing may be written for it.
	dryRun bool
}

// decodeClaim reads a review that the claims webhook was sent. The error names what cannot be read.
func decodeClaim(req admission.Request, exempt exempt) (claimReview, error) {
	if err := expect(req, "", "persistentvolumeclaims"); err != nil {
		return claimReview{}, err
	}
	if err := expectOperation(req, admissionv1.Create, admissionv1.Update); err != nil {
		return claimReview{}, err
	}
	claim, old, err := decodeChange[corev1.PersistentVolumeClaim](req)
	if err != nil {
		return claimReview{}, err
	}
	given := claim.Labels
	if old != nil {
		given = added(old.Labels, claim.Labels)
	}
	review := claimReview{claim: claim, old: old, exempt: exempt.why(req.UserInfo.Username, given), dryRun: ptr.Deref(req.DryRun, false)}
	// The review's own fields are what is authorized; the object of a CREATE may leave them out.
	review.claim.Namespace = req.Namespace
	review.claim.Name = cmp.Or(req.Name, review.claim.Name, review.claim.GenerateName)
	return review, nil
}

// decodeSnapshot reads a review of a VolumeSnapshot's CREATE that the labels webhook was sent.
func decodeSnapshot(req admission.Request) (*snapshotv1.VolumeSnapshot, error) {
	if err := expect(req, group.SnapshotAPIGroup, "volumesnapshots"); err != nil {
		return nil, err
	}
	if err := expectOperation(req, admissionv1.Create); err != nil {
		return nil, err
	}
	snapshot := &snapshotv1.VolumeSnapshot{}
	if err := decodeObject("object", req.Object, snapshot); err != nil {
		return nil, err
	}
	snapshot.Namespace = req.Namespace
	return snapshot, nil
}

// added are the labels that a change adds. A claim keeps the label of its restore for good, and is no exception for as long.
func added(before, after map[string]string) map[string]string {
	labels := maps.Clone(after)
	maps.DeleteFunc(labels, func(key, value string) bool { return before[key] == value })
	return labels
}

func expect(req admission.Request, apiGroup, resource string) error {
	if req.Resource.Group != apiGroup || req.Resource.Resource != resource {
		return fmt.Errorf("%w: resource %q of API group %q is not reviewed here", ErrUnreadable, req.Resource.Resource, req.Resource.Group)
	}
	return nil
}

func expectOperation(req admission.Request, operations ...admissionv1.Operation) error {
	if !slices.Contains(operations, req.Operation) {
		return fmt.Errorf("%w: operation %q of resource %q is not reviewed here", ErrUnreadable, req.Operation, req.Resource.Resource)
	}
	return nil
}

// decodeChange reads an object as it would become and as it was: of a CREATE before is nil, of a DELETE after.
func decodeChange[T any](req admission.Request) (after, before *T, err error) {
	if err := expectOperation(req, admissionv1.Create, admissionv1.Update, admissionv1.Delete); err != nil {
		return nil, nil, err
	}
	if req.Operation != admissionv1.Delete {
		after = new(T)
		if err := decodeObject("object", req.Object, after); err != nil {
			return nil, nil, err
		}
	}
	if req.Operation != admissionv1.Create {
		before = new(T)
		if err := decodeObject("oldObject", req.OldObject, before); err != nil {
			return nil, nil, err
		}
	}
	return after, before, nil
}

func decodeObject(field string, raw runtime.RawExtension, into any) error {
	if len(raw.Raw) == 0 {
		return fmt.Errorf("%w: %s is missing", ErrUnreadable, field)
	}
	if err := json.Unmarshal(raw.Raw, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreadable, field, err)
	}
	return nil
}
