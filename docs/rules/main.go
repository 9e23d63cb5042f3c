// Command rules writes the table of admission's rules into docs/admission.md, from the rules themselves.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: rules FILE: prints the file with the table of rules as it should be")
		os.Exit(2)
	}
	page, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	}
	written, err := write(string(page), policy.Rules)
	if err != nil {
		fmt.Fprintf(os.Stderr, "rules: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Print(written)
}

// The table stands between these lines.
const (
	begin = "<!-- rules: from pkg/admit/policy, by make docs -->\n"
	end   = "<!-- end of rules -->\n"
)

// write replaces the table of a page. The error says that the page has no place for it, or not a section for each rule.
func write(page string, rules []policy.Rule) (string, error) {
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", errors.New("the lines that enclose the table are missing")
	}
	for _, r := range rules {
		if !strings.Contains(after, "\n### "+r.ID+"\n") {
			return "", fmt.Errorf("no section explains rule %s", r.ID)
		}
	}
	return before + begin + table(rules) + end + after, nil
}

func table(rules []policy.Rule) string {
	var b strings.Builder
	b.WriteString("\n| rule | webhook | when | verdict |\n|---|---|---|---|\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [`%s`](#%s) | `%s` | %s | %s |\n", r.ID, r.ID, r.Webhook, r.When, r.Does)
	}
	b.WriteString("\n")
	return b.String()
}
