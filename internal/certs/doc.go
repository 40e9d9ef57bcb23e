// Package certs has the certificates of a listener with TLS: out of files that may be replaced while the server runs ([Files]), or from an
// authority that speaks ACME ([ACME]).
package certs
