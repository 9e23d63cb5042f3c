package admission_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// auditEvent is what matters here of an event of the API server's audit log.
type auditEvent struct {
	ObjectRef struct {
		Namespace, Name, Resource string
	}
	Annotations map[string]string
}

// auditAnnotations are those that our webhooks made on the requests for a claim.
func auditAnnotations(log, namespace, claim string) (map[string]string, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer f.Close()
	ours := map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if e.ObjectRef.Resource != "persistentvolumeclaims" || e.ObjectRef.Namespace != namespace || e.ObjectRef.Name != claim {
			continue
		}
		for key, value := range e.Annotations {
			if strings.Contains(key, ".snapshot-group.admission/") {
				ours[key] = value
			}
		}
	}
	return ours, lines.Err()
}
