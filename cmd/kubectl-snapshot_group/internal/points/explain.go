package points

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// explained is all about one claim.
type explained struct {
	Namespace  string       `json:"namespace"`
	Claim      string       `json:"claim"`
	Group      string       `json:"group,omitempty"`
	LabelKey   string       `json:"labelKey"`
	Others     []string     `json:"otherClaims,omitempty"`
	Driver     group.Driver `json:"driver"`
	GroupClass group.Choice `json:"volumeGroupSnapshotClass"`
	Class      group.Choice `json:"volumeSnapshotClass"`
	Rules      []verdict    `json:"rules"`
	Points     []held       `json:"restorePoints"`
}

// verdict is what one rule says of the claim's group.
type verdict struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Reason   string `json:"reason,omitempty"`
}

// held is a restore point that holds the claim.
type held struct {
	Name  string `json:"name"`
	State state  `json:"state"`
}

// NewExplain is the command explain.
func NewExplain(s *session.Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain CLAIM",
		Short: "Tells all about a claim: group, driver, classes, rules, restore points",
		Long: `Tells which group a claim is in, which driver it is on and how that was found out, which classes its snapshots are taken by and how they
were chosen, what each rule of admission says of its group as it stands, and which restore points hold it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one claim; kubectl get persistentvolumeclaims shows them")
			}
			return nil
		},
		ValidArgsFunction: CompleteClaims(s),
	}
	out := session.NewOutput(s, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return err
		}
		e, err := explain(cmd.Context(), s, explainOf{c, namespace, args[0]})
		if err != nil {
			return session.Explain(err)
		}
		if out.Human() {
			e.print(s)
			return nil
		}
		return out.Print(session.Found{Kind: "ClaimExplanation", Items: []any{e}, Names: []string{"persistentvolumeclaim/" + e.Claim}})
	}
	return cmd
}

// explainOf is the claim that is asked about.
type explainOf struct {
	client           client.Reader
	namespace, claim string
}

func explain(ctx context.Context, s *session.Session, of explainOf) (explained, error) {
	e := explained{Namespace: of.namespace, Claim: of.claim, Rules: []verdict{}, Points: []held{}}
	o, err := read(ctx, of.client, of.namespace)
	if err != nil {
		return e, err
	}
	f := groups.Found{Namespace: of.namespace}
	f.Settings, _ = group.ParseSettings(o.namespaces[0].Annotations, s.LabelKey)
	if f.Classes, err = cluster.Classes(ctx, of.client); err != nil {
		return e, err
	}
	if f.Volumes, err = groups.Volumes(ctx, of.client); err != nil {
		return e, err
	}
	if f.Claims, err = groups.Claims(ctx, of.client, of.namespace); err != nil {
		return e, err
	}
	i := slices.IndexFunc(f.Claims, func(c *corev1.PersistentVolumeClaim) bool { return c.Name == of.claim })
	if i < 0 {
		return e, fmt.Errorf("namespace %q has no claim %q: kubectl get persistentvolumeclaims --namespace %s shows those that there are",
			of.namespace, of.claim, of.namespace)
	}
	e.judge(f, f.Claims[i])
	for _, p := range slices.Backward(o.list()) {
		if slices.Contains(p.Claims, of.claim) {
			e.Points = append(e.Points, held{p.Name, p.State})
		}
	}
	return e, nil
}

// judge adds what follows from the claim and the rest of its group.
func (e *explained) judge(f groups.Found, claim *corev1.PersistentVolumeClaim) {
	e.LabelKey, e.Group, e.Driver = f.Settings.LabelKey, claim.Labels[f.Settings.LabelKey], f.Driver(claim)
	named := []group.Named{
		group.NamedByClaim(claim.Name, group.VeleroClaimSnapshotClassAnnotation, claim.Annotations),
		group.NamedByNamespace(group.SnapshotClassAnnotation, f.Settings.SnapshotClass),
	}
	e.Class = group.ChooseSnapshotClass(e.Driver.Name, named, f.Classes.Snapshot)
	for _, g := range f.Groups() {
		if g.Name != e.Group {
			continue
		}
		e.GroupClass = g.Facts.ChooseGroupSnapshotClass(e.Driver.Name)
		for _, c := range g.Claims {
			if c.Name != claim.Name {
				e.Others = append(e.Others, c.Name)
			}
		}
		for _, r := range policy.Rules {
			if r.Webhook != rule.Claims {
				continue
			}
			v := verdict{Rule: r.ID, Severity: "ok"}
			for _, found := range g.Decision.Findings {
				if found.Rule == r.ID {
					v.Severity, v.Reason = string(found.Severity), found.Advice()
				}
			}
			e.Rules = append(e.Rules, v)
		}
	}
}

func (e explained) print(s *session.Session) {
	line := func(what, value string) { fmt.Fprintf(s.Out, "%-26s%s\n", what+":", value) }
	line("Claim", fmt.Sprintf("%s in namespace %s", e.Claim, e.Namespace))
	switch {
	case e.Group == "":
		line("Group", "none: it has no label "+e.LabelKey)
	case len(e.Others) == 0:
		line("Group", e.Group+", alone")
	default:
		line("Group", e.Group+", with "+strings.Join(e.Others, ", "))
	}
	switch {
	case e.Driver.NotCSI != "":
		line("Driver", "not CSI: "+e.Driver.NotCSI+", by "+e.Driver.From)
	case e.Driver.Name != "":
		line("Driver", e.Driver.Name+", by "+e.Driver.From)
	default:
		line("Driver", "unknown: "+e.Driver.Unknown)
	}
	if e.Group != "" {
		line("VolumeGroupSnapshotClass", choice(e.GroupClass))
	}
	line("VolumeSnapshotClass", choice(e.Class))
	for _, v := range e.Rules {
		said := v.Severity
		if v.Reason != "" {
			said += ": " + v.Reason
		}
		line("Rule", v.Rule+": "+said)
	}
	if len(e.Points) == 0 {
		line("Restore points", "none")
	}
	for _, p := range e.Points {
		line("Restore point", fmt.Sprintf("%s, %s", p.Name, p.State))
	}
}

// choice is a class and how it was chosen.
func choice(c group.Choice) string {
	switch {
	case c.Name != "":
		return c.Name + ", as " + c.How
	case len(c.Tied) > 0:
		return "none is singled out of " + strings.Join(c.Tied, ", ")
	default:
		return "the driver has none"
	}
}
