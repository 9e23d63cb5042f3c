package trust

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

func TestUntil(t *testing.T) {
	const host = "webhook.sg.svc"
	day := certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day)
	end := noon.Add(-time.Hour + certstest.Day)
	renewed := day.Renewed(t, certstest.Day+time.Hour)
	for name, tc := range map[string]struct {
		roots []byte
		pair  certstest.Pair
		want  time.Time
	}{
		"until it expires itself":        {day.PEM(), day.IssueUntil(t, noon.Add(time.Hour), host), noon.Add(time.Hour)},
		"until its authority does":       {day.PEM(), day.IssueUntil(t, end.Add(time.Hour), host), end},
		"until one between the two does": {renewed.PEM(), day.Intermediate(t).IssueUntil(t, end.Add(time.Hour), host), end},
		"until the last does of several that it is believed by": {
			append(day.PEM(), renewed.PEM()...), day.IssueUntil(t, end.Add(2*time.Hour), host), end.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Caller{Roots: tc.roots, Host: host}.Until(tc.pair.TLS(t), noon)
			if err != nil || !got.Equal(tc.want) {
				t.Errorf("until %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestBelieves(t *testing.T) {
	const host = "webhook.sg.svc"
	ca, stranger := certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day), certstest.NewCA(t, noon.Add(-2*time.Hour), certstest.Day)
	pair := ca.Issue(t, host)
	for name, tc := range map[string]struct {
		roots []byte
		host  string
		pair  certstest.Pair
		want  string
	}{
		"one that an authority has signed for the host":              {ca.PEM(), host, pair, ""},
		"one of several authorities will do":                         {append(stranger.PEM(), ca.PEM()...), host, pair, ""},
		"an authority between the two is served with it":             {ca.PEM(), host, ca.Intermediate(t).Issue(t, host), ""},
		"a caller that says no host wants none":                      {ca.PEM(), "", pair, ""},
		"not one of an authority that the caller does not know":      {stranger.PEM(), host, pair, "x509: certificate signed by unknown authority"},
		"not where the caller knows none: the system's do not count": {nil, host, pair, "x509: certificate signed by unknown authority"},
		"not one for another host":                                   {ca.PEM(), "webhook.other.svc", pair, "x509: certificate is valid for webhook.sg.svc, not webhook.other.svc"},
		"not one that has expired": {ca.PEM(), host, ca.IssueUntil(t, noon.Add(-time.Minute), host),
			"x509: certificate has expired or is not yet valid: current time 2026-08-22T12:00:00Z is after 2026-08-22T11:59:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := (Caller{Roots: tc.roots, Host: tc.host}).Believes(tc.pair.TLS(t), noon); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
