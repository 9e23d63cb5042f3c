package checks

import (
	"context"
	"maps"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/certs/certmanager"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
)

// secretAnnotation is by which the chart says in a webhook configuration which Secret has the user's certificate, as namespace/name.
const secretAnnotation = "snapshot-group/certificate-secret"

// certificates reads what a webhook configuration says that its certificate is made from. Whatever keeps it from being read is a finding:
// all else can still be checked.
func (g gatherer) certificates(ctx context.Context, annotations map[string]string, c *finding.Cluster) {
	if namespace, name, found := strings.Cut(annotations[certmanager.InjectAnnotation], "/"); found && c.Issued == nil {
		c.Issued = &finding.Issued{Namespace: namespace, Name: name}
		var certificate certmanagerv1.Certificate
		err := g.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &certificate)
		switch {
		case err == nil:
			c.Issued.Certificate = &certificate
		case apimeta.IsNoMatchError(err):
			c.Issued.NoCertManager = true
		case !apierrors.IsNotFound(err):
			c.Issued.Unknown = err.Error()
		}
	}
	if namespace, name, found := strings.Cut(annotations[secretAnnotation], "/"); found && c.Brought == nil {
		c.Brought = &finding.Brought{Namespace: namespace, Name: name}
		var secret corev1.Secret
		err := g.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret)
		switch {
		case err == nil:
			c.Brought.Data = map[string][]byte{}
			maps.Copy(c.Brought.Data, secret.Data)
		case !apierrors.IsNotFound(err):
			c.Brought.Unknown = err.Error()
		}
	}
}
