// Package certmanager is the webhook's certificate as cert-manager knows it: the objects that ask for it, and what has become of them.
// The chart renders the same objects; a test holds the two together.
package certmanager

import (
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// InjectAnnotation is by which a webhook configuration asks cert-manager's cainjector for the authority of a Certificate, as
// namespace/name. cert-manager 1.19 or later adds it to those that are in caBundle; earlier ones put it in their place.
const InjectAnnotation = certmanagerv1.WantInjectAnnotation

// keySize of ECDSA keys, in bits: as large as those that the webhook makes itself.
const keySize = 384

// Request is what is asked of cert-manager.
type Request struct {
	// Namespace and Name are those of the release's objects: the chart's fullname.
	Namespace, Name string
	// Issuer signs the certificate. Without a name, an authority of the release's own does.
	Issuer cmmeta.IssuerReference
	// Lifetime is that of the serving certificate, CALifetime that of an authority of our own.
	Lifetime, CALifetime time.Duration
	// Hosts are the names that the API server may call the webhook by.
	Hosts []string
}

// Certificate is the one to serve with. It and its key get into the Secret that it names.
func (r Request) Certificate() *certmanagerv1.Certificate {
	issuer := r.Issuer
	if issuer.Name == "" {
		issuer = cmmeta.IssuerReference{Kind: certmanagerv1.IssuerKind, Name: r.Name + "-webhook-ca"}
	}
	return &certmanagerv1.Certificate{
		TypeMeta: typeMeta(certmanagerv1.CertificateKind), ObjectMeta: r.meta("-webhook"),
		Spec: certmanagerv1.CertificateSpec{
			SecretName: r.Name + "-webhook-tls", DNSNames: r.Hosts, Duration: &metav1.Duration{Duration: r.Lifetime}, PrivateKey: newKeyAlways(),
			Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth}, IssuerRef: issuer,
		},
	}
}

// Objects are all to make, in an order in which each finds what it needs: the Certificate and, where it has no issuer, an authority. That is
// long-lived and signs one serving certificate after the other, so that none of these asks the API server to trust something new.
func (r Request) Objects() []client.Object {
	if r.Issuer.Name != "" {
		return []client.Object{r.Certificate()}
	}
	root := &certmanagerv1.Issuer{
		TypeMeta: typeMeta(certmanagerv1.IssuerKind), ObjectMeta: r.meta("-webhook-root"),
		Spec: certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}}},
	}
	authority := &certmanagerv1.Certificate{
		TypeMeta: typeMeta(certmanagerv1.CertificateKind), ObjectMeta: r.meta("-webhook-ca"),
		Spec: certmanagerv1.CertificateSpec{
			SecretName: r.Name + "-webhook-issuer", IsCA: true, CommonName: r.Name + "-webhook-ca", Duration: &metav1.Duration{Duration: r.CALifetime},
			PrivateKey: newKeyAlways(), IssuerRef: cmmeta.IssuerReference{Kind: certmanagerv1.IssuerKind, Name: root.Name},
		},
	}
	issuer := &certmanagerv1.Issuer{
		TypeMeta: typeMeta(certmanagerv1.IssuerKind), ObjectMeta: r.meta("-webhook-ca"),
		Spec: certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: authority.Spec.SecretName}}},
	}
	return []client.Object{root, authority, issuer, r.Certificate()}
}

// Injection is the value of InjectAnnotation.
func (r Request) Injection() string { return r.Namespace + "/" + r.Certificate().Name }

func (r Request) meta(suffix string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name + suffix}
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: kind}
}

func newKeyAlways() *certmanagerv1.CertificatePrivateKey {
	return &certmanagerv1.CertificatePrivateKey{
		Algorithm: certmanagerv1.ECDSAKeyAlgorithm, Size: keySize, RotationPolicy: certmanagerv1.RotationPolicyAlways,
	}
}

// NotReady says, in cert-manager's words, why a Certificate is not ready; it is empty where its condition Ready is True.
func NotReady(c *certmanagerv1.Certificate) string {
	for _, condition := range c.Status.Conditions {
		switch {
		case condition.Type != certmanagerv1.CertificateConditionReady:
		case condition.Status == cmmeta.ConditionTrue:
			return ""
		default:
			return condition.Reason + ": " + condition.Message
		}
	}
	return "cert-manager has not said anything about it yet"
}

// Overdue is how long ago, at now, a Certificate should have been renewed; 0 where it is not due, or nothing is known of it.
func Overdue(c *certmanagerv1.Certificate, now time.Time) time.Duration {
	if c.Status.RenewalTime == nil {
		return 0
	}
	return max(0, now.Sub(c.Status.RenewalTime.Time))
}
