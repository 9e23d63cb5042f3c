package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

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
	served, err = ca.Issue(t, "webhook").TLS(t), nil
	const times = `
# HELP snapshot_group_certificate_expiry_timestamp_seconds When the serving certificate of the webhook expires, in seconds since 1970.
# TYPE snapshot_group_certificate_expiry_timestamp_seconds gauge
snapshot_group_certificate_expiry_timestamp_seconds 1.7874864e+09
# HELP snapshot_group_certificate_not_before_timestamp_seconds When the serving certificate of the webhook became valid, in seconds since 1970.
# TYPE snapshot_group_certificate_not_before_timestamp_seconds gauge
snapshot_group_certificate_not_before_timestamp_seconds 1.7874e+09
`
	tells("before it is trusted", times+trusted+"0\n")
	believed.AddCert(ca.Cert)
	tells("once it is", times+trusted+"1\n")

	err = errors.New("unreadable")
	if _, err := reg.Gather(); err == nil {
		t.Error("a certificate that cannot be read is no error of the scrape")
	}
}
