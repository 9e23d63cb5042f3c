package pods_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// haste is how many times faster everything goes than Prometheus goes by itself: it scrapes and evaluates each second instead of each minute, and of the
// alerts each `for` and range is divided by it. What they compare is as users have it.
const haste = 60

const (
	alertmanagerAddress = "127.0.0.1:9093"
	prometheusAddress   = "127.0.0.1:9090"
)

// monitoring is Debian's Prometheus and Alertmanager, in the cluster's network.
type monitoring struct{ http *http.Client }

// monitor starts them, with the alerts that the chart renders and with what docs/alerts.md says to scrape.
func monitor(t *testing.T, s site) monitoring {
	t.Helper()
	dir := filepath.Join(s.cluster.Dir(), "monitoring")
	suite.Must(t, os.Mkdir(dir, 0o755))
	docs, err := os.ReadFile(filepath.Join(s.root, "docs/alerts.md"))
	suite.Must(t, err)
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\n"+
		"alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\n", alertmanagerAddress) + block(t, string(docs), "scrape_configs:")
	for name, text := range map[string]string{
		"resolv.conf": resolvConf, "prometheus.yaml": config, "rules.yaml": hasten(t, rendered(t, s)),
		"alertmanager.yaml": "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
	} {
		suite.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	s.serveDNS(t)
	s.daemon(t, dir, "prometheus-alertmanager", "--config.file=alertmanager.yaml", "--storage.path=alertmanager",
		"--web.listen-address="+alertmanagerAddress, "--cluster.listen-address=")
	s.daemon(t, dir, "prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=prometheus", "--web.listen-address="+prometheusAddress)
	pid := s.supervisor(t)
	return monitoring{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			return conn, inside(pid, func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return err
			})
		},
	}}}
}

// daemon starts a program of Debian in dir, in the cluster's network and with its DNS, whose end is also the program's.
func (s site) daemon(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s, of Debian, is not here, and without it no alert is seen to arrive: make deps installs it (%v)", program, err)
	}
	log, err := os.Create(filepath.Join(dir, program+".log"))
	suite.Must(t, err)
	t.Cleanup(func() {
		suite.Must(t, log.Close())
		if said, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s said (%v):\n%s", program, err, said)
		}
	})
	enter := []string{
		"--target=" + s.supervisor(t), "--net", "--pid", "--", "unshare", "--mount", "sh", "-c",
		`mount --bind resolv.conf /etc/resolv.conf && exec "$@"`, "sh", program,
	}
	cmd := exec.CommandContext(t.Context(), "nsenter", append(enter, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	suite.Must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // it was killed, and its log has the rest
}

// rendered are the groups of the PrometheusRule that the chart renders, as a rule file.
func rendered(t *testing.T, s site) string {
	t.Helper()
	var rule struct {
		Spec map[string]any `json:"spec"`
	}
	text := s.ok(t, "helm template snapshot-group charts/snapshot-group --show-only templates/prometheusrule.yaml --set prometheusRule.enabled=true")
	suite.Must(t, yaml.Unmarshal([]byte(text), &rule))
	out, err := yaml.Marshal(rule.Spec)
	suite.Must(t, err)
	return string(out)
}

var (
	waits    = regexp.MustCompile(`(?m)(^ *for: )(\w+)$`)
	interval = regexp.MustCompile(`(\[)(\w+)\]`)
)

// hasten divides the times of rules by haste.
func hasten(t *testing.T, rules string) string {
	t.Helper()
	for _, times := range []*regexp.Regexp{waits, interval} {
		rules = times.ReplaceAllStringFunc(rules, func(found string) string {
			value := times.FindStringSubmatch(found)[2]
			d, err := time.ParseDuration(value)
			suite.Must(t, err)
			return strings.Replace(found, value, fmt.Sprintf("%ds", int((d/haste).Seconds())), 1)
		})
	}
	return rules
}

func TestHastenDividesEveryTimeAndNothingElse(t *testing.T) {
	got := hasten(t, "- alert: A\n  expr: rate(a[10m]) > 300\n  for: 1h\n  annotations: {summary: for 5m}\n")
	want := "- alert: A\n  expr: rate(a[10s]) > 300\n  for: 60s\n  annotations: {summary: for 5m}\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// block is the indented text of a page that begins with a line.
func block(t *testing.T, page, begin string) string {
	t.Helper()
	const indent = "    "
	var out []string
	for line := range strings.Lines(page) {
		text, in := strings.CutPrefix(line, indent)
		if in && (out != nil || strings.TrimSpace(text) == begin) {
			out = append(out, text)
		} else if out != nil {
			break
		}
	}
	if out == nil {
		t.Fatalf("the page has no block that begins with %s", begin)
	}
	return strings.Join(out, "")
}

// ask reads JSON from an address in the cluster's network.
func (m monitoring) ask(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, http.NoBody)
	if err != nil {
		return err
	}
	res, err := m.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return json.Unmarshal(body, into)
}

// become waits until the alerts of Alertmanager are these, each as NAME{LABELS}: SUMMARY.
func (m monitoring) become(t *testing.T, within time.Duration, want ...string) {
	t.Helper()
	suite.Within(t, within, "the alerts of Alertmanager", func(ctx context.Context) error {
		var all []struct {
			Labels, Annotations map[string]string
		}
		if err := m.ask(ctx, alertmanagerAddress+"/api/v2/alerts", &all); err != nil {
			return err
		}
		var got []string
		for _, a := range all {
			var labels []string
			for name, value := range a.Labels {
				if name != "alertname" {
					labels = append(labels, fmt.Sprintf("%s=%q", name, value))
				}
			}
			slices.Sort(labels)
			got = append(got, a.Labels["alertname"]+"{"+strings.Join(labels, ",")+"}: "+a.Annotations["summary"])
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

// gives waits until a query gives at least one series that has a value.
func (m monitoring) gives(t *testing.T, what, query string) {
	t.Helper()
	suite.Eventually(t, what, func(ctx context.Context) error {
		var reply struct {
			Data struct {
				Result []struct {
					Value [2]any // a time and a number as text
				}
			}
		}
		if err := m.ask(ctx, prometheusAddress+"/api/v1/query?query="+url.QueryEscape(query), &reply); err != nil {
			return err
		}
		for _, r := range reply.Data.Result {
			if r.Value[1] != "NaN" {
				return nil
			}
		}
		return fmt.Errorf("no series of %s has a value", query)
	})
}
