// Package group holds the words of the product: the labels and annotations that users and the product write, the
// Settings parsed from a Namespace, the driver and the classes of a claim, and the names of what a run creates.
//
// Everything here is pure: no clients, no contexts, no clock. Every other package imports it; it imports none of them.
package group

// Labels and annotations that users write on a Namespace. docs/annotations.md describes each.
const (
	// OptInLabel on a Namespace, with value OptInValue, places it under the product's care.
	OptInLabel = "snapshot-group"
	OptInValue = "enabled"

	ModeAnnotation               = "snapshot-group/mode"
	LabelKeyAnnotation           = "snapshot-group/label-key"
	ScheduleAnnotation           = "snapshot-group/schedule"
	TimeZoneAnnotation           = "snapshot-group/time-zone"
	JitterAnnotation             = "snapshot-group/jitter"
	StartingDeadlineAnnotation   = "snapshot-group/starting-deadline"
	SuspendAnnotation            = "snapshot-group/suspend"
	RunNowAnnotation             = "snapshot-group/run-now"
	TimeoutAnnotation            = "snapshot-group/timeout"
	WorkflowAnnotation           = "snapshot-group/workflow"
	UngroupedAnnotation          = "snapshot-group/ungrouped"
	KeepAnnotation               = "snapshot-group/keep"
	KeepForAnnotation            = "snapshot-group/keep-for"
	ConfirmExpiryAnnotation      = "snapshot-group/confirm-expiry"
	LabelsAnnotation             = "snapshot-group/labels"
	GroupSnapshotClassAnnotation = "snapshot-group/group-snapshot-class"
	SnapshotClassAnnotation      = "snapshot-group/snapshot-class"
)

// Annotations that the loop writes on a Namespace, by server-side apply under FieldOwner.
const (
	// LastRunAnnotation holds LastRun as JSON.
	LastRunAnnotation = "snapshot-group/last-run"
	// LastScheduledAnnotation holds the instant, RFC 3339, for which the last scheduled run was begun, or skipped because
	// a run was going on.
	LastScheduledAnnotation = "snapshot-group/last-scheduled"
	// ScheduleSeenAnnotation holds as JSON the schedule that the loop goes by and since when: no run is due for an instant
	// before. It also says why there is none to go by.
	ScheduleSeenAnnotation = "snapshot-group/schedule-seen"

	// RetentionSeenAnnotation is the retention that expiry goes by. With another, a person has edited it, and expiry looks closer.
	RetentionSeenAnnotation = "snapshot-group/retention-seen"
	// ExpiryPausedAnnotation says why nothing expires until ConfirmExpiryAnnotation has the token that it names.
	ExpiryPausedAnnotation = "snapshot-group/expiry-paused"

	// FieldOwner is the server-side apply field owner of everything that the product writes on objects of others.
	FieldOwner = "snapshot-group"
)

// Labels that the product writes on what a run makes.
const (
	GroupLabel   = "snapshot-group/group"
	RunLabel     = "snapshot-group/run"
	TriggerLabel = "snapshot-group/trigger"
	// ClaimLabel holds LabelValue of the claim's name; where that is a hash, an annotation of the same key holds the name.
	ClaimLabel = "snapshot-group/claim"
	// ClaimsAnnotation on a VolumeGroupSnapshot names the claims that the run meant it to cover, by comma: a claim that
	// leaves the group before snapshot-controller looks makes no member, and only this tells.
	ClaimsAnnotation = "snapshot-group/claims"
	// ClaimSpecAnnotation on a member holds the JSON of ClaimSpec, so that a restore needs no live claim.
	ClaimSpecAnnotation = "snapshot-group/claim-spec"
	// DetachedAnnotation on a member holds Detached: what the anchor of its group is made of again where it is lost.
	DetachedAnnotation = "snapshot-group/detached-from"
	// RebuiltAnnotation on an anchor says that the loop has made it again. Without, a content that was written for what is on storage is
	// somebody's import.
	RebuiltAnnotation = "snapshot-group/rebuilt"
	RebuiltValue      = "true"
)

// AnchorFinalizer is on every anchor while it has members: without it, their storage could never be freed.
const AnchorFinalizer = "snapshot-group/anchor"

// NudgedAnnotation on a content holds when the loop last made csi-snapshotter look at it, RFC 3339. A change of any annotation does.
const NudgedAnnotation = "snapshot-group/nudged"

// HoldLabel on a restore point (a VolumeGroupSnapshot, an anchor or an ungrouped VolumeSnapshot), with value HoldValue, keeps it
// from expiring and from being deleted by the command line.
const (
	HoldLabel = "snapshot-group/hold"
	HoldValue = "true"
	// HeldByAnnotation beside that label holds the ID of the restore in place that set it and takes it away at its end. A hold without is a
	// person's.
	HeldByAnnotation = "snapshot-group/held-by"
)

// What a restore writes.
const (
	// RestoreLabel on a claim holds LabelValue of the restore point that it was made from. Admission warns of such a claim where
	// it denies others: policy must not stop a restore.
	RestoreLabel = "snapshot-group/restore"
	// RestoredFromAnnotation says the same in full: namespace/point, and for a restore in place its ID too, for a
	// copy of a VolumeSnapshot that stands alone the UID of that.
	RestoredFromAnnotation = "snapshot-group/restored-from"
	// SafetyLabel on claims holds the ID of the safety snapshot that is taken before they are replaced, which selects them by it.
	SafetyLabel = "snapshot-group/safety"
	// GenerationsAnnotation on a safety snapshot holds as JSON the generations of the workloads that mount its claims, by UID, at
	// rest: by another one it is known that a workload ran since.
	GenerationsAnnotation = "snapshot-group/generations"
)

// Keys of Velero 1.18, which the product shares so that the same claims and classes serve both.
const (
	DefaultLabelKey = "velero.io/volume-group"
	VeleroPrefix    = "velero.io/"

	VeleroClaimGroupClassAnnotation    = "velero.io/csi-volume-group-snapshot-class"
	VeleroClaimSnapshotClassAnnotation = "velero.io/csi-volumesnapshot-class"
	VeleroGroupClassLabel              = "velero.io/csi-volumegroupsnapshot-class"
	VeleroSnapshotClassLabel           = "velero.io/csi-volumesnapshot-class"
	// VeleroRestoreLabel marks what a Velero restore recreates.
	VeleroRestoreLabel = "velero.io/restore-name"
)

// Annotations of external-snapshotter and Kubernetes. A default is marked by exactly "true"
// (external-snapshotter v8 pkg/utils.IsDefaultAnnotation; k8s.io/component-helpers for StorageClass).
const (
	DefaultSnapshotClassAnnotation      = "snapshot.storage.kubernetes.io/is-default-class"
	DefaultGroupSnapshotClassAnnotation = "groupsnapshot.storage.kubernetes.io/is-default-class"
	DefaultStorageClassAnnotation       = "storageclass.kubernetes.io/is-default-class"
	BetaDefaultStorageClassAnnotation   = "storageclass.beta.kubernetes.io/is-default-class"

	// InGroupFinalizer is what snapshot-controller puts on members so that none is deleted alone.
	InGroupFinalizer = "snapshot.storage.kubernetes.io/volumesnapshot-in-group-protection"

	// GroupBeingDeletedAnnotation is set by snapshot-controller on the content of a VolumeGroupSnapshot that goes. The CSI
	// sidecar frees the storage of no content without it (external-snapshotter v8 pkg/utils.AnnVolumeGroupSnapshotBeingDeleted).
	GroupBeingDeletedAnnotation = "groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-deleted"
	// MemberBeingDeletedAnnotation is the like for the content of a VolumeSnapshot (pkg/utils.AnnVolumeSnapshotBeingDeleted).
	MemberBeingDeletedAnnotation = "snapshot.storage.kubernetes.io/volumesnapshot-being-deleted"
	// MemberGroupHandleAnnotation is on the content of a member from its creation on, where its status comes later
	// (pkg/utils.VolumeGroupSnapshotHandleAnnotation).
	MemberGroupHandleAnnotation = "groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle"
	// GroupContentFinalizer keeps the content of a group until the CSI sidecar has freed its storage
	// (pkg/utils.VolumeGroupSnapshotContentFinalizer).
	GroupContentFinalizer = "groupsnapshot.storage.kubernetes.io/volumegroupsnapshotcontent-bound-protection"
	// The Secret that a driver wants when the content of a member, or of a group, is deleted (pkg/utils.AnnDeletionSecretRefName and
	// -Namespace, AnnDeletionGroupSecretRefName and -Namespace). Both come from the parameters of the VolumeGroupSnapshotClass.
	MemberSecretNameAnnotation      = "snapshot.storage.kubernetes.io/deletion-secret-name"
	MemberSecretNamespaceAnnotation = "snapshot.storage.kubernetes.io/deletion-secret-namespace"
	GroupSecretNameAnnotation       = "groupsnapshot.storage.kubernetes.io/deletion-secret-name"
	GroupSecretNamespaceAnnotation  = "groupsnapshot.storage.kubernetes.io/deletion-secret-namespace"

	SnapshotAPIGroup      = "snapshot.storage.k8s.io"
	GroupSnapshotAPIGroup = "groupsnapshot.storage.k8s.io"
	GroupSnapshotKind     = "VolumeGroupSnapshot"
)

// Triggers of a run, the values of TriggerLabel.
const (
	TriggerSchedule = "schedule"
	TriggerManual   = "manual"
	// TriggerRestore is that of the safety snapshot that a restore in place takes first; the loop begins no such runs.
	TriggerRestore = "restore"
)
