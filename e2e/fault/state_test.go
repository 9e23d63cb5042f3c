package fault_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// state is everything that a run leaves of a namespace, cluster-wide objects and storage included, in YAML. Names, IDs and
// times, in which two runs differ, are replaced or left out, so that runs of different namespaces can be compared.
func state(ctx context.Context, namespace string) (string, error) {
	s := &sight{namespace: namespace, names: map[string]string{namespace: "NAMESPACE"}}
	if err := s.read(ctx); err != nil {
		return "", err
	}
	if err := s.nameAll(); err != nil {
		return "", err
	}
	var docs []string
	for _, o := range s.objects() {
		doc, err := s.print(o)
		if err != nil {
			return "", err
		}
		docs = append(docs, doc)
	}
	slices.Sort(docs)
	return strings.Join(append(docs, s.storage()...), "---\n"), nil
}

// sight is a namespace as it is seen at one moment.
type sight struct {
	namespace     string
	ns            corev1.Namespace
	claims        corev1.PersistentVolumeClaimList
	volumes       corev1.PersistentVolumeList
	groups        groupv1.VolumeGroupSnapshotList
	groupContents groupv1.VolumeGroupSnapshotContentList
	members       snapv1.VolumeSnapshotList
	contents      snapv1.VolumeSnapshotContentList
	events        eventsv1.EventList
	inventory     csidriver.Inventory
	// names are the words that two runs do not share, and what they are replaced by.
	names map[string]string
}

func (s *sight) read(ctx context.Context) error {
	in := client.InNamespace(s.namespace)
	err := errors.Join(
		admin.Get(ctx, client.ObjectKey{Name: s.namespace}, &s.ns), admin.List(ctx, &s.claims, in), admin.List(ctx, &s.volumes),
		admin.List(ctx, &s.groups, in), admin.List(ctx, &s.groupContents), admin.List(ctx, &s.members, in),
		admin.List(ctx, &s.contents), admin.List(ctx, &s.events, in))
	if err != nil {
		return err
	}
	s.groupContents.Items = slices.DeleteFunc(s.groupContents.Items, func(c groupv1.VolumeGroupSnapshotContent) bool {
		return c.Spec.VolumeGroupSnapshotRef.Namespace != s.namespace
	})
	s.contents.Items = slices.DeleteFunc(s.contents.Items, func(c snapv1.VolumeSnapshotContent) bool {
		return c.Spec.VolumeSnapshotRef.Namespace != s.namespace
	})
	s.events.Items = slices.DeleteFunc(s.events.Items, func(e eventsv1.Event) bool {
		return e.ReportingController != "snapshot-group/snapshotter"
	})
	s.dropConflicts()
	s.inventory, err = csidriver.Dial(shared.Drivers()[0].Control).Inventory(ctx)
	return err
}

// nameAll gives everything of a run a name by what it is: the members by their claims, all else by the group. What is there
// twice gets a name once, so that the second shows.
func (s *sight) nameAll() error {
	run, err := group.ParseLastRun(s.ns.Annotations)
	if err != nil {
		return err
	}
	s.name(run.ID, "RUN")
	s.nameByRun(run.ID)
	volumes := map[string]string{}
	for _, v := range s.volumes.Items {
		if v.Spec.CSI != nil {
			volumes[v.Name] = v.Spec.CSI.VolumeHandle
		}
	}
	for _, c := range s.claims.Items {
		s.name(volumes[c.Spec.VolumeName], "VOLUME-OF-"+c.Name)
	}
	for _, c := range s.groupContents.Items {
		ref := c.Spec.VolumeGroupSnapshotRef
		of, _, _ := strings.Cut(ref.Name, "-")
		s.name(ref.Name, "GROUP-SNAPSHOT-OF-"+of)
		s.name(string(ref.UID), "UID-OF-"+of)
		if c.Status != nil {
			s.name(ptr.Deref(c.Status.VolumeGroupSnapshotHandle, ""), "HANDLE-OF-"+of)
		}
	}
	for _, m := range s.members.Items {
		of := ptr.Deref(m.Spec.Source.PersistentVolumeClaimName, "nothing")
		s.name(m.Name, "MEMBER-OF-"+of)
		for _, c := range s.contents.Items {
			if c.Spec.VolumeSnapshotRef.UID == m.UID {
				s.name(c.Name, "CONTENT-OF-"+of)
				if c.Status != nil {
					s.name(ptr.Deref(c.Status.SnapshotHandle, ""), "HANDLE-OF-"+of)
				}
			}
		}
	}
	return nil
}

// nameByRun names what the run names itself: that is in its Events, where nothing else is left of it.
func (s *sight) nameByRun(run string) {
	for _, c := range s.claims.Items {
		if of := c.Labels[group.DefaultLabelKey]; of != "" {
			s.name(group.SnapshotName(s.ns.UID, of, run), "GROUP-SNAPSHOT-OF-"+of)
			continue
		}
		s.name(group.ClaimSnapshotName(s.ns.UID, c.Name, run), "MEMBER-OF-"+c.Name)
	}
}

func (s *sight) name(word, name string) {
	if word != "" && !slices.Contains(slices.Collect(maps.Values(s.names)), name) {
		s.names[word] = name
	}
}

func (s *sight) objects() []client.Object {
	ns := &corev1.Namespace{}
	for key, value := range s.ns.Annotations { // those of the product alone, the loop's and the user's
		if strings.HasPrefix(key, group.FieldOwner+"/") {
			metav1.SetMetaDataAnnotation(&ns.ObjectMeta, key, value)
		}
	}
	all := []client.Object{ns}
	for i := range s.groups.Items {
		all = append(all, &s.groups.Items[i])
	}
	for i := range s.groupContents.Items {
		all = append(all, &s.groupContents.Items[i])
	}
	for i := range s.members.Items {
		all = append(all, &s.members.Items[i])
	}
	for i := range s.contents.Items {
		all = append(all, &s.contents.Items[i])
	}
	for i := range s.events.Items {
		all = append(all, &s.events.Items[i])
	}
	return all
}

// volatile are the fields in which the same object of two runs differs.
var volatile = []string{
	"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "creationTime", "eventTime", "time",
}

func (s *sight) print(o client.Object) (string, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return "", err
	}
	strip(fields)
	text, err := yaml.Marshal(fields)
	return fmt.Sprintf("# %T\n%s", o, s.replaced(string(text))), err
}

// marked is the annotation by which snapshot-controller lets csi-snapshotter free a content. It is written in one try: the
// controller (external-snapshotter 8.7) sets it on its cached object first, and where the request fails it believes to have
// written it. So an anchor may lack it after an outage, and whoever frees the content must write it.
const marked = "groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-deleted"

// boundToAny is the finalizer that snapshot-controller puts on a released member where it comes to make it another content, beside that which the
// member is bound to, and leaves there. It goes with the member's own content.
const boundToAny = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"

// strip takes volatile fields away, of owner references too: their names tell as much. Finalizers are a set.
func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range volatile {
			delete(v, key)
		}
		if annotations, ok := v["annotations"].(map[string]any); ok {
			delete(annotations, marked)
			if len(annotations) == 0 {
				delete(v, "annotations")
			}
		}
		if finalizers, ok := v["finalizers"].([]any); ok {
			finalizers = slices.DeleteFunc(finalizers, func(f any) bool { return f == boundToAny })
			v["finalizers"] = finalizers
			slices.SortFunc(finalizers, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		for _, field := range v {
			strip(field)
		}
	case []any:
		for _, item := range v {
			strip(item)
		}
	}
}

// replaced has longer words replaced first: one can be part of another.
func (s *sight) replaced(text string) string {
	words := slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return len(b) - len(a) })
	for _, w := range words {
		text = strings.ReplaceAll(text, w, s.names[w])
	}
	return runBefore.ReplaceAllString(volatileInRun.ReplaceAllString(text, ""), "RUN-BEFORE")
}

// runBefore is the ID of a run that is not the last one, after that has been replaced.
var runBefore = regexp.MustCompile(`\b\d{8}t\d{6}z\b`)

// volatileInRun is what differs in the last-run annotation: when the run began, and of what it has given up all that only the
// objects tell, which are gone.
var volatileInRun = regexp.MustCompile(`,"(uid|handle|time)":"[^"]*"`)

// storage is what the driver holds of the namespace's volumes.
func (s *sight) storage() []string {
	var lines []string
	groups := map[string]bool{}
	for _, snapshot := range s.inventory.Snapshots {
		if _, ours := s.names[snapshot.SourceVolume]; ours {
			lines = append(lines, s.replaced(fmt.Sprintf("on storage: %s of %s, ready %t\n", snapshot.ID, snapshot.SourceVolume, snapshot.Ready)))
			groups[snapshot.GroupID] = true
		}
	}
	for _, g := range s.inventory.Groups {
		if groups[g.ID] {
			lines = append(lines, s.replaced(fmt.Sprintf("on storage: group %s with %d snapshots\n", g.ID, len(g.Snapshots))))
		}
	}
	slices.Sort(lines)
	return lines
}

// settled is the state of a namespace once it has not changed for two seconds: controllers tidy up after a run has ended.
func settled(t *testing.T, namespace string) string {
	t.Helper()
	const still = 2 * time.Second
	var last string
	since := time.Now()
	eventually(t, namespace+" to settle", func(ctx context.Context) error {
		now, err := state(ctx, namespace)
		if err != nil {
			return err
		}
		if now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < still {
			return errors.New("it changed a moment ago")
		}
		return nil
	})
	return last
}

// becomes waits for a state and tells what is other about the last one seen.
func becomes(t *testing.T, namespace, want string) {
	t.Helper()
	eventually(t, namespace+" to be as after an undisturbed run", func(ctx context.Context) error {
		got, err := state(ctx, namespace)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-undisturbed +disturbed):\n%s\nit is:\n%s", diff, got) // a long diff is cut
		}
		return nil
	})
}
