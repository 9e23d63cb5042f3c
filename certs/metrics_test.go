package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

func (r *roots) Until(ctx context.Context, serving *tls.Certificate) (time.Time, error) {
	return noon.Add(certstest.Day), r.Trusts(ctx, serving)
}

func TestTheValidityOfTheServingCertificateIsAMetric(t *testing.T) {
	served, err := (*tls.Certificate)(nil), fmt.Errorf("%w: why", ErrNoCertificate)
	reg, believed := prometheus.NewRegistry(), &roots{x509.NewCertPool()}
	RegisterMetrics(reg, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return served, err }, believed)
	tells := func(when, want string) {
		t.Helper()
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	const trusted = `
# HELP snapshot_group_certificate_trusted Whether the API server, as both webhook configurations tell it, believes the serving certificate of the webhook: 1 or 0.
# TYPE snapshot_group_certificate_trusted gauge
snapshot_group_certificate_trusted `
	tells("before there is a certificate", trusted+"0\n")

	ca := certstest.NewCA(t, noon, certstest.Day)
	served, err = ca.IssueUntil(t, noon.Add(2*certstest.Day), "webhook").TLS(t), nil
	times := func(expiry string) string {
		return `
# HELP snapshot_group_certificate_expiry_timestamp_seconds When the first of the webhook's serving certificate and the authorities that the API server believes it by expires, in seconds since 1970.
# TYPE snapshot_group_certificate_expiry_timestamp_seconds gauge
snapshot_group_certificate_expiry_timestamp_seconds ` + expiry + `
# HELP snapshot_group_certificate_lifetime_seconds How long the serving certificate of the webhook is valid in all.
# TYPE snapshot_group_certificate_lifetime_seconds gauge
snapshot_group_certificate_lifetime_seconds 172800
`
	}
	tells("before it is trusted", times("1.7875728e+09")+trusted+"0\n")
	believed.AddCert(ca.Cert)
	tells("once it is, by an authority that expires before it", times("1.7874864e+09")+trusted+"1\n")

	err = errors.New("unreadable")
	if _, err := reg.Gather(); err == nil {
		t.Error("a certificate that cannot be read is no error of the scrape")
	}
}
