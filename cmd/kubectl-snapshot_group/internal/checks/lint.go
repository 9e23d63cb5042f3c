package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/manifests"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// lint checks manifests.
func lint(ctx context.Context, s *session.Session, o *options) ([]finding.Finding, error) {
	namespace, err := s.Namespace()
	if err != nil {
		return nil, err
	}
	set := manifests.Set{Namespace: namespace, LabelKey: s.LabelKey, GroupSnapshots: groupsnapshotv1.SchemeGroupVersion.Version}
	for _, file := range o.files {
		if err := readFile(s, file, &set); err != nil {
			return nil, err
		}
	}
	if o.withCluster {
		if err := addCluster(ctx, s, &set); err != nil {
			return nil, err
		}
	}
	return set.Findings(), nil
}

func readFile(s *session.Session, file string, set *manifests.Set) error {
	in := s.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read manifests: %w", err)
		}
		defer f.Close() //nolint:errcheck // it is only read
		in = f
	}
	const lookahead = 4096 // bytes, to tell JSON from YAML
	decoder := yaml.NewYAMLOrJSONDecoder(in, lookahead)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read manifests of %q: %w", file, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if err := set.Add(u); err != nil {
			return fmt.Errorf("read manifests of %q: %w", file, err)
		}
	}
}

// addCluster adds the classes of the cluster, and the claims of the namespaces that the manifests are about, where the manifests
// do not have them.
func addCluster(ctx context.Context, s *session.Session, set *manifests.Set) error {
	c, err := s.Client(ctx)
	if err != nil {
		return err
	}
	served, err := c.GroupVersionKindFor(&groupsnapshotv1.VolumeGroupSnapshotClass{})
	if err != nil {
		return fmt.Errorf("find the version of group snapshots: %w", err)
	}
	set.GroupSnapshots = served.Version
	classes, err := cluster.Classes(ctx, c)
	if err != nil {
		return err
	}
	for _, class := range classes.Storage {
		if _, given := set.Classes.Storage.StorageClass(class.Name); !given {
			set.Classes.Storage = append(set.Classes.Storage, class)
		}
	}
	set.Classes.Snapshot = merge(set.Classes.Snapshot, classes.Snapshot)
	set.Classes.GroupSnapshot = merge(set.Classes.GroupSnapshot, classes.GroupSnapshot)
	set.WithCluster = true
	if set.Volumes, err = groups.Volumes(ctx, c); err != nil {
		return err
	}
	for _, namespace := range set.Namespaces() {
		claims, err := groups.Claims(ctx, c, namespace)
		if err != nil {
			return err
		}
		for _, claim := range claims {
			given := slices.ContainsFunc(set.Claims, func(g *corev1.PersistentVolumeClaim) bool {
				return g.Namespace == namespace && g.Name == claim.Name
			})
			if !given {
				set.Claims = append(set.Claims, claim)
			}
		}
	}
	return nil
}

// merge are the given classes, and those of the cluster that have other names.
func merge(given, cluster []group.Class) []group.Class {
	out := slices.Clone(given)
	for _, c := range cluster {
		if !slices.ContainsFunc(given, func(g group.Class) bool { return g.Name == c.Name }) {
			out = append(out, c)
		}
	}
	return out
}
