package loopback_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/loopback"
)

func TestAddressesDifferAndCanBeListenedOn(t *testing.T) {
	if os.Getenv("LOOPBACK_SAY") != "" {
		_, _ = os.Stdout.WriteString(loopback.Address())
		os.Exit(0)
	}
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+t.Name())
	other.Env = append(os.Environ(), "LOOPBACK_SAY=1")
	said, err := other.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, address := range []string{loopback.Address(), loopback.Address(), strings.TrimSpace(string(said))} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err) // taken, if two are the same
		}
		t.Cleanup(func() { l.Close() })
	}
}
