package points

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/changes"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// standing is how a namespace is doing.
type standing struct {
	Namespace string `json:"namespace"`
	Schedule  string `json:"schedule,omitempty"`
	TimeZone  string `json:"timeZone,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
	// Next is when the next scheduled run is due; null where none is.
	Next *time.Time `json:"nextRun"`
	// Last has also, where the run left any, the groups and claims that failed and the claims that were skipped, each with the reason.
	Last *plan.Run `json:"lastRun"`
	// Success is the time of the newest complete restore point of the group, or claim without one, that has the oldest such; null where
	// one has none. Claims that are not bound, or that the last run skipped, do not count.
	Success *time.Time `json:"lastSuccess"`
	Groups  []string   `json:"groups"`
	// Ungrouped are the claims without a group of which runs take a snapshot each.
	Ungrouped  []string `json:"ungroupedClaims"`
	Points     int      `json:"restorePoints"`
	Complete   int      `json:"completeRestorePoints"`
	Violations []string `json:"violations"`
}

// NewStatus is the command status.
func NewStatus(s *session.Session) *cobra.Command {
	var all, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows how a namespace is doing: schedule, runs, restore points, broken rules",
		Long: `Shows for a namespace that is opted in, or for all of them, the schedule, the next and the last run, when every group, and every claim
without one that runs snapshot, had a complete restore point last, the number of groups, of complete and of all restore points, and of broken rules,
which kubectl snapshot-group check names. With --output=wide it has also the number of claims without a group that runs snapshot, of those that the last
run skipped since there was nothing to snapshot of them, and what that run had to tell; --output=json names them, with the reasons.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "of all namespaces that are opted in")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again whenever something has changed")
	out := session.NewOutput(s, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		namespace, c, err := target(cmd.Context(), s, all)
		if err != nil {
			return err
		}
		show := func(ctx context.Context) error { return printStatus(ctx, s, out, scope{c, namespace}) }
		if !watch {
			return session.Explain(show(cmd.Context()))
		}
		return session.Explain(again(cmd.Context(), c, show, standingsOf(namespace)...))
	}
	return cmd
}

// standingsOf is what the status of a namespace, or of all, goes by, but for classes and volumes.
func standingsOf(namespace string) []changes.What {
	var named []client.ListOption
	if namespace != "" {
		named = append(named, client.MatchingFields{metav1.ObjectNameField: namespace})
	}
	return append(snapshotsIn(namespace), changes.What{List: &corev1.NamespaceList{}, Options: named},
		changes.What{List: &corev1.PersistentVolumeClaimList{}, Options: []client.ListOption{client.InNamespace(namespace)}})
}

// scope is what is asked about: a namespace, or all where it is empty.
type scope struct {
	client    client.Reader
	namespace string
}

func printStatus(ctx context.Context, s *session.Session, out *session.Output, of scope) error {
	all, err := gather(ctx, s, of)
	if err != nil {
		return err
	}
	f := session.Found{Kind: "NamespaceStatus", Empty: "No namespace is opted in. To opt one in: kubectl label namespace NAME snapshot-group=enabled"}
	if of.namespace != "" {
		f.Empty = fmt.Sprintf("Namespace %s is not opted in. To opt it in: kubectl label namespace %s snapshot-group=enabled", of.namespace, of.namespace)
	}
	var rows [][]any
	for _, n := range all {
		f.Items = append(f.Items, n)
		f.Names = append(f.Names, "namespace/"+n.Namespace)
		rows = append(rows, n.row(s))
	}
	f.Table = session.TableOf([]session.Column{
		{Name: "Namespace"}, {Name: "Schedule"}, {Name: "Next Run"}, {Name: "Last Run"}, {Name: "Last Success"}, {Name: "Groups"}, {Name: "Points"},
		{Name: "Violations"}, {Name: "Ungrouped", Wide: true}, {Name: "Skipped", Wide: true}, {Name: "Time Zone", Wide: true}, {Name: "Message", Wide: true},
	}, rows)
	f.Tones = map[string]func(string) session.Tone{"Last Run": toneOfRun, "Violations": toneOfCount}
	return out.Print(f)
}

// toneOfRun is that of the cell of a last run, which begins with its outcome.
func toneOfRun(cell string) session.Tone {
	outcome, _, _ := strings.Cut(cell, " ")
	return map[group.Outcome]session.Tone{
		group.Succeeded: session.Good, group.Running: session.Doubtful, group.Failed: session.Bad,
	}[group.Outcome(outcome)]
}

// toneOfCount is that of a count of what should not be.
func toneOfCount(cell string) session.Tone {
	if cell == "0" {
		return session.Good
	}
	return session.Bad
}

func (n standing) row(s *session.Session) []any {
	schedule, next, last, success, message, skipped := dash(n.Schedule), "-", "-", "never", "-", 0
	if n.Suspended {
		schedule += " (suspended)"
	}
	if n.Next != nil {
		next = n.Next.Format(time.RFC3339)
	}
	if n.Last != nil {
		last = fmt.Sprintf("%s (%s ago)", n.Last.Outcome, ageOf(s, n.Last.Time))
		if len(n.Last.Groups) > 0 {
			last += ", only " + strings.Join(n.Last.Groups, ",")
		}
		message, skipped = dash(n.Last.Message), len(n.Last.Skipped)
	}
	if n.Success != nil {
		success = ageOf(s, *n.Success) + " ago"
	}
	return []any{
		n.Namespace, schedule, next, last, success, len(n.Groups), fmt.Sprintf("%d/%d", n.Complete, n.Points), len(n.Violations),
		len(n.Ungrouped), skipped, dash(n.TimeZone), message,
	}
}

func gather(ctx context.Context, s *session.Session, of scope) ([]standing, error) {
	o, err := read(ctx, of.client, of.namespace)
	if err != nil {
		return nil, err
	}
	var f groups.Found
	if f.Classes, err = cluster.Classes(ctx, of.client); err != nil {
		return nil, err
	}
	if f.Volumes, err = groups.Volumes(ctx, of.client); err != nil {
		return nil, err
	}
	if f.Claims, err = groups.Claims(ctx, of.client, of.namespace); err != nil {
		return nil, err
	}
	points := o.list()
	var out []standing
	for _, ns := range o.namespaces {
		if ns.Labels[group.OptInLabel] != group.OptInValue {
			continue
		}
		n := statusIn(ns, f, s)
		n.count(points)
		out = append(out, n)
	}
	return out, nil
}

// statusIn is what a Namespace and its groups say; the restore points are counted besides.
func statusIn(ns corev1.Namespace, f groups.Found, s *session.Session) standing {
	settings, problems := group.ParseSettings(ns.Annotations, s.LabelKey)
	n := standing{
		Namespace: ns.Name, Schedule: settings.Schedule.Spec, TimeZone: settings.Schedule.Zone, Suspended: settings.Suspend,
		Groups: []string{}, Ungrouped: []string{}, Violations: []string{},
	}
	if !settings.Schedule.IsZero() && !settings.Suspend {
		offset := settings.Offset(ns.UID)
		n.Next = ptr.To(settings.Schedule.Next(s.Clock.Now().Add(-offset)).Add(offset))
	}
	last, err := plan.ParseRun(ns.Annotations)
	switch {
	case err != nil:
		n.Violations = append(n.Violations, err.Error()) // of this namespace; the others have a status all the same
	case last.ID != "":
		n.Last = &last
	}
	for _, p := range problems {
		n.Violations = append(n.Violations, p.String())
	}
	f.Namespace, f.Settings = ns.Name, settings
	for _, g := range f.Groups() {
		n.Groups = append(n.Groups, g.Name)
		for _, v := range g.Decision.Of(policy.Denies) {
			n.Violations = append(n.Violations, fmt.Sprintf("group %q: %s", g.Name, v.String()))
		}
	}
	n.alone(f)
	return n
}

// alone finds the claims without a group that runs snapshot, each by itself.
func (n *standing) alone(f groups.Found) {
	if f.Settings.Ungrouped != group.SnapshotUngrouped {
		return
	}
	for _, c := range f.Claims {
		skipped := n.Last != nil && n.Last.Skipped[c.Name] != ""
		if c.Namespace == n.Namespace && c.Labels[f.Settings.LabelKey] == "" && c.Status.Phase == corev1.ClaimBound && !skipped {
			n.Ungrouped = append(n.Ungrouped, c.Name)
		}
	}
}

// count counts the restore points of the namespace, and finds when every group and claim without one had a complete one last.
func (n *standing) count(points []listed) {
	newest := map[unit]time.Time{}
	for _, p := range points {
		if p.Namespace != n.Namespace {
			continue
		}
		n.Points++
		if p.State != complete {
			continue
		}
		n.Complete++
		if of := (unit{p.Group, p.Claim}); p.made != nil && p.Time.After(newest[of]) {
			newest[of] = p.Time
		}
	}
	var wanted []unit
	for _, g := range n.Groups {
		wanted = append(wanted, unit{group: group.LabelValue(g)})
	}
	for _, c := range n.Ungrouped {
		wanted = append(wanted, unit{claim: c})
	}
	for _, u := range wanted {
		at, found := newest[u]
		if !found {
			n.Success = nil
			return
		}
		if n.Success == nil || at.Before(*n.Success) {
			n.Success = &at
		}
	}
}

// unit is what has restore points of its own: a group, or a claim without one.
type unit struct{ group, claim string }
