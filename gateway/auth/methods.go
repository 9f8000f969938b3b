package auth

import (
	"context"

	"sluice/gateway/access"
)

// The names of the methods here, in configuration, metrics and Principal.Source.
const (
	MethodAnonymous   = "anonymous"
	MethodCertificate = "certificate"
)

// Anonymous lets in whoever shows nothing: no user name, password or Authentication Method. Everyone: also those who show something that nobody judges, where it is the only
// method.
type Anonymous struct{ Everyone bool }

// Authenticate gives the anonymous principal, the same for all.
func (m Anonymous) Authenticate(_ context.Context, a *access.Attempt) (*access.Principal, error) {
	if !m.Everyone && (a.HasUserName || a.HasPassword || a.Method != "") {
		return nil, access.ErrNotMine
	}
	return anonymous, nil
}

// anonymous is shared: principals are not changed.
var anonymous = access.Anonymous()

// Certificate takes whom the device's certificate names, which the TLS handshake has verified, for the principal. A user name and password beside it are not looked at.
type Certificate struct{}

// Authenticate gives the owner of the certificate.
func (Certificate) Authenticate(_ context.Context, a *access.Attempt) (*access.Principal, error) {
	if a.Certificate == "" {
		return nil, access.ErrNotMine
	}
	return &access.Principal{
		Tenant: access.DefaultTenant, Name: a.Certificate, Source: MethodCertificate, Credential: MethodCertificate + ":" + a.Certificate + "/" + a.Serial,
	}, nil
}
