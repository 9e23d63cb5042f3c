package point

import (
	"cmp"
	"slices"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Objects are those of one Namespace, in any order, such as a cache holds them: nothing of them is changed. Contents are those that refer to
// something in it.
type Objects struct {
	Namespace types.UID
	// Offset is the Namespace's part of the jitter.
	Offset         time.Duration
	GroupSnapshots []*groupsnapshotv1.VolumeGroupSnapshot
	GroupContents  []*groupsnapshotv1.VolumeGroupSnapshotContent
	Snapshots      []*snapshotv1.VolumeSnapshot
	Contents       []*snapshotv1.VolumeSnapshotContent
}

// Add adds an object of one of the four kinds.
func (o *Objects) Add(object any) {
	switch object := object.(type) {
	case *groupsnapshotv1.VolumeGroupSnapshot:
		o.GroupSnapshots = append(o.GroupSnapshots, object)
	case *groupsnapshotv1.VolumeGroupSnapshotContent:
		o.GroupContents = append(o.GroupContents, object)
	case *snapshotv1.VolumeSnapshot:
		o.Snapshots = append(o.Snapshots, object)
	case *snapshotv1.VolumeSnapshotContent:
		o.Contents = append(o.Contents, object)
	}
}

// Indexed are objects by what relates them.
type Indexed struct {
	o             Objects
	groupContents map[types.UID][]*groupsnapshotv1.VolumeGroupSnapshotContent // by the VolumeGroupSnapshot's UID
	owned         map[types.UID][]*snapshotv1.VolumeSnapshot                  // by the VolumeGroupSnapshot's UID
	snapshots     map[types.UID]*snapshotv1.VolumeSnapshot
	contents      map[types.UID]*snapshotv1.VolumeSnapshotContent // by the VolumeSnapshot's UID
	onStorage     map[onStorage][]*snapshotv1.VolumeSnapshotContent
}

// onStorage is a group snapshot on storage.
type onStorage struct{ driver, handle string }

// Index looks at objects once, for all that is asked about them.
func Index(o Objects) Indexed {
	x := Indexed{
		o:             o,
		groupContents: make(map[types.UID][]*groupsnapshotv1.VolumeGroupSnapshotContent, len(o.GroupContents)),
		owned:         make(map[types.UID][]*snapshotv1.VolumeSnapshot, len(o.GroupSnapshots)),
		snapshots:     make(map[types.UID]*snapshotv1.VolumeSnapshot, len(o.Snapshots)),
		contents:      make(map[types.UID]*snapshotv1.VolumeSnapshotContent, len(o.Contents)),
		onStorage:     make(map[onStorage][]*snapshotv1.VolumeSnapshotContent, len(o.GroupContents)),
	}
	for _, c := range o.GroupContents {
		x.groupContents[c.Spec.VolumeGroupSnapshotRef.UID] = append(x.groupContents[c.Spec.VolumeGroupSnapshotRef.UID], c)
	}
	for _, s := range o.Snapshots {
		x.snapshots[s.UID] = s
		if owner := group.OwnerGroupSnapshot(s.OwnerReferences); owner != nil {
			x.owned[owner.UID] = append(x.owned[owner.UID], s)
		}
	}
	for _, c := range o.Contents {
		if uid := c.Spec.VolumeSnapshotRef.UID; !misses(x.snapshots[uid], c) {
			x.contents[uid] = c
		}
		if c.Spec.Source.VolumeHandle != nil && c.Status != nil && c.Status.VolumeGroupSnapshotHandle != nil {
			on := onStorage{c.Spec.Driver, *c.Status.VolumeGroupSnapshotHandle}
			x.onStorage[on] = append(x.onStorage[on], c) // what was imported by its snapshot handle is no member
		}
	}
	return x
}

// Points are the restore points, those of a group or claim together and the oldest first: groups by name, then claims by
// name. Equal input in any order gives equal output.
func (x Indexed) Points() []Point {
	points := make([]Point, 0, max(len(x.o.GroupSnapshots), len(x.o.GroupContents)))
	seen := make(map[types.UID]bool, len(x.o.GroupSnapshots))
	for _, s := range x.o.GroupSnapshots {
		if !Ours(x.o.Namespace, s.Name, s.Labels) {
			continue
		}
		seen[s.UID] = true
		points = append(points, x.ofSnapshot(s))
	}
	for _, c := range x.o.GroupContents {
		if ref := c.Spec.VolumeGroupSnapshotRef; !seen[ref.UID] && made(c) && Ours(x.o.Namespace, ref.Name, c.Labels) {
			points = append(points, x.ofAnchor(c))
		}
	}
	for _, s := range x.o.Snapshots {
		if ungrouped(x.o.Namespace, s) {
			points = append(points, x.ofClaim(s))
		}
	}
	slices.SortFunc(points, compare)
	return points
}

// compare puts groups before claims, which have no group.
func compare(a, b Point) int {
	if a.Ungrouped() != b.Ungrouped() {
		if b.Ungrouped() {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Claim, b.Claim),
		a.Time.Compare(b.Time), strings.Compare(a.Name, b.Name))
}

// Ours tells whether a VolumeGroupSnapshot of this name, or a content that refers to one, was made by a run of the Namespace
// for the group that labels name.
func Ours(namespace types.UID, name string, labels map[string]string) bool {
	of, run := labels[group.GroupLabel], labels[group.RunLabel]
	return of != "" && run != "" && name == group.SnapshotName(namespace, of, run)
}

// made: by snapshot-controller, for a VolumeGroupSnapshot, or by the loop once more. What somebody wrote to import a backup is theirs,
// whatever its labels and the name that it refers to. One that is not bound yet refers to no UID, and no name ends in a dash.
func made(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return c.Name == ContentName(c.Spec.VolumeGroupSnapshotRef.UID) && (c.Spec.Source.GroupSnapshotHandles == nil || rebuilt(c))
}

// ContentName is what snapshot-controller calls the content of a VolumeGroupSnapshot.
func ContentName(snapshot types.UID) string { return "groupsnapcontent-" + string(snapshot) }

func ungrouped(namespace types.UID, s *snapshotv1.VolumeSnapshot) bool {
	claim := ptr.Deref(s.Spec.Source.PersistentVolumeClaimName, "")
	return s.Labels[group.ClaimLabel] != "" && s.Labels[group.GroupLabel] == "" && group.OwnerGroupSnapshot(s.OwnerReferences) == nil &&
		s.Name == group.ClaimSnapshotName(namespace, claim, s.Labels[group.RunLabel])
}

func (x Indexed) ofSnapshot(s *groupsnapshotv1.VolumeGroupSnapshot) Point {
	p := x.labelled(s.Labels)
	p.Name, p.Workflow, p.Snapshot = s.Name, group.Keep, ptr.To(object(&s.ObjectMeta))
	p.Held = held(s.Labels)
	p.Ready = s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false)
	p.Deleting = s.DeletionTimestamp != nil
	if claims := s.Annotations[group.ClaimsAnnotation]; claims != "" {
		p.Wanted = len(strings.Split(claims, ","))
	}
	for _, c := range x.groupContents[s.UID] {
		p.Content, p.Wanted = content(c), len(c.Spec.Source.VolumeHandles)
		if c.Labels[group.RunLabel] == p.Run && c.Labels[group.GroupLabel] == p.Group { // its VolumeGroupSnapshot goes, it stays
			p.Workflow, p.Deleting = group.Detach, !p.Content.Retained
			p.Held = p.Held || held(c.Labels)
		}
	}
	p.Members, p.Left = x.members(s.UID, p.Content)
	return p
}

func (x Indexed) ofAnchor(c *groupsnapshotv1.VolumeGroupSnapshotContent) Point {
	p := x.labelled(c.Labels)
	p.Name, p.Workflow, p.Content = c.Spec.VolumeGroupSnapshotRef.Name, group.Detach, content(c)
	p.Held, p.Ready, p.Wanted = held(c.Labels), true, wanted(c)
	p.Deleting = !p.Content.Retained
	p.Members, p.Left = x.members(c.Spec.VolumeGroupSnapshotRef.UID, p.Content)
	return p
}

func (x Indexed) ofClaim(s *snapshotv1.VolumeSnapshot) Point {
	p := x.labelled(s.Labels)
	m := x.member(s)
	p.Name, p.Workflow, p.Claim, p.Members, p.Wanted = s.Name, group.Keep, m.Claim, []Member{m}, 1
	p.Held, p.Ready, p.Deleting = held(s.Labels), m.Ready, m.Terminating
	return p
}

// members are those that the VolumeGroupSnapshot owns, and those whose content belongs to the same group on storage: a
// detached one is not owned any more. Beside them are the contents that outlive their members.
func (x Indexed) members(owner types.UID, c *Content) ([]Member, []MemberContent) {
	found := slices.Clone(x.owned[owner])
	var left []MemberContent
	if c != nil && c.Handle != "" {
		for _, mc := range x.onStorage[onStorage{c.Driver, c.Handle}] {
			if s := x.snapshots[mc.Spec.VolumeSnapshotRef.UID]; s != nil {
				found = append(found, s)
			} else {
				left = append(left, *contentOfMember(mc))
			}
		}
	}
	slices.SortFunc(found, func(a, b *snapshotv1.VolumeSnapshot) int { return strings.Compare(a.Name, b.Name) })
	found = slices.Compact(found) // an owned one's content tells of it as well
	out := make([]Member, 0, len(found))
	for _, s := range found {
		out = append(out, x.member(s))
	}
	slices.SortFunc(left, func(a, b MemberContent) int { return strings.Compare(a.Name, b.Name) })
	return out, left
}

func (x Indexed) member(s *snapshotv1.VolumeSnapshot) Member {
	m := Member{Object: object(&s.ObjectMeta), Claim: cmp.Or(
		s.Annotations[group.ClaimLabel], ptr.Deref(s.Spec.Source.PersistentVolumeClaimName, ""), s.Labels[group.ClaimLabel])}
	if s.Status != nil && s.Status.RestoreSize != nil {
		m.Size = s.Status.RestoreSize.Value()
	}
	c := x.contents[s.UID]
	if c == nil {
		return m
	}
	m.Content = contentOfMember(c)
	if c.Status == nil {
		return m
	}
	m.Cut = timeOfCut(c.Status.CreationTime)
	m.Ready = m.Stored() && s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false)
	return m
}

func contentOfMember(c *snapshotv1.VolumeSnapshotContent) *MemberContent {
	m := &MemberContent{
		Object: object(&c.ObjectMeta), Driver: c.Spec.Driver, Volume: ptr.Deref(c.Spec.Source.VolumeHandle, ""),
		Retained: c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain,
		Freeable: c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete && c.Annotations[group.MemberBeingDeletedAnnotation] != "",
	}
	if c.Status != nil {
		m.Handle = ptr.Deref(c.Status.SnapshotHandle, "")
	}
	return m
}

// labelled is a Point with what labels say. The run of a slot was due later, by the jitter that the Namespace has now.
func (x Indexed) labelled(labels map[string]string) Point {
	p := Point{Group: labels[group.GroupLabel], Run: labels[group.RunLabel], Trigger: labels[group.TriggerLabel]}
	p.Time, _ = group.RunTime(p.Run)
	if p.Trigger == group.TriggerSchedule {
		p.Time = p.Time.Add(x.o.Offset)
	}
	return p
}

func held(labels map[string]string) bool { return labels[group.HoldLabel] == group.HoldValue }

func object(o *metav1.ObjectMeta) Object {
	return Object{Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion, Terminating: o.DeletionTimestamp != nil}
}

func content(c *groupsnapshotv1.VolumeGroupSnapshotContent) *Content {
	out := &Content{
		Object: object(&c.ObjectMeta), Driver: c.Spec.Driver, Volumes: c.Spec.Source.VolumeHandles,
		Retained: c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain,
		Freeable: c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete && c.Annotations[group.GroupBeingDeletedAnnotation] != "",
		Guarded:  slices.Contains(c.Finalizers, group.AnchorFinalizer),
	}
	out.Handle, out.Snapshots, out.Untold = handleOf(c), SnapshotHandles(c), untold(c)
	return out
}

// handleOf is the group snapshot on storage; empty where storage has told none, or has freed it.
func handleOf(c *groupsnapshotv1.VolumeGroupSnapshotContent) string {
	if untold(c) {
		return c.Spec.Source.GroupSnapshotHandles.VolumeGroupSnapshotHandle
	}
	if c.Status == nil {
		return ""
	}
	return ptr.Deref(c.Status.VolumeGroupSnapshotHandle, "")
}

// timeOfCut reads a CSI time in nanoseconds; zero where storage told none.
func timeOfCut(nanoseconds *int64) time.Time {
	if ptr.Deref(nanoseconds, 0) == 0 {
		return time.Time{}
	}
	return time.Unix(0, *nanoseconds).UTC()
}
