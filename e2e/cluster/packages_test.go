package cluster

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPackagesAreMissingWhileTheirFileIs(t *testing.T) {
	packages := []debianPackage{{"here", os.Args[0]}, {"gone", "/no/such/file"}}
	if diff := cmp.Diff([]string{"gone"}, missing(packages)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestWithoutRootAMissingPackageIsNamedWithTheCommandThatInstallsIt(t *testing.T) {
	if os.Geteuid() != 0 {
		err := install(t.Context(), t.Output(), []string{"runc"})
		want := "the node tier lacks Debian packages, and installing them takes root: " +
			"run: sudo apt-get install --yes --no-install-recommends runc"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}
