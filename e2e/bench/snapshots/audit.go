package snapshots

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// agent is how the loop's requests begin to call themselves.
const agent = "snapshot-group-snapshotter/"

// audit reads what the API server's audit log, which has a line for each write and none for Leases, says from a moment on.
type audit struct {
	site *site
	file *os.File
}

func (s *site) openAudit() (*audit, error) {
	file, err := os.Open(s.cluster.AuditLog())
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		_ = file.Close() // read only
		return nil, fmt.Errorf("find the end of the audit log: %w", err)
	}
	return &audit{site: s, file: file}, nil
}

func (a *audit) close() { _ = a.file.Close() } // read only

// writes is how many writes the loop has made since the log was opened. The log is written after the answers, in order, so a
// write of our own marks its end.
func (a *audit) writes(ctx context.Context) (int, error) {
	mark := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "audited-"}}
	if err := a.site.api.Create(ctx, mark, client.DryRunAll); err != nil {
		return 0, fmt.Errorf("mark the audit log: %w", err)
	}
	lines := bufio.NewReader(a.file)
	count, rest := 0, ""
	err := a.site.await(ctx, func() error {
		for {
			line, err := lines.ReadString('\n')
			rest += line
			if err != nil {
				return errors.New("the mark is not in the audit log yet")
			}
			var e event
			if err := json.Unmarshal([]byte(rest), &e); err != nil {
				return fmt.Errorf("read the audit log: %w", err)
			}
			rest = ""
			if strings.HasPrefix(e.UserAgent, agent) {
				count++
			}
			if e.Object.Resource == "configmaps" && e.Object.Namespace == mark.Namespace && strings.Contains(e.URI, "dryRun=All") {
				return nil
			}
		}
	})
	return count, err
}

// event is what is read of an audit.k8s.io/v1 Event.
type event struct {
	UserAgent string `json:"userAgent"`
	URI       string `json:"requestURI"`
	Object    struct {
		Resource  string `json:"resource"`
		Namespace string `json:"namespace"`
	} `json:"objectRef"`
}
