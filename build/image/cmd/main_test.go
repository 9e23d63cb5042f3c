package main

import (
	"errors"
	"flag"
	"io"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptionsNotGivenFollowFromTheVersion(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want options
	}{
		"no flags": {nil,
			options{"dev", "snapshot-group:dev", runtime.GOARCH, "dist/snapshot-group-dev-" + runtime.GOARCH + ".tar"}},
		"a version and an architecture": {[]string{"--version", "1.2.3", "--arch", "arm64"},
			options{"1.2.3", "snapshot-group:1.2.3", "arm64", "dist/snapshot-group-1.2.3-arm64.tar"}},
		"everything": {[]string{"--version=1", "--ref=mine:2", "--arch=amd64", "--output=x.tar"},
			options{"1", "mine:2", "amd64", "x.tar"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(tc.args, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an argument":     {[]string{"dist/x.tar"}, `unexpected argument "dist/x.tar": every option is a flag, see --help`},
		"an unknown flag": {[]string{"--tag", "x"}, "flag provided but not defined: -tag"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(tc.args, io.Discard); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v of --help, want %v", err, flag.ErrHelp)
	}
}

func TestAnUnknownArchitectureFailsTheBuild(t *testing.T) {
	err := compile(t.Context(), options{version: "1", arch: "vax"}, t.TempDir(), io.Discard)
	if want := "build for linux/vax: exit status 2"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
