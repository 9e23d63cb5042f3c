package finding

// Part is what the cluster is asked for at once. Who may not read it can still have the rest checked.
type Part string

// Parts, as they are told.
const (
	CSIDrivers Part = "CSIDrivers"
	Leases     Part = "Leases"
	Workloads  Part = "Deployments, StatefulSets and DaemonSets"
	Webhooks   Part = "webhook configurations and their EndpointSlices"
	Classes    Part = "StorageClasses and classes of snapshots"
	Inside     Part = "namespaces and what is in them"
	Volumes    Part = "PersistentVolumes"
	Contents   Part = "VolumeGroupSnapshotContents"
	Leftovers  Part = "what belongs to no restore point"
)

var parts = []Part{CSIDrivers, Leases, Workloads, Webhooks, Classes, Inside, Volumes, Contents, Leftovers}

func (f Facts) unseen(p Part) bool { return f.Unseen[p] != "" }

// rights tells what was not looked at.
func rights(f Facts) []Finding {
	var out []Finding
	for _, p := range parts {
		if f.unseen(p) {
			out = append(out, Finding{
				Severity: Warning, Check: "rights", Where: string(p), What: "not looked at: " + f.Unseen[p],
				Why: "nothing is said of what depends on it", Mend: "let somebody check who may read it",
			})
		}
	}
	return out
}
