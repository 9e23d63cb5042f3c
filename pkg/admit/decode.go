package admit

import (
	"cmp"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// claimReview is a review of a claim's CREATE or UPDATE.
type claimReview struct {
	// claim is as it would become; old is as it was, nil for a CREATE.
	claim, old *corev1.PersistentVolumeClaim
	user       string
	// dryRun: nothing may be written for it.
	dryRun bool
}

// decodeClaim reads a review that the claims webhook was sent. The error names what cannot be read.
func decodeClaim(req admission.Request) (claimReview, error) {
	if err := expect(req, "", "persistentvolumeclaims"); err != nil {
		return claimReview{}, err
	}
	review := claimReview{claim: &corev1.PersistentVolumeClaim{}, user: req.UserInfo.Username, dryRun: ptr.Deref(req.DryRun, false)}
	if err := decodeObject("object", req.Object, review.claim); err != nil {
		return claimReview{}, err
	}
	switch req.Operation {
	case admissionv1.Create:
	case admissionv1.Update:
		review.old = &corev1.PersistentVolumeClaim{}
		if err := decodeObject("oldObject", req.OldObject, review.old); err != nil {
			return claimReview{}, err
		}
	default:
		return claimReview{}, fmt.Errorf("read review: operation %q of a claim is not reviewed here", req.Operation)
	}
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
	if req.Operation != admissionv1.Create {
		return nil, fmt.Errorf("read review: operation %q of a VolumeSnapshot is not reviewed here", req.Operation)
	}
	snapshot := &snapshotv1.VolumeSnapshot{}
	if err := decodeObject("object", req.Object, snapshot); err != nil {
		return nil, err
	}
	snapshot.Namespace = req.Namespace
	return snapshot, nil
}

func expect(req admission.Request, apiGroup, resource string) error {
	if req.Resource.Group != apiGroup || req.Resource.Resource != resource {
		return fmt.Errorf("read review: resource %q of API group %q is not reviewed here", req.Resource.Resource, req.Resource.Group)
	}
	return nil
}

func decodeObject(field string, raw runtime.RawExtension, into any) error {
	if len(raw.Raw) == 0 {
		return fmt.Errorf("read review: %s is missing", field)
	}
	if err := json.Unmarshal(raw.Raw, into); err != nil {
		return fmt.Errorf("read review: %s: %w", field, err)
	}
	return nil
}
