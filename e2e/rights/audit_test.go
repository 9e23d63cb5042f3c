package rights_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusal is a request that the API server refused for want of a right.
type refusal struct{ account, right string }

// refusals reads lines of the audit log, one event each.
func refusals(log []byte) ([]refusal, error) {
	var out []refusal
	for line := range bytes.Lines(log) {
		var e struct {
			User        struct{ Username string }
			Verb        string
			Annotations map[string]string
			ObjectRef   struct{ Resource, Subresource, APIGroup string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if e.Annotations["authorization.k8s.io/decision"] == "forbid" {
			account := e.User.Username[strings.LastIndex(e.User.Username, ":")+1:]
			out = append(out, refusal{account, right(e.Verb, e.ObjectRef.Resource, e.ObjectRef.Subresource, e.ObjectRef.APIGroup)})
		}
	}
	return out, nil
}

// auditLog is the API server's, of one event a line.
type auditLog struct {
	path string

	mu   sync.Mutex
	read int64 // bytes
	seen []refusal
}

// refusals are all that are in the log so far, in order.
func (l *auditLog) refusals() ([]refusal, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	more, err := io.ReadAll(io.NewSectionReader(log, l.read, math.MaxInt64-l.read))
	if err != nil {
		return nil, err
	}
	more = more[:bytes.LastIndexByte(more, '\n')+1] // the last line may be half written
	seen, err := refusals(more)
	if err != nil {
		return nil, err
	}
	l.read, l.seen = l.read+int64(len(more)), append(l.seen, seen...)
	return slices.Clone(l.seen), nil
}

func TestTheAuditLogIsReadAsItIsWritten(t *testing.T) {
	const log = `{"user":{"username":"system:serviceaccount:snapshot-group:webhook"},"verb":"list","objectRef":{"resource":"pods"},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"user":{"username":"system:serviceaccount:snapshot-group:snapshotter"},"verb":"patch","objectRef":{"resource":"volumesnapshots","subresource":"status","apiGroup":"snapshot.storage.k8s.io"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"user":{"username":"system:serviceaccount:snapshot-group:webhook"},"verb":"get","requestURI":"/api","responseStatus":{"code":200}}
`
	l := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	want := []refusal{{"snapshotter", "patch volumesnapshots.snapshot.storage.k8s.io/status"}}
	for written := range len(log) { // as if it were read while it is written
		must(t, os.WriteFile(l.path, []byte(log[:written+1]), 0o600))
		_, err := l.refusals()
		must(t, err)
	}
	got, err := l.refusals()
	must(t, err)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(refusal{})); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if _, err := refusals([]byte("no JSON\n")); err == nil {
		t.Error("what is no audit log was read as one")
	}
}
