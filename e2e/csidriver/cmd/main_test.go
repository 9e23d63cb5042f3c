package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/server"
)

func TestFlagsThatCannotWorkAreOneClearLine(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string // of a command line that works; "" leaves the flag out
		want   string
	}{
		"no name":                  {map[string]string{"name": ""}, "--name is missing"},
		"no endpoint":              {map[string]string{"endpoint": ""}, "--endpoint is missing"},
		"no control":               {map[string]string{"control": ""}, "--control is missing"},
		"no state":                 {map[string]string{"state": ""}, "--state is missing"},
		"a flag that is not known": {map[string]string{"colour": "red"}, "flag provided but not defined: -colour"},
		"a name that is none": {map[string]string{"name": "CSI A"},
			`--name "CSI A" is no driver name: it must be a lower-case domain name of at most 63 characters`},
		"a name that is too long": {map[string]string{"name": strings.Repeat("a", 64)},
			`--name "` + strings.Repeat("a", 64) + `" is no driver name: it must be a lower-case domain name of at most 63 characters`},
		"a node that is too long": {map[string]string{"node": strings.Repeat("n", 193)}, "--node has 193 bytes, at most 192 are allowed"},
		"a kubelet without a node": {map[string]string{"registration": "r.sock"},
			"--registration needs --node: a kubelet asks for the node's ID"},
		"a socket's path that is too long": {map[string]string{"control": strings.Repeat("c", 108)},
			"--control is a path of 108 bytes, a socket's may have at most 107"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(arguments(tc.change), nil)
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	_, err := parse(append(arguments(nil), "up", "now"), nil)
	if diff := cmp.Diff(`unexpected argument "up now"`, fmt.Sprint(err)); diff != "" {
		t.Errorf("error of arguments (-want +got):\n%s", diff)
	}
}

func TestFlagsAreRead(t *testing.T) {
	got, err := parse(arguments(map[string]string{"node": "node-1", "registration": "r.sock"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := server.Config{
		Name: "csi-a.test", Endpoint: "csi.sock", Control: "control.sock", State: "state", Node: "node-1", Registration: "r.sock",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var help strings.Builder
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error is %v, want %v", err, flag.ErrHelp)
	}
	for _, name := range []string{"name", "endpoint", "control", "state", "node", "registration"} {
		if !strings.Contains(help.String(), "-"+name+" ") {
			t.Errorf("help does not name --%s:\n%s", name, help.String())
		}
	}
}

// arguments is a command line that works, with changes.
func arguments(change map[string]string) []string {
	values := map[string]string{"name": "csi-a.test", "endpoint": "csi.sock", "control": "control.sock", "state": "state"}
	maps.Copy(values, change)
	var args []string
	for name, value := range values {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	return args
}
