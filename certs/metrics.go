package certs

import (
	"crypto/tls"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// validity are the metrics of the serving certificate, read off it at every scrape.
type validity struct {
	served         func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	begins, expiry *prometheus.Desc
}

// RegisterMetrics registers the metrics of the certificate that served, the GetCertificate of a source, returns, on reg. While that
// returns ErrNoCertificate there are no series.
func RegisterMetrics(reg prometheus.Registerer, served func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	reg.MustRegister(validity{
		served: served,
		begins: prometheus.NewDesc("snapshot_group_certificate_not_before_timestamp_seconds",
			"When the serving certificate of the webhook became valid, in seconds since 1970.", nil, nil),
		expiry: prometheus.NewDesc("snapshot_group_certificate_expiry_timestamp_seconds",
			"When the serving certificate of the webhook expires, in seconds since 1970.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (v validity) Describe(ch chan<- *prometheus.Desc) {
	ch <- v.begins
	ch <- v.expiry
}

// Collect implements prometheus.Collector.
func (v validity) Collect(ch chan<- prometheus.Metric) {
	served, err := v.served(nil)
	switch {
	case errors.Is(err, ErrNoCertificate):
	case err != nil:
		ch <- prometheus.NewInvalidMetric(v.expiry, err)
	default:
		ch <- prometheus.MustNewConstMetric(v.begins, prometheus.GaugeValue, float64(served.Leaf.NotBefore.Unix()))
		ch <- prometheus.MustNewConstMetric(v.expiry, prometheus.GaugeValue, float64(served.Leaf.NotAfter.Unix()))
	}
}
