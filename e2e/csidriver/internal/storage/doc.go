// Package storage keeps volumes, snapshots and group snapshots as folders. It knows nothing of CSI.
//
//	volumes/ID/volume.json             volumes/ID/data/
//	snapshots/ID/snapshot.json         snapshots/ID/data/            snapshots that stand alone
//	groups/ID/group.json               groups/ID/members/ID/...      each member as a snapshot that stands alone
//	tmp/                               what is being made or deleted
//
// Every object is built in tmp and moved to its place by one rename, and leaves it the same way, a group with all its
// members: whenever the process dies, an object is there whole or not at all. What is found in tmp at start is removed.
// Nothing is flushed to the disk, so a crash of the machine may lose the latest changes.
package storage
