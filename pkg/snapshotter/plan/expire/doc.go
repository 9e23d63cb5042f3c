// Package expire decides which restore points of a Namespace go, and how: facts and the time in, steps out. It is pure; the
// facts are gathered, and the steps carried out, by package snapshotter.
//
// A restore point of a group, or of a claim without one, first match:
//
//	its run goes on, or it is being detached     left alone, and not counted
//	its anchor was let go of (policy Delete)     carried to the end, whatever the settings say by now
//	held                                         stays
//	a claim is being restored from it, or
//	somebody has imported something of it        waits
//	not ready, but all of it is on storage       stays, and is not counted
//	storage never took it                        goes once a newer one is complete, or timeout after its run
//	lacks a member                               goes once a newer one is complete, if anything expires
//	the newest complete one                      stays
//	younger than keep-for, or kept by keep       stays
//	else                                         goes
//
// While a restore in place is unfinished, what would go by this table waits.
//
// How it goes:
//
//	kept group        let all contents of members, and a content of policy Retain, go too; delete the VolumeGroupSnapshot;
//	                  snapshot-controller does the rest
//	detached group    let the anchor go (policy Delete), delete the members, wait until they are gone, delete the anchor
//	ungrouped claim   let its content go too, delete the VolumeSnapshot
//
// What belongs to no restore point any more (package point, Orphans) is freed: an anchor whose members were deleted by hand,
// a content that its VolumeGroupSnapshot left behind. So is a snapshot that was taken of a member once more (package point, Doubles).
//
// A detached restore point whose anchor somebody has taken away gets it back (package point, Lost), if its members tell all that the driver must be
// told to free it: csi-snapshotter frees no member of a group alone.
//
// What goes and is held up since snapshot-controller failed to mark it for the CSI sidecar is marked, whatever the settings say:
// the content of a kept group once all its members go too, that of an ungrouped claim, and what members of an anchor have left.
//
// A member that goes and that snapshot-controller never lets go, for its status names no VolumeGroupSnapshot (package point, Captives), is let
// go. With a Namespace that goes, so does what a run has half made (package point, Halves), as what was given up.
//
// Too many points at once (brake.go) pause all of that Namespace, until somebody confirms. Every row reads objects, never
// memory, so a loop that was killed between any two steps goes on where it was.
package expire
