package docs

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestCommandsOfAPage(t *testing.T) {
	for name, tc := range map[string]struct {
		page string
		want []string
		err  string
	}{
		"an indented block":                         {"text\n\n    kubectl get pods\n    helm list\n\nmore\n", []string{"p:3: kubectl get pods", "p:4: helm list"}, ""},
		"a block in a list":                         {"- text:\n\n      make up\n", []string{"p:3: make up"}, ""},
		"a fenced block":                            {"```\nkubectl get pods\n```\n", []string{"p:2: kubectl get pods"}, ""},
		"a text that goes on with deep indentation": {"text\n    kubectl get pods\n", nil, ""},
		"a command that goes on":                    {"\n    helm install \\\n      --wait\n    kubectl get pods |\n      wc\n", []string{"p:2: helm install \\\n--wait", "p:4: kubectl get pods |\nwc"}, ""},
		"comments and empty lines between":          {"\n    # first\n    make up\n\n    make down\n", []string{"p:3: make up", "p:5: make down"}, ""},
		"a remark behind it is none of it":          {"\n    make up    # first\n    kubectl get '#'\n", []string{"p:2: make up", "p:3: kubectl get '#'"}, ""},
		"what came back is no command":              {"\n    $ kubectl get pods\n    kubectl says no\n", []string{"p:2: kubectl get pods"}, ""},
		"a manifest has none":                       {"\n    kind: Pod\n    spec: {}\n", nil, ""},
		"how a command is called is none":           {"```\nkubectl snapshot-group run [flags]\n```\n", nil, ""},
		"a sentence has some, and mentions others":  {"a `kubectl get pods --all`, `kubectl get pods`, `make x`\n\n    make y\n\n`make z`", []string{"p:1: kubectl get pods --all", "p:1: make x", "p:3: make y", "p:5: make z"}, ""},
		"an unknown program is told":                {"\n    velero get --all\n", nil, `p:2: "velero get --all" begins with no program that is known`},
		"also among others":                         {"\n    make up\n    velero get\n", nil, `p:3: "velero get" begins with no program that is known`},
		"and one that was prompted for":             {"\n    $ velero get\n", nil, `p:2: "velero get" begins with no program that is known`},
		"a command among words is told":             {"\n    some words\n    make up\n", nil, `p:3: "make up" is a command among what is none`},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := Commands("p", tc.page)
			var got []string
			for _, c := range found {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

func TestPagesComeInTheOrderOfTheContents(t *testing.T) {
	repository := fstest.MapFS{
		"README.md": {}, "docs/install.md": {}, "docs/zoo.md": {}, "docs/uninstall.md": {}, "docs/runbooks/A.md": {}, chartPage: {},
		"docs/README.md": {Data: []byte("[z](zoo.md) [c](../charts/snapshot-group/README.md) [u](uninstall.md) [i](install.md) [z](zoo.md)")},
	}
	got, err := Pages(repository)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md", "docs/README.md", "docs/zoo.md", "docs/install.md", "docs/runbooks/A.md", uninstallPage, chartPage}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	repository["docs/lost.md"] = &fstest.MapFile{}
	if _, err := Pages(repository); err == nil || err.Error() != "docs/README.md does not list docs/lost.md" {
		t.Errorf("error %v", err)
	}
}
