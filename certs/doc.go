// Package certs keeps the webhook's serving certificate.
//
// Source self-signed: cert-manager's libraries keep a certificate authority in a Secret that all replicas share, and sign
// for each replica a serving certificate that stays in its memory. A Bundler keeps the authority's certificate in the
// caBundle of the webhook configurations, in every replica alike: each writes only what is not there already.
//
// The authority is rotated without losing a request: its predecessor stays in the bundle, and no replica serves with a
// certificate of the new one before the API server has been told to trust it.
package certs
