package outside

import (
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// backend says its name to everyone who connects.
func backend(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func heard(t *testing.T, s *service) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestTheServiceUsesTheReplicasInTurn(t *testing.T) {
	s, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	got := []string{heard(t, s)} // nobody is there yet
	a, b := backend(t, "a"), backend(t, "b")
	s.add(a)
	s.add(b)
	got = append(got, heard(t, s), heard(t, s), heard(t, s))
	s.remove(a)
	got = append(got, heard(t, s), heard(t, s))
	if diff := cmp.Diff([]string{"", "b", "a", "b", "b", "b"}, got); diff != "" {
		t.Errorf("who answered (-want +got):\n%s", diff)
	}
}
