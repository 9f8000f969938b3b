package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestKeysOfTokens: what is written is what is there, any is nothing to compare with.
func TestKeysOfTokens(t *testing.T) {
	got := load(t, Source{File: file(t, `
auth:
  methods: [jwt, http]
  jwt:
    jwks: {url: "https://issuer.example/keys", refresh: 1m, tls: {ca: ca.pem}}
    issuer: [a, b]
    audience: any
    algorithms: [ES256]
    require: [scope=mqtt, tier=gold=1]
    tenant_claim: /org/id
    claims: [tier]
    user_name: principal
  http: {url: "http://127.0.0.1:9000/auth", token_file: t, timeout: 1s}
`)}).Auth
	want := JWT{
		JWKS: "https://issuer.example/keys", Refresh: time.Minute, TLS: ClientTLS{CA: "ca.pem"}, Algorithms: []string{"ES256"}, Issuers: []string{"a", "b"},
		Leeway: 30 * time.Second, Require: []ClaimValue{{"scope", "mqtt"}, {"tier", "gold=1"}}, Principal: "sub", Tenant: "/org/id", Groups: "groups",
		Claims: []string{"tier"}, UserName: UserNamePrincipal,
	}
	if diff := cmp.Diff(want, got.JWT, cmpopts.IgnoreUnexported(JWT{})); diff != "" {
		t.Errorf("auth.jwt (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(HTTP{URL: "http://127.0.0.1:9000/auth", TokenFile: "t", Timeout: time.Second, Concurrency: 64}, got.HTTP); diff != "" {
		t.Errorf("auth.http (-want +got):\n%s", diff)
	}
	for _, u := range []string{"http://localhost/x", "http://[::1]:1/x", "http://127.9.9.9", "https://a.example"} {
		load(t, Source{Set: []string{"auth.methods=http", "auth.http.url=" + u}})
	}
}

func TestFaultsOfTokens(t *testing.T) {
	const jwt = "auth.methods=jwt auth.jwt.issuer=i auth.jwt.audience=a "
	for _, c := range []struct{ name, set, want string }{
		{"no key", jwt, "there is no key to verify tokens with; set auth.jwt.jwks.url"},
		{"no issuer", "auth.methods=jwt auth.jwt.audience=a auth.jwt.keys_file=k", "auth.jwt.issuer is empty"},
		{"no audience", "auth.methods=jwt auth.jwt.issuer=i auth.jwt.keys_file=k", "auth.jwt.audience is empty"},
		{"any beside others", jwt + "auth.jwt.keys_file=k auth.jwt.issuer=any,i", "write any alone"},
		{"keys in the open", jwt + "auth.jwt.jwks.url=http://issuer.example/keys", "is http, and whoever sits on the way"},
		{"loopback by name only", jwt + "auth.jwt.jwks.url=http://127.0.0.1.example/keys", "is http, and whoever sits on the way"},
		{"none", jwt + "auth.jwt.keys_file=k auth.jwt.algorithms=none", `has "none"; the algorithms are RS256`},
		{"no algorithm", jwt + "auth.jwt.keys_file=k auth.jwt.algorithms=", "names no algorithm"},
		{"a secret that nothing takes", jwt + "auth.jwt.secret_file=s", "add HS256, or leave the secret out"},
		{"no secret", jwt + "auth.jwt.jwks.url=https://i.example auth.jwt.algorithms=RS256,HS256", "set auth.jwt.secret_file"},
		{"no value", jwt + "auth.jwt.keys_file=k auth.jwt.require=scope", "write claims as name=value"},
		{"no principal", jwt + "auth.jwt.keys_file=k auth.jwt.principal_claim=", "names no claim"},
		{"nobody asks for tokens", "auth.jwt.keys_file=k", "add jwt to auth.methods"},
		{"nobody asks for tokens, though an issuer is named", "auth.jwt.issuer=i", "add jwt to auth.methods"},
		{"half a certificate", jwt + "auth.jwt.jwks.url=https://i.example auth.jwt.jwks.tls.cert=c", "auth.jwt.jwks.tls.cert and auth.jwt.jwks.tls.key go together"},
		{"TLS for a file", jwt + "auth.jwt.keys_file=k auth.jwt.jwks.tls.ca=c", "auth.jwt.jwks.url does not begin with https://"},
		{"no service", "auth.methods=http", "auth.http.url is empty"},
		{"nobody asks the service", "auth.http.url=https://h.example", "add http to auth.methods"},
		{"service in the open", "auth.methods=http auth.http.url=http://10.0.0.1/", "is http, and whoever sits on the way"},
		{"password in a URL", "auth.methods=http auth.http.url=http://u:hush@10.0.0.1/", "u:xxxxx@"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(Source{Set: strings.Fields(c.set)})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
