// Package sources finds out of which claims members of a group snapshot were made, where the members do not say.
//
// snapshot-controller (external-snapshotter 8.7) chooses the volumes of a group by the API server, and tells a member's claim by its cache
// of volumes. Where that does not hold the volume yet, as after an outage of the API server, or holds two of the same handle, it
// makes a good member that names no claim, for ever.
package sources

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Claims are those that a group snapshot was meant to cover.
type Claims struct {
	Namespace string
	// LabelKey and Group are the label that made each part of the group.
	LabelKey, Group string
	Names           []string
}

// Look reads them from the API server: volumes has, by the handle of its volume, each that there is. missed says of each why there
// may be no member of it.
func (c Claims) Look(ctx context.Context, live client.Reader) (volumes, missed map[string]string, err error) {
	var list corev1.PersistentVolumeClaimList
	if err := live.List(ctx, &list, client.InNamespace(c.Namespace)); err != nil {
		return nil, nil, fmt.Errorf("list claims: %w", err)
	}
	volumes, missed = map[string]string{}, map[string]string{}
	for _, name := range c.Names {
		i := slices.IndexFunc(list.Items, func(o corev1.PersistentVolumeClaim) bool { return o.Name == name })
		if i < 0 {
			missed[name] = "it was deleted while the snapshot was taken"
			continue
		}
		missed[name] = c.why(&list.Items[i])
		handle, err := handleOf(ctx, live, list.Items[i].Spec.VolumeName)
		if err != nil {
			return nil, nil, err
		}
		if handle != "" {
			volumes[handle] = name
		}
	}
	return volumes, missed, nil
}

// why there may be no member of a claim that exists.
func (c Claims) why(claim *corev1.PersistentVolumeClaim) string {
	if claim.Labels[c.LabelKey] != c.Group {
		return fmt.Sprintf("it left the group while the snapshot was taken, and does not carry the label %s=%s any more", c.LabelKey, c.Group)
	}
	return "it is in the group now, and was not, or was another claim, when snapshot-controller chose the volumes; ask for another run"
}

// handleOf is empty where there is no such volume, or it is on no CSI driver.
func handleOf(ctx context.Context, live client.Reader, volume string) (string, error) {
	if volume == "" {
		return "", nil
	}
	o := &corev1.PersistentVolume{}
	err := live.Get(ctx, client.ObjectKey{Name: volume}, o)
	switch {
	case apierrors.IsNotFound(err) || err == nil && o.Spec.CSI == nil:
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read PersistentVolume %q: %w", volume, err)
	}
	return o.Spec.CSI.VolumeHandle, nil
}
