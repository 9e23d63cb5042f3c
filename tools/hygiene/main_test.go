package main

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
)

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		makefile string
		files    []string
		want     []string
	}{
		"targets with help pass": {makefile: "##@ Check\n.PHONY: test\ntest: deps ## All of it.\n\tgo test: ./...\n"},
		"a target without help fails": {
			makefile: "test: deps\n\ttrue\nbuild: ## \n",
			want: []string{
				`Makefile: target "test" has no help line: add ## and what it is for`,
				`Makefile: target "build" has no help line: add ## and what it is for`,
			},
		},
		"variables and files are no targets": {makefile: "SHELL := bash\nname:=x\nbin/helm: go.mod\n$(LINT): go.mod\n.DELETE_ON_ERROR:\n"},
		"ten files and their tests are a package": {
			files: append(goNames("pkg/a", 10), "pkg/a/a_test.go", "pkg/a/doc.md", "pkg/a/b/c.go"),
		},
		"eleven files are too many": {
			files: slices.Concat(goNames("pkg/b", 11), goNames("pkg/a", 12)),
			want: []string{
				"pkg/a: 12 Go files, at most 10: split the package",
				"pkg/b: 11 Go files, at most 10: split the package",
			},
		},
		"what git ignores is not looked at": {files: slices.Concat(goNames(".cluster/a", 11), goNames("bin/a", 11), goNames("dist", 11))},
	} {
		t.Run(name, func(t *testing.T) {
			checkout := fstest.MapFS{"Makefile": {Data: []byte(tc.makefile)}}
			for _, f := range tc.files {
				checkout[f] = &fstest.MapFile{}
			}
			got, err := check(checkout)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("findings\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
}

func goNames(folder string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s/f%d.go", folder, i)
	}
	return names
}

func TestACheckoutWithoutAMakefileCannotBeChecked(t *testing.T) {
	_, err := check(fstest.MapFS{})
	if want := "read Makefile: open Makefile: file does not exist"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
