package access

import "time"

// Where nothing else is said.
const (
	DefaultTenant = "default"
	AnonymousName = "anonymous"
)

// Principal is who has authenticated. It is not changed once made: a re-authentication gives another one.
type Principal struct {
	// Tenant is what Name is unique in: never empty.
	Tenant string
	// Name is never empty. Only the principal of the same tenant and name may take a session over.
	Name string
	// Groups are what rules may name instead of principals.
	Groups []string
	// Claims are what else the authenticator vouches for: claims of a token, fields of a hook's answer. A claim that is a list has several values.
	Claims map[string][]string
	// Source names the authenticator: anonymous, password, jwt, certificate, http.
	Source string
	// Credential names what was shown, without giving it away, such as jwt:ISSUER/ID; a revocation may name it. Empty: it has no name.
	Credential string
	// Key names what has proven the credential, in words of Source alone; empty: nothing that could be taken back.
	Key string
	// Issued is when the credential was made, as far as it says so: a revocation ends those that are older. Zero: it does not say.
	Issued time.Time
	// Expires is when the connection ends unless it has authenticated again. Zero: never.
	Expires time.Time
	// ClientIDs are templates of the client identifiers that may be used, over those of the configuration. Empty: those count.
	ClientIDs []string
}

// Anonymous is the principal of those who show nothing.
func Anonymous() *Principal {
	return &Principal{Tenant: DefaultTenant, Name: AnonymousName, Source: "anonymous"}
}
