package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func copyFacts() CopyFacts {
	return CopyFacts{StorageClasses: storageClasses}
}

func TestACopyDoesNotJoinTheGroupOfItsOriginal(t *testing.T) {
	copies, err := Copies(point(), CopyOptions{Namespace: "shop", Suffix: "-copy", Claims: []string{"data"}}, copyFacts())
	if err != nil {
		t.Fatal(err)
	}
	got := copies[0]
	want := map[string]string{"app": "mysql", "snapshot-group/restore": "db-1"}
	if diff := cmp.Diff(want, got.Claim.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if len(copies) != 1 || got.Claim.Name != "data-copy" || got.Claim.Spec.DataSource.Name != "s-data" || got.Content != nil {
		t.Errorf("copy = %+v", got)
	}
}

func TestACopyInAnotherNamespaceStandsForTheSnapshotOnStorage(t *testing.T) {
	p := point()
	p.Members[0].Mode = corev1.PersistentVolumeBlock
	copies, err := Copies(p, CopyOptions{Namespace: "staging", Claims: []string{"data"}}, copyFacts())
	if err != nil {
		t.Fatal(err)
	}
	got := copies[0]
	name := got.Content.Name
	spec := snapshotv1.VolumeSnapshotContentSpec{
		DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain, Driver: "a", SourceVolumeMode: ptr.To(corev1.PersistentVolumeBlock),
		Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("h-data")},
		VolumeSnapshotRef: corev1.ObjectReference{Namespace: "staging", Name: name},
	}
	if diff := cmp.Diff(spec, got.Content.Spec); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if *got.Snapshot.Spec.Source.VolumeSnapshotContentName != name || got.Claim.Spec.DataSource.Name != got.Snapshot.Name {
		t.Errorf("content, snapshot and claim do not refer to each other: %+v", got)
	}
	if got.Claim.Name != "data" || got.Claim.Labels["velero.io/volume-group"] != "db" {
		t.Errorf("claim = %+v, want one of the same name in the group", got.Claim.ObjectMeta)
	}
}

func TestACopyOfASnapshotThatWasMadeAnewStandsForTheNewOne(t *testing.T) {
	name := func(handle string) string {
		p := point()
		p.Members[0].Handle = handle
		copies, err := Copies(p, CopyOptions{Namespace: "staging", Claims: []string{"data"}}, copyFacts())
		if err != nil {
			t.Fatal(err)
		}
		return copies[0].Content.Name
	}
	if old, anew := name("h-1"), name("h-2"); old == anew {
		t.Errorf("both contents are called %q, so that of the old snapshot would be taken for the new one's", old)
	}
}

func TestCopiesAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Point, *CopyOptions, *CopyFacts)
		want   string
	}{
		"where a claim of the name is there": {func(_ *Point, _ *CopyOptions, f *CopyFacts) {
			f.Claims = map[string]*corev1.PersistentVolumeClaim{"data-copy": claim("data-copy")}
		}, `claim "data-copy" exists in namespace "shop" already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix; nothing was changed`},
		"where one was made of an earlier point of the name": {func(_ *Point, _ *CopyOptions, f *CopyFacts) {
			f.Claims = map[string]*corev1.PersistentVolumeClaim{"data-copy": copied("shop/db-1", "s-data-before")}
		}, `claim "data-copy" exists in namespace "shop" already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix; nothing was changed`},
		"where one was made of an earlier snapshot of the name": {func(p *Point, _ *CopyOptions, f *CopyFacts) {
			p.UID = "2"
			f.Claims = map[string]*corev1.PersistentVolumeClaim{"data-copy": copied("shop/db-1/1", "s-data")}
		}, `claim "data-copy" exists in namespace "shop" already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix; nothing was changed`},
		"where one that was made earlier is being deleted": {func(_ *Point, _ *CopyOptions, f *CopyFacts) {
			c := copied("shop/db-1", "s-data")
			c.DeletionTimestamp = ptr.To(c.CreationTimestamp)
			f.Claims = map[string]*corev1.PersistentVolumeClaim{"data-copy": c}
		}, `claim "data-copy" exists in namespace "shop" already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix; nothing was changed`},
		"where storage is not known": {func(p *Point, o *CopyOptions, _ *CopyFacts) { p.Members[0].Handle, o.Namespace = "", "staging" },
			`VolumeSnapshot "s-data" has no handle of a snapshot on storage, so it cannot be used in namespace "staging"; nothing was changed`},
		"where only the content is left": {func(p *Point, _ *CopyOptions, _ *CopyFacts) { p.Members[0].Gone = true },
			`VolumeSnapshot "s-data" of "data" is gone: what is left of it can be restored by --to-namespace alone; nothing was changed`},
		"with all that is wrong": {func(p *Point, o *CopyOptions, _ *CopyFacts) {
			p.Members[0].Problem, o.Claims = "it is late", []string{"data", "index"}
		},
			`restore point "db-1" has no member of claim "index" (it has "data", "logs"); it is late; nothing was changed`},
	} {
		t.Run(name, func(t *testing.T) {
			p, o, f := point(), CopyOptions{Namespace: "shop", Suffix: "-copy", Claims: []string{"data"}}, copyFacts()
			tc.change(&p, &o, &f)
			_, err := Copies(p, o, f)
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("error %v, want one that wraps ErrRefused", err)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// copied is a claim that was made of a VolumeSnapshot as a copy.
func copied(from, snapshot string) *corev1.PersistentVolumeClaim {
	c := claimOf("shop", "data-copy", *recorded("fast", "10Gi"), snapshot)
	c.Annotations = map[string]string{group.RestoredFromAnnotation: from}
	return &c
}

func TestACopyThatIsThereIsNotMadeAgain(t *testing.T) {
	p := point()
	p.UID = "1"
	f := copyFacts()
	f.Claims = map[string]*corev1.PersistentVolumeClaim{"data-copy": copied("shop/db-1/1", "s-data")}
	copies, err := Copies(p, CopyOptions{Namespace: "shop", Suffix: "-copy", Claims: []string{"data"}}, f)
	if err != nil || !copies[0].Exists {
		t.Errorf("copies = %+v, %v; want one that exists", copies, err)
	}
}
