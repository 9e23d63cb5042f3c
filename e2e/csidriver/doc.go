// Package csidriver is the control of the tests' CSI driver: a small real driver whose volumes are folders, whose snapshots
// are copies, and whose group snapshots are cut under one lock with one creation time.
//
// The driver itself is the command csi-driver (e2e/csidriver/cmd). Beside its CSI endpoint it serves a control API, HTTP and
// JSON over a unix socket, and this package is that API's words and its client:
//
//	GET /inventory    what the storage holds, and how often each RPC was called
//	GET /faults       what is made to go wrong
//	PUT /faults       the same, replaced as a whole
//
// What the driver is not: it limits no one to a volume's capacity, it does not stop writers while it copies (a folder has
// no such switch), and its state survives the death of its process but not that of the machine.
package csidriver
