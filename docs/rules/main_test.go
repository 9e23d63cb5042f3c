package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestWrite(t *testing.T) {
	rules := []policy.Rule{{ID: "a-b", Webhook: rule.Claims, When: "it is", Does: "denies"}}
	const section = "\n### a-b\n"
	const written = "x\n" + begin + "\n| rule | webhook | when | verdict |\n|---|---|---|---|\n| [`a-b`](#a-b) | `claims` | it is | denies |\n\n" + end + section
	for name, tc := range map[string]struct{ page, want, err string }{
		"the table is replaced":                 {"x\n" + begin + "old\n" + end + section, written, ""},
		"what is right stays":                   {written, written, ""},
		"a page without a place for it is none": {"x\n" + begin + section, "", "the lines that enclose the table are missing"},
		"each rule is explained":                {begin + end, "", "no section explains rule a-b"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := write(tc.page, rules)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
			if (err == nil && tc.err != "") || (err != nil && err.Error() != tc.err) {
				t.Errorf("error = %v, want %q", err, tc.err)
			}
		})
	}
}
