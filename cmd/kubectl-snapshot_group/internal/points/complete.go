package points

import (
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Complete completes the names of restore points, the newest first, with what each is of.
func Complete(s *session.Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		o, err := read(cmd.Context(), c, namespace)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []cobra.Completion
		for _, p := range slices.Backward(o.list()) {
			if !slices.Contains(args, p.Name) {
				out = append(out, cobra.CompletionWithDesc(p.Name, groupOf(p)+", "+string(p.State)))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// CompleteNamespaces completes the names of namespaces.
func CompleteNamespaces(s *session.Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := s.Client(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var list corev1.NamespaceList
		if err := c.List(cmd.Context(), &list); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []cobra.Completion
		for i := range list.Items {
			out = append(out, list.Items[i].Name)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteGroups completes the names of the groups of a namespace.
func CompleteGroups(s *session.Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ns corev1.Namespace
		if err := c.Get(cmd.Context(), client.ObjectKey{Name: namespace}, &ns); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		settings, _ := group.ParseSettings(ns.Annotations, s.LabelKey)
		claims, err := groups.Claims(cmd.Context(), c, namespace)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return groups.Names(claims, settings.LabelKey), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteMembers completes the names of the claims that the restore point of the command's first argument has members of; of claims that
// are there where it is not listed, such as one VolumeSnapshot of a group.
func CompleteMembers(s *session.Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return CompleteClaims(s)(cmd, args, begun)
		}
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		found, err := find(cmd.Context(), c, namespace, args[:1])
		if err != nil {
			return CompleteClaims(s)(cmd, args, begun)
		}
		return found[0].Claims, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteClaims completes the names of claims, with the groups that they are in.
func CompleteClaims(s *session.Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		claims, err := groups.Claims(cmd.Context(), c, namespace)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []cobra.Completion
		for _, claim := range claims {
			out = append(out, cobra.CompletionWithDesc(claim.Name, dash(claim.Labels[s.LabelKey])))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
