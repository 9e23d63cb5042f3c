// Package certs keeps the webhook's serving certificate.
//
// SelfSigned: cert-manager's libraries keep a certificate authority in a Secret that all replicas share, and sign for each replica a serving
// certificate that stays in its memory. Mounted: somebody else makes the certificate, cert-manager or the user, and a volume brings it.
//
// A Bundler keeps the authority of a Secret in the caBundle of the webhook configurations, in every replica alike: each writes only what is not
// there already. For cert-manager its own cainjector does that.
//
// No change of certificate, authority or source loses a request: what has been trusted stays in the bundle, and no replica serves with a
// certificate before the API server has been told to trust it.
package certs
