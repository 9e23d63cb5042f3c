package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// groupSnapshotVersions are those of group.GroupSnapshotAPIGroup that the Go types of v1 serve, the newest first. They differ in one
// field that the product does not read: what v1 and v1beta2 call status.volumeSnapshotInfoList of a content is
// status.volumeSnapshotHandlePairList in v1beta1.
var groupSnapshotVersions = []string{"v1", "v1beta2", "v1beta1"}

// groupSnapshotResources must all be served in one version.
var groupSnapshotResources = []string{"volumegroupsnapshots", "volumegroupsnapshotcontents", "volumegroupsnapshotclasses"}

// ErrNoGroupSnapshots reports that a cluster serves group snapshots in no version that is known here.
var ErrNoGroupSnapshots = errors.New("the API server serves no group snapshots")

// GroupSnapshotVersion asks the API server for the newest version in which it serves group snapshots.
func GroupSnapshotVersion(ctx context.Context, config *rest.Config) (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", fmt.Errorf("make a discovery client: %w", err)
	}
	for _, version := range groupSnapshotVersions {
		served, err := client.ServerResourcesForGroupVersionWithContext(ctx, group.GroupSnapshotAPIGroup+"/"+version)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return "", fmt.Errorf("ask whether the API server serves %s/%s: %w", group.GroupSnapshotAPIGroup, version, err)
		case servesAll(served.APIResources):
			return version, nil
		}
	}
	return "", fmt.Errorf("%w: it has %v of API group %s in none of the versions %v", ErrNoGroupSnapshots,
		groupSnapshotResources, group.GroupSnapshotAPIGroup, groupSnapshotVersions)
}

func servesAll(served []metav1.APIResource) bool {
	return !slices.ContainsFunc(groupSnapshotResources, func(name string) bool {
		return !slices.ContainsFunc(served, func(r metav1.APIResource) bool { return r.Name == name })
	})
}

// Scheme holds the API types that the product uses, those of group snapshots in a version of GroupSnapshotVersion.
func Scheme(groupSnapshots string) (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register API types: %w", err)
		}
	}
	version := schema.GroupVersion{Group: group.GroupSnapshotAPIGroup, Version: groupSnapshots}
	scheme.AddKnownTypes(version,
		&groupsnapshotv1.VolumeGroupSnapshot{}, &groupsnapshotv1.VolumeGroupSnapshotList{},
		&groupsnapshotv1.VolumeGroupSnapshotContent{}, &groupsnapshotv1.VolumeGroupSnapshotContentList{},
		&groupsnapshotv1.VolumeGroupSnapshotClass{}, &groupsnapshotv1.VolumeGroupSnapshotClassList{})
	metav1.AddToGroupVersion(scheme, version)
	return scheme, nil
}
