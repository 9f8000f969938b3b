package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// JWT says which tokens show who a device is (docs/authentication.md). Files are PEM or JSON; empty: none.
type JWT struct {
	KeysFile, SecretFile string
	JWKS                 string // URL; empty: none
	Refresh              time.Duration
	TLS                  ClientTLS // for JWKS
	Algorithms           []string
	Issuers, Audiences   []string // empty: any
	Leeway               time.Duration
	Require              []ClaimValue
	Principal            string // the claim that has it, as with the others
	Tenant               string // empty: none, as with the others
	Groups               string
	ClientIDs            string
	Claims               []string // empty: all
	UserName             string   // one of userNames

	issuers, audiences []string // as written
}

// ClaimValue is a claim that a token must have with a value.
type ClaimValue struct{ Claim, Value string }

// HTTP is the service that says who a device is.
type HTTP struct {
	URL         string // empty: none
	TokenFile   string
	TLS         ClientTLS
	Timeout     time.Duration
	Concurrency int
}

// What a user name beside a token is for.
const (
	UserNameAny       = "any"
	UserNamePrincipal = "principal"
)

// anyOne is written where a token may be of any issuer, or for any audience.
const anyOne = "any"

var (
	asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	symmetric  = []string{"HS256", "HS384", "HS512"}
)

func jwtKeys(j *JWT) []key {
	return []key{
		{"auth.jwt.keys_file", "", "File with public keys that sign tokens: PEM, a JSON Web Key or a set of them. Read again when it changes.", text(&j.KeysFile)},
		{"auth.jwt.secret_file", "", "File with the secret of HS256, HS384 or HS512, of at least 32, 48 or 64 bytes. Read again when it changes.", text(&j.SecretFile)},
		{"auth.jwt.jwks.url", "", "URL of a set of JSON Web Keys that sign tokens: https://, or http:// on a loopback address. The last good set stays in use while it does not answer.", secureURL(&j.JWKS)},
		{"auth.jwt.jwks.refresh", "5m", "How often auth.jwt.jwks.url is asked. A token with a key that is not known has it asked at once, every 5 s at most.", duration(&j.Refresh, 10*time.Second, 24*time.Hour)},
		{"auth.jwt.jwks.tls.ca", "", "File with the CAs to trust for auth.jwt.jwks.url, PEM. Empty trusts those of the system.", text(&j.TLS.CA)},
		{"auth.jwt.jwks.tls.cert", "", "File with the certificate that this node shows there, PEM.", text(&j.TLS.Cert)},
		{"auth.jwt.jwks.tls.key", "", "File with the key of auth.jwt.jwks.tls.cert, PEM.", text(&j.TLS.Key)},
		{"auth.jwt.jwks.tls.server_name", "", "Name that the certificate there must have. Empty takes the host of the URL.", text(&j.TLS.ServerName)},
		{"auth.jwt.algorithms", strings.Join(asymmetric, ","), "Algorithms that tokens may be signed with, of these and " + strings.Join(symmetric, ", ") + "; separated by commas or as a list.", algorithms(&j.Algorithms)},
		{"auth.jwt.issuer", "", "Who issues tokens (iss), separated by commas or as a list, or any. Required with jwt.", anyOrList(&j.issuers, &j.Issuers)},
		{"auth.jwt.audience", "", "Whom tokens are for (aud): one of these, separated by commas or as a list, or any. Required with jwt, since a token for another service must not open this one.", anyOrList(&j.audiences, &j.Audiences)},
		{"auth.jwt.leeway", "30s", "How far the clocks of issuer and node may be apart (exp, nbf, iat).", duration(&j.Leeway, 0, 5*time.Minute)},
		{"auth.jwt.require", "", "Claims that must have a value, or have it among others: name=value, separated by commas or as a list. Those of scope and scp are separated by blanks.", claimValues(&j.Require)},
		{"auth.jwt.principal_claim", "sub", "Claim that names the principal. A name that begins with / is a path, as in /realm_access/user; so with the other claims.", claim(&j.Principal, required)},
		{"auth.jwt.tenant_claim", "", "Claim that names the tenant. Empty: all are of the tenant default.", claim(&j.Tenant, offAllowed)},
		{"auth.jwt.groups_claim", "groups", "Claim with the groups. Empty: none.", claim(&j.Groups, offAllowed)},
		{"auth.jwt.client_ids_claim", "", "Claim with templates of the client identifiers that the device may use; a token must have it then. Empty: those of clients.templates count.", claim(&j.ClientIDs, offAllowed)},
		{"auth.jwt.claims", "", "Claims that are kept for rules (access.*), separated by commas or as a list. Empty: all whose values are texts, numbers or truth values, or lists of them.", files(&j.Claims)},
		{"auth.jwt.user_name", UserNameAny, "What the user name beside a token may be: any, or principal: that of the token, or empty.", oneOf(&j.UserName, UserNameAny, UserNamePrincipal)},
	}
}

func httpKeys(h *HTTP) []key {
	return []key{
		{"auth.http.url", "", "Service that is asked, by POST, who a device is (docs/authentication.md): https://, or http:// on a loopback address.", secureURL(&h.URL)},
		{"auth.http.token_file", "", "File with a bearer token that is shown to the service. Read again when it changes.", text(&h.TokenFile)},
		{"auth.http.timeout", "3s", "How long an answer may take; then the device is told that the server is not available (0x88).", duration(&h.Timeout, 100*time.Millisecond, 10*time.Second)},
		{"auth.http.concurrency", 64, "Requests to the service under way at once. Ten times as many devices may wait for their turn.", integer(&h.Concurrency, 1, 1024)},
		{"auth.http.tls.ca", "", "File with the CAs to trust for auth.http.url, PEM. Empty trusts those of the system.", text(&h.TLS.CA)},
		{"auth.http.tls.cert", "", "File with the certificate that this node shows to the service, PEM.", text(&h.TLS.Cert)},
		{"auth.http.tls.key", "", "File with the key of auth.http.tls.cert, PEM.", text(&h.TLS.Key)},
		{"auth.http.tls.server_name", "", "Name that the certificate of the service must have. Empty takes the host of the URL.", text(&h.TLS.ServerName)},
	}
}

// secureURL takes a URL whose answers nobody on the way can change.
func secureURL(dst *string) setter {
	return func(v any) error {
		s := strings.TrimSpace(fmt.Sprint(v))
		if s != "" {
			if err := checkURL(s, "https", "http"); err != nil {
				return err
			}
			if u, _ := url.Parse(s); u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
				return fmt.Errorf("is http, and whoever sits on the way could change the answers; use https, or a loopback address")
			}
		}
		*dst = s
		return nil
	}
}

func algorithms(dst *[]string) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		for _, a := range list {
			if known := slices.Concat(asymmetric, symmetric); !slices.Contains(known, a) {
				return fmt.Errorf("has %q; the algorithms are %s", a, strings.Join(known, ", "))
			}
		}
		if len(list) == 0 {
			return fmt.Errorf("names no algorithm; leave it out for those with public keys")
		}
		*dst = list
		return nil
	}
}

// anyOrList takes a list; dst stays empty for any.
func anyOrList(written, dst *[]string) setter {
	return func(v any) (err error) {
		if *written, err = texts(v); err != nil {
			return err
		}
		*dst = *written
		if slices.Contains(*written, anyOne) {
			if len(*written) > 1 {
				return fmt.Errorf("has any beside others; write any alone, or leave it out")
			}
			*dst = nil
		}
		return nil
	}
}

func claimValues(dst *[]ClaimValue) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		*dst = nil
		for _, s := range list {
			name, value, found := strings.Cut(s, "=")
			if !found || name == "" || value == "" {
				return fmt.Errorf("has %q; write claims as name=value", s)
			}
			*dst = append(*dst, ClaimValue{name, value})
		}
		return nil
	}
}

func claim(dst *string, p presence) setter {
	return func(v any) error {
		s := strings.TrimSpace(fmt.Sprint(v))
		if s == "" && p == required || s == "/" {
			return fmt.Errorf("names no claim; write its name, such as sub")
		}
		*dst = s
		return nil
	}
}

// faults: used tells whether a listener takes tokens.
func (j *JWT) faults(used bool, fault func(format string, args ...any)) {
	if !used {
		if j.KeysFile+j.SecretFile+j.JWKS != "" || len(j.issuers)+len(j.audiences) > 0 {
			fault("auth.jwt.* is set, but no listener takes tokens: nobody would be asked for one; add jwt to auth.methods")
		}
		return
	}
	if j.KeysFile+j.SecretFile+j.JWKS == "" {
		fault("auth.methods has jwt, but there is no key to verify tokens with; set auth.jwt.jwks.url, auth.jwt.keys_file or auth.jwt.secret_file")
	}
	if len(j.issuers) == 0 {
		fault("auth.methods has jwt, but auth.jwt.issuer is empty; name the issuer of the tokens (iss), or write any to take those of all who have a key")
	}
	if len(j.audiences) == 0 {
		fault("auth.methods has jwt, but auth.jwt.audience is empty; name what tokens for this service have in aud, or write any to take those for other services, too")
	}
	hmac := slices.ContainsFunc(j.Algorithms, func(a string) bool { return slices.Contains(symmetric, a) })
	if j.SecretFile != "" && !hmac {
		fault("auth.jwt.secret_file is set, but auth.jwt.algorithms has none that takes a secret; add HS256, or leave the secret out")
	}
	if hmac && j.SecretFile+j.KeysFile == "" {
		fault("auth.jwt.algorithms has one that takes a secret, but there is none; set auth.jwt.secret_file, or leave HS256, HS384 and HS512 out")
	}
	j.TLS.faults("auth.jwt.jwks", "https", []string{j.JWKS}, fault)
}

func (h *HTTP) faults(used bool, fault func(format string, args ...any)) {
	switch {
	case used && h.URL == "":
		fault("auth.methods has http, but auth.http.url is empty; set it to the service that knows who devices are")
	case !used && h.URL+h.TokenFile != "":
		fault("auth.http.* is set, but no listener asks the service; add http to auth.methods")
	}
	h.TLS.faults("auth.http", "https", []string{h.URL}, fault)
}
