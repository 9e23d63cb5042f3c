package certs

import (
	"crypto/tls"
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
	reg := prometheus.NewRegistry()
	RegisterMetrics(reg, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return served, err })
	if n, err := testutil.GatherAndCount(reg); n != 0 || err != nil {
		t.Errorf("%d series, error %v, before there is a certificate, want none", n, err)
	}

	served, err = certstest.NewCA(t, noon, certstest.Day).Issue(t, "webhook").TLS(t), nil
	want := `
# HELP snapshot_group_certificate_expiry_timestamp_seconds When the serving certificate of the webhook expires, in seconds since 1970.
# TYPE snapshot_group_certificate_expiry_timestamp_seconds gauge
snapshot_group_certificate_expiry_timestamp_seconds 1.7874864e+09
# HELP snapshot_group_certificate_not_before_timestamp_seconds When the serving certificate of the webhook became valid, in seconds since 1970.
# TYPE snapshot_group_certificate_not_before_timestamp_seconds gauge
snapshot_group_certificate_not_before_timestamp_seconds 1.7874e+09
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}

	err = errors.New("unreadable")
	if _, err := reg.Gather(); err == nil {
		t.Error("a certificate that cannot be read is no error of the scrape")
	}
}
