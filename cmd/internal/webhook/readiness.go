package webhook

import (
	"net/http"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/snapshot-group/snapshot-group/pkg/admit"
)

// readiness is what must be there before the API server may send reviews.
type readiness struct {
	store       *admit.Store
	certificate certificate
	started     healthz.Checker
	log         logr.Logger
}

// check logs why it fails: the probe's answer does not say.
func (r readiness) check(req *http.Request) error {
	err := r.missing(req)
	if err != nil {
		r.log.Info("not ready", "reason", err.Error())
	}
	return err
}

func (r readiness) missing(req *http.Request) error {
	if !r.store.Synced() {
		return admit.ErrNotSynced
	}
	served, err := r.certificate.GetCertificate(nil)
	if err != nil {
		return err
	}
	if err := r.certificate.configurations.Trusts(req.Context(), served); err != nil {
		return err
	}
	return r.started(req)
}
