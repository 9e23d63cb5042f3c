package certs

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// validity are the metrics of the serving certificate, read off it at every scrape.
type validity struct {
	served                  func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	trust                   Trust
	begins, expiry, trusted *prometheus.Desc
}

// RegisterMetrics registers the metrics of the certificate that served, the GetCertificate of a source, returns, on reg. While that
// returns ErrNoCertificate, none is trusted, and there are no series of its times.
func RegisterMetrics(reg prometheus.Registerer, served func(*tls.ClientHelloInfo) (*tls.Certificate, error), trust Trust) {
	reg.MustRegister(validity{
		served: served, trust: trust,
		begins: prometheus.NewDesc("snapshot_group_certificate_not_before_timestamp_seconds",
			"When the serving certificate of the webhook became valid, in seconds since 1970.", nil, nil),
		expiry: prometheus.NewDesc("snapshot_group_certificate_expiry_timestamp_seconds",
			"When the serving certificate of the webhook expires, in seconds since 1970.", nil, nil),
		trusted: prometheus.NewDesc("snapshot_group_certificate_trusted",
			"Whether the API server, as both webhook configurations tell it, believes the serving certificate of the webhook: 1 or 0.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (v validity) Describe(ch chan<- *prometheus.Desc) {
	ch <- v.begins
	ch <- v.expiry
	ch <- v.trusted
}

// Collect implements prometheus.Collector.
func (v validity) Collect(ch chan<- prometheus.Metric) {
	served, err := v.served(nil)
	trusted := 0.0
	switch {
	case errors.Is(err, ErrNoCertificate):
	case err != nil:
		ch <- prometheus.NewInvalidMetric(v.expiry, err)
	default:
		ch <- prometheus.MustNewConstMetric(v.begins, prometheus.GaugeValue, float64(served.Leaf.NotBefore.Unix()))
		ch <- prometheus.MustNewConstMetric(v.expiry, prometheus.GaugeValue, float64(served.Leaf.NotAfter.Unix()))
		// A collector has no context; Trusts reads a cache and does not block.
		if v.trust.Trusts(context.Background(), served) == nil {
			trusted = 1
		}
	}
	ch <- prometheus.MustNewConstMetric(v.trusted, prometheus.GaugeValue, trusted)
}
