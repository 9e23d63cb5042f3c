package finding

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	policynamespaces "github.com/snapshot-group/snapshot-group/pkg/admit/policy/namespaces"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func namespaces(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		where := fmt.Sprintf("namespace %q", n.Name)
		if !n.OptedIn {
			command := "kubectl label namespace " + n.Name + " snapshot-group=enabled"
			out = append(out, Finding{
				Severity: Warning, Check: "opted-in", Where: where, What: "it is not opted in", Why: "its groups are neither checked nor snapshotted",
				Mend: "opt it in: " + command, Command: command,
			})
		}
		out = append(out, Annotations(n.Name, n.Annotations, n.Settings.LabelKey)...)
		if len(n.Groups) == 0 {
			out = append(out, Finding{
				Severity: Warning, Check: "groups", Where: where, What: fmt.Sprintf("no claim carries the label %s", n.Settings.LabelKey),
				Why: "there is nothing to snapshot together",
				Mend: fmt.Sprintf("label the claims that belong together: kubectl label persistentvolumeclaim NAMES --namespace %s %s=GROUP",
					n.Name, n.Settings.LabelKey),
			})
		}
		if len(n.Groups) > 1 {
			for _, g := range n.Groups {
				if len(g.Claims) == 1 {
					out = append(out, alone(n, g.Name, g.Claims[0].Name))
				}
			}
		}
	}
	return out
}

// alone is about a group of one claim beside others: most often its label is misspelt.
func alone(n Namespace, name, claim string) Finding {
	return Finding{
		Severity: Warning, Check: "groups", Where: fmt.Sprintf("group %q in namespace %q", name, n.Name), What: fmt.Sprintf("claim %q is alone in it", claim),
		Why: "if it belongs to another group, it is snapshotted at another instant than that",
		Mend: fmt.Sprintf("if so, correct its label: kubectl label --overwrite persistentvolumeclaim %s --namespace %s %s=GROUP",
			claim, n.Name, n.Settings.LabelKey),
	}
}

// Annotations are what the rules of admission say of a Namespace's annotations.
func Annotations(name string, annotations map[string]string, labelKey string) []Finding {
	written := policynamespaces.Changed(name, nil, annotations, labelKey)
	written.Stored = true
	decision := policy.Evaluate(policy.Rules, policynamespaces.Request(name, ""), policy.Facts{Namespace: written})
	return FromDecision(decision, fmt.Sprintf("namespace %q", name), "v1")
}

func groupRules(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		for _, g := range n.Groups {
			where := fmt.Sprintf("group %q in namespace %q", g.Name, n.Name)
			found := FromDecision(g.Decision, where, f.Cluster.GroupSnapshots)
			if len(found) == 0 {
				found = []Finding{passed("groups", where, fmt.Sprintf("%d claims on driver %s", len(g.Claims), quote(g.Drivers())))}
			}
			out = append(out, found...)
		}
	}
	return out
}

// whys are why the rules are there, for those that a check may find broken.
var whys = map[string]string{
	"mixed-drivers":                    "one driver takes one group snapshot; snapshot-controller refuses such a group whole",
	"not-csi":                          "one claim that no CSI driver can snapshot fails the snapshot of its whole group",
	"no-default-snapshot-class":        "snapshot-controller looks for the default when a member stands alone, and fails without one",
	"several-default-snapshot-classes": "snapshot-controller refuses to choose between them",
	"no-group-snapshot-class":          "a group snapshot cannot be asked for without a class of the driver",
	"several-group-snapshot-classes":   "which of them would be taken is nobody's decision",
	"unknown-driver":                   "the claim cannot be bound, and so its group cannot be snapshotted",
	"bad-annotation":                   "the default is used in its place, or nothing is done at all",
	"unknown-annotation":               "it looks like a setting and does nothing",
	"no-retention":                     "restore points pile up without end",
	"not-acted-on":                     "it looks like a setting and does nothing yet",
	"second-default-class":             "snapshot-controller refuses to choose between two defaults",
	"match-expressions":                "snapshot-controller ignores them and selects more claims than are meant",
	"selects-nothing":                  "such a group snapshot fails",
	"class-mismatch":                   "such a group snapshot fails",
}

// FromDecision are what rules of admission found, in their words. Manifests in remedies have this version of group snapshots.
func FromDecision(d policy.Decision, where, groupSnapshots string) []Finding {
	var out []Finding
	for _, found := range d.Findings {
		f := Finding{
			Severity: Warning, Check: found.Rule, Where: where, What: found.Reason, Why: whys[found.Rule], Mend: found.Remedy, Command: commandIn(found.Remedy),
		}
		if found.Severity == policy.Denies {
			f.Severity = Failure
		}
		if command := creation(found.Remedy, groupSnapshots); command != "" {
			f.Command, f.Mend = command, found.Remedy+":\n"+command
		}
		out = append(out, f)
	}
	return out
}

// toCreate is a remedy that has no command of its own: a class is missing altogether.
var toCreate = regexp.MustCompile(`create a (VolumeGroupSnapshotClass|VolumeSnapshotClass) of driver "([^"]+)"`)

// creation is the command that makes the classes that a remedy wants; empty where it wants none. They are named by the whole name of the driver,
// and created rather than applied: what is there already, of this or of another driver, must not become theirs.
func creation(remedy, groupSnapshots string) string {
	var manifests []string
	for _, wanted := range toCreate.FindAllStringSubmatch(remedy, -1) {
		kind, driver := wanted[1], wanted[2]
		api, annotations := group.SnapshotAPIGroup+"/v1", fmt.Sprintf("\n  annotations: {%s: \"true\"}", group.DefaultSnapshotClassAnnotation)
		if kind == "VolumeGroupSnapshotClass" {
			api, annotations = group.GroupSnapshotAPIGroup+"/"+groupSnapshots, ""
		}
		manifests = append(manifests, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s%s\ndriver: %s\ndeletionPolicy: Delete\n",
			api, kind, driver, annotations, driver))
	}
	if len(manifests) == 0 {
		return ""
	}
	return "kubectl create --filename - <<'EOF'\n" + strings.Join(manifests, "---\n") + "EOF"
}

// pending are claims of groups that are not bound: a group is snapshotted whole or not at all.
func pending(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		for _, g := range n.Groups {
			for _, c := range g.Claims {
				if c.Status.Phase == corev1.ClaimBound {
					continue
				}
				command := fmt.Sprintf("kubectl describe persistentvolumeclaim %s --namespace %s", c.Name, n.Name)
				out = append(out, Finding{
					Severity: Failure, Check: "unbound-claim", Where: fmt.Sprintf("group %q in namespace %q", g.Name, n.Name),
					What: fmt.Sprintf("claim %q is not bound", c.Name), Why: "a group is snapshotted whole or not at all",
					Mend: "find out why: " + command, Command: command,
				})
			}
		}
	}
	return out
}

// patience is how long a group snapshot may take before it counts as stuck. Those that are not take a second or two.
const patience = time.Minute

// stuck are VolumeGroupSnapshots that fail, or that nobody answers: what their objects say tells who is at fault.
func stuck(f Facts) []Finding {
	var out []Finding
	for _, n := range f.Namespaces {
		for i := range n.Snapshots {
			if finding, is := stuckOne(n, &n.Snapshots[i], f.Now); is {
				out = append(out, finding)
			}
		}
	}
	return out
}

func stuckOne(n Namespace, s *groupsnapshotv1.VolumeGroupSnapshot, now time.Time) (Finding, bool) {
	finding := Finding{
		Severity: Failure, Check: "group-snapshot", Where: fmt.Sprintf("VolumeGroupSnapshot %q in namespace %q", s.Name, n.Name),
		Why: "nothing can be restored from it",
	}
	var content *groupsnapshotv1.VolumeGroupSnapshotContent
	for i := range n.Contents {
		if n.Contents[i].Spec.VolumeGroupSnapshotRef.UID == s.UID {
			content = &n.Contents[i]
		}
	}
	ready := s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false)
	late := now.Sub(s.CreationTimestamp.Time) > patience
	switch {
	case ready:
		return Finding{}, false
	case content != nil && content.Status != nil && content.Status.Error != nil:
		finding.What = "the driver fails: " + ptr.Deref(content.Status.Error.Message, "it gives no reason")
		finding.Mend = fmt.Sprintf("see whether driver %q and its storage take group snapshots, and look at the logs of its csi-snapshotter",
			content.Spec.Driver)
	case s.Status != nil && s.Status.Error != nil:
		finding.What = "snapshot-controller fails: " + ptr.Deref(s.Status.Error.Message, "it gives no reason")
		finding.Mend = "mend what it says; snapshot-controller tries again by itself"
	case !late:
		return Finding{}, false
	case content == nil:
		finding.What = fmt.Sprintf("nobody has answered it for %s", now.Sub(s.CreationTimestamp.Time).Round(time.Second))
		finding.Mend = "start snapshot-controller 8.6 or later, with group snapshots on (--feature-gates=CSIVolumeGroupSnapshot=true before 8.6)"
	default:
		finding.What = fmt.Sprintf("csi-snapshotter of driver %q has not answered it for %s",
			content.Spec.Driver, now.Sub(s.CreationTimestamp.Time).Round(time.Second))
		finding.Mend = "restart csi-snapshotter of that driver: one that was started while the API server was away does without group snapshots until then"
	}
	return finding, true
}
