package sessionstore

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Binding says whose a client identifier is, among the principals of a tenant.
type Binding struct {
	Tenant, ClientID string
	Principal        string
	Assigned         bool // the server has made the client identifier [MQTT-3.1.3-6]
}

// BindRequest asks for a client identifier for a principal.
type BindRequest struct {
	Binding
	// Credential is what the principal has shown; it counts together with the principal's name, and with One alone: then it is bound to this one
	// client identifier. Empty is a credential as any other.
	Credential string
	One        bool
	// Instead is a client identifier that the credential gives up for this one; empty: none. It counts if the credential is bound to it.
	Instead string
	// Most is how many client identifiers may be bound to the principal by requests that say so, at a time; zero: any number.
	Most int
	// Keep is how long the client identifier stays bound after this call, by the store's clock; more than zero. CredentialKeep is the same
	// for the credential, which may have an end of its own; zero: as long.
	Keep, CredentialKeep time.Duration
}

// BindingStore keeps which principal a client identifier is bound to, and which client identifier a credential is bound to, until that time is
// over or somebody removes it. The binding of a credential ends with that of its client identifier at the latest.
//
// It knows nothing of sessions: a session's key has the principal in it, so a binding that is lost gives nobody another's session.
type BindingStore interface {
	// Bind binds the client identifier, and with req.One the credential, or says what is in the way and changes nothing: the binding of the client
	// identifier to another principal, or the binding of the client identifier that the credential is bound to. It is atomic: of two principals that
	// ask for one client identifier at a time one gets it. Repeating it is no error, and begins the time anew. Where Instead counts, its binding ends if it was Assigned.
	// It fails with ErrPrincipalFull when that would be more than Most, with ErrFull when there is no room for another binding, with ErrUnavailable when the store does not answer within ctx and the grace.
	Bind(ctx context.Context, req BindRequest) (inTheWay *Binding, err error)
	// BoundTo gives the binding of a client identifier. ErrNotFound when there is none.
	BoundTo(ctx context.Context, tenant, clientID string) (Binding, error)
	// Unbind removes the binding of a client identifier, and those of credentials to it. ErrNotFound when there is none.
	Unbind(ctx context.Context, tenant, clientID string) error
}

// Validate refuses a request that no implementation can serve, with ErrInvalid.
func (r BindRequest) Validate() error {
	if r.Principal == "" {
		return fmt.Errorf("%w: bind: the principal is empty", ErrInvalid)
	}
	if err := (Key{Tenant: r.Tenant, Principal: r.Principal, ClientID: r.ClientID}).Validate(); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"credential", r.Credential}, {"client id to be given up", r.Instead}} {
		if err := validString("bind: the "+f.name, f.value); err != nil {
			return err
		}
		if !utf8.ValidString(f.value) {
			return fmt.Errorf("%w: bind: the %s is not UTF-8", ErrInvalid, f.name)
		}
	}
	if r.Most < 0 {
		return fmt.Errorf("%w: bind: %d client identifiers at most; want more than none, or 0 for any number", ErrInvalid, r.Most)
	}
	if r.Keep <= 0 || r.CredentialKeep < 0 {
		return fmt.Errorf("%w: bind: it is to be kept for %v, and the credential for %v; want more than nothing", ErrInvalid, r.Keep, r.CredentialKeep)
	}
	return nil
}

// KeepOfCredential is how long the credential stays bound.
func (r BindRequest) KeepOfCredential() time.Duration {
	if r.CredentialKeep > 0 {
		return min(r.CredentialKeep, r.Keep)
	}
	return r.Keep
}
