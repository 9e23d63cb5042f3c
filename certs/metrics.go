package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// validity are the metrics of the serving certificate, read off it at every scrape.
type validity struct {
	served                    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	caller                    Caller
	lifetime, expiry, trusted *prometheus.Desc
}

// Caller tells until when those who are to verify a certificate will believe it, or why they do not now.
type Caller interface {
	Until(ctx context.Context, serving *tls.Certificate) (time.Time, error)
}

// RegisterMetrics registers the metrics of the certificate that served, the GetCertificate of a source, returns, on reg. While that
// returns ErrNoCertificate, none is trusted, and there are no series of its times. Of one that nobody believes, its own end is told.
func RegisterMetrics(reg prometheus.Registerer, served func(*tls.ClientHelloInfo) (*tls.Certificate, error), caller Caller) {
	reg.MustRegister(validity{
		served: served, caller: caller,
		lifetime: prometheus.NewDesc("snapshot_group_certificate_lifetime_seconds",
			"How long the serving certificate of the webhook is valid in all.", nil, nil),
		expiry: prometheus.NewDesc("snapshot_group_certificate_expiry_timestamp_seconds",
			"When the first of the webhook's serving certificate and the authorities that the API server believes it by expires, in seconds "+
				"since 1970.", nil, nil),
		trusted: prometheus.NewDesc("snapshot_group_certificate_trusted",
			"Whether the API server, as both webhook configurations tell it, believes the serving certificate of the webhook: 1 or 0.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (v validity) Describe(ch chan<- *prometheus.Desc) {
	ch <- v.lifetime
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
		expiry := served.Leaf.NotAfter
		// A collector has no context; Until reads a cache and does not block.
		if until, err := v.caller.Until(context.Background(), served); err == nil {
			expiry, trusted = until, 1
		}
		ch <- prometheus.MustNewConstMetric(v.lifetime, prometheus.GaugeValue, served.Leaf.NotAfter.Sub(served.Leaf.NotBefore).Seconds())
		ch <- prometheus.MustNewConstMetric(v.expiry, prometheus.GaugeValue, float64(expiry.Unix()))
	}
	ch <- prometheus.MustNewConstMetric(v.trusted, prometheus.GaugeValue, trusted)
}
