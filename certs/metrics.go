package certs

import (
	"crypto/x509"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// validity are the metrics of the serving certificate, read off it at every scrape.
type validity struct {
	leaf           func() (*x509.Certificate, error)
	begins, expiry *prometheus.Desc
}

// RegisterMetrics registers the metrics of the certificate that leaf returns, on reg. While leaf returns ErrNoCertificate there
// are no series.
func RegisterMetrics(reg prometheus.Registerer, leaf func() (*x509.Certificate, error)) {
	reg.MustRegister(validity{
		leaf: leaf,
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
	leaf, err := v.leaf()
	switch {
	case errors.Is(err, ErrNoCertificate):
	case err != nil:
		ch <- prometheus.NewInvalidMetric(v.expiry, err)
	default:
		ch <- prometheus.MustNewConstMetric(v.begins, prometheus.GaugeValue, float64(leaf.NotBefore.Unix()))
		ch <- prometheus.MustNewConstMetric(v.expiry, prometheus.GaugeValue, float64(leaf.NotAfter.Unix()))
	}
}
