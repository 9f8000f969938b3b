package token

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"sluice/gateway/access"
)

// Each algorithm takes the key of its kind, from PEM and as JSON Web Key, and none that is of another kind.
func TestAlgorithmsAndTheirKeys(t *testing.T) {
	keys := map[string]signer{
		"RSA": newRSA("rsa"), "P-256": newEC(t, "p256", elliptic.P256()), "P-384": newEC(t, "p384", elliptic.P384()),
		"P-521": newEC(t, "p521", elliptic.P521()), "Ed25519": newEd(t, "ed"), "secret": {"", []byte(secretText)},
	}
	public := []signer{keys["RSA"], keys["P-256"], keys["P-384"], keys["P-521"], keys["Ed25519"]}
	kinds := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "HS256": "secret", "HS384": "secret", "HS512": "secret"}
	for _, content := range [][]byte{pemOf(t, public...), jwksOf(t, public...)} {
		a := open(t, func(o *Options) { o.KeysFile, o.SecretFile = file(t, content), file(t, []byte(secretText+"\n")) })
		for _, algorithm := range slices.Concat(Asymmetric, Symmetric) {
			kind, listed := kinds[algorithm]
			if !listed {
				kind = "RSA"
			}
			expectRefusal(t, algorithm, shows(a, keys[kind].sign(t, algorithm, claims(nil))), "")
			for name, k := range keys {
				var value any
				if name != "secret" {
					value = k.public()
				} else {
					value = secret(secretText)
				}
				if got := fits(algorithm, value); got != (name == kind) {
					t.Errorf("%s with a key of %s: %v", algorithm, name, got)
				}
			}
		}
	}
}

// What a token is refused for.
func TestRefusals(t *testing.T) {
	key, stranger := newRSA("k1"), otherRSA("k1")
	a := open(t, func(o *Options) {
		o.KeysFile, o.Algorithms = file(t, jwksOf(t, key)), []string{"RS256", "HS256"}
		o.Rules.Require = []Requirement{{"scope", "mqtt"}}
		o.Rules.Tenant = "tenant"
		o.MatchUserName = true
	})
	base := jwt.MapClaims{"scope": "read mqtt", "tenant": "acme"}
	with := func(name string, value any) string {
		return key.sign(t, "RS256", claims(jwt.MapClaims{"scope": base["scope"], "tenant": base["tenant"], name: value}))
	}
	good := with("x", "y")
	parts := strings.Split(good, ".")
	header := func(h string) string { return base64.RawURLEncoding.EncodeToString([]byte(h)) }
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(base)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct{ name, text, reason string }{
		{"good", good, ""},
		{"kid absent", signer{"", key.private}.sign(t, "RS256", claims(base)), ""},
		{"several audiences", with("aud", []string{"other", audience}), ""},
		{"within the leeway", with("exp", now.Add(-10*time.Second).Unix()), ""},
		{"expired", with("exp", now.Add(-time.Minute).Unix()), reasonExpired},
		{"no exp", with("exp", nil), reasonClaims},
		{"exp is a text", with("exp", "tomorrow"), reasonClaims},
		{"exp beyond all years", with("exp", 1e300), reasonClaims},
		{"exp before all", with("exp", -1e300), reasonClaims},
		{"not yet", with("nbf", now.Add(time.Minute).Unix()), reasonClaims},
		{"issued tomorrow", with("iat", now.Add(24*time.Hour).Unix()), reasonClaims},
		{"another issuer", with("iss", issuer+"/"), reasonIssuer},
		{"no issuer", with("iss", nil), reasonIssuer},
		{"issuer is a list", with("iss", []string{issuer}), reasonIssuer},
		{"another audience", with("aud", "other"), reasonAudience},
		{"no audience", with("aud", nil), reasonAudience},
		{"requirement not met", with("scope", "read mqtts"), reasonClaims},
		{"no principal", with("sub", nil), reasonClaims},
		{"empty principal", with("sub", ""), reasonClaims},
		{"two principals", with("sub", []string{"a", "b"}), reasonClaims},
		{"no tenant", with("tenant", nil), reasonClaims},
		{"control character", with("sub", "a\x00b"), reasonClaims},
		{"too many groups", with("groups", slices.Repeat([]string{"g"}, access.GroupsMax+1)), reasonClaims},
		{"key of a stranger", stranger.sign(t, "RS256", claims(base)), reasonSignature},
		{"another signature", parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), reasonSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", reasonSignature},
		{"claims of another token", parts[0] + "." + strings.Split(with("sub", "admin"), ".")[1] + "." + parts[2], reasonSignature},
		{"unknown key", signer{"k2", key.private}.sign(t, "RS256", claims(base)), reasonKey},
		{"algorithm not allowed", key.sign(t, "RS512", claims(base)), reasonAlgorithm},
		{"none", none, reasonAlgorithm},
		{"nOnE", header(`{"alg":"nOnE"}`) + "." + parts[1] + ".", reasonAlgorithm},
		{"no algorithm", header(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2], reasonAlgorithm},
		{"no object", "eyJ.eyJ.x", reasonMalformed},
		{"not base64", "eyJ*." + parts[1] + "." + parts[2], reasonMalformed},
		{"padded", parts[0] + "." + parts[1] + "." + parts[2] + "=", reasonMalformed},
		{"critical extension", header(`{"alg":"RS256","kid":"k1","crit":["x"]}`) + "." + parts[1] + "." + parts[2], reasonMalformed},
		{"kid is a number", header(`{"alg":"RS256","kid":1}`) + "." + parts[1] + "." + parts[2], reasonMalformed},
		{"too long", with("x", strings.Repeat("y", tokenMax)), reasonMalformed},
	} {
		expectRefusal(t, c.name, shows(a, c.text), c.reason)
	}
	for user, reason := range map[string]string{"": "", "device-7": "", "device-8": reasonClaims} {
		attempt := password(good)
		attempt.UserName = user
		_, err := a.Authenticate(context.Background(), attempt)
		expectRefusal(t, "user name "+user, err, reason)
	}
}

// A public key, which everybody knows, is never the secret of an HMAC, in whichever form (RFC 8725, 2.1).
func TestAPublicKeyIsNoSecret(t *testing.T) {
	key := newRSA("k1")
	keys := pemOf(t, key)
	block, _ := pem.Decode(keys)
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKeys()[0].PublicKey)
	for _, o := range []struct {
		name, secret, reason string
	}{{"without a secret", "", reasonKey}, {"with another secret", secretText, reasonSignature}} {
		a := open(t, func(opt *Options) {
			if opt.KeysFile = file(t, keys); o.secret != "" {
				opt.SecretFile = file(t, []byte(o.secret))
			}
		})
		for _, guess := range [][]byte{keys, []byte(strings.TrimSpace(string(keys))), block.Bytes, pkcs1, rsaKeys()[0].N.Bytes()} {
			for _, algorithm := range Symmetric {
				expectRefusal(t, o.name, shows(a, signer{"k1", guess}.sign(t, algorithm, claims(nil))), o.reason)
				expectRefusal(t, o.name, shows(a, signer{"", guess}.sign(t, algorithm, claims(nil))), o.reason)
			}
		}
	}
}

// A short secret does for the shorter hashes only.
func TestSecretsAreAsLongAsTheirHash(t *testing.T) {
	short := secretText[:40]
	a := open(t, func(o *Options) { o.SecretFile = file(t, []byte(short)) })
	k := signer{"", []byte(short)}
	expectRefusal(t, "HS256", shows(a, k.sign(t, "HS256", claims(nil))), "")
	expectRefusal(t, "HS384", shows(a, k.sign(t, "HS384", claims(nil))), reasonKey)
}

// What is not a token is left to others; by enhanced authentication it must be one.
func TestWhatIsJudged(t *testing.T) {
	key := newRSA("k1")
	a := open(t, func(o *Options) { o.KeysFile = file(t, pemOf(t, key)) })
	good := key.sign(t, "RS256", claims(nil))
	for _, c := range []struct {
		name    string
		attempt access.Attempt
		reason  string // "mine": ErrNotMine
	}{
		{"nothing", access.Attempt{}, "mine"},
		{"a password", access.Attempt{HasPassword: true, Password: []byte("secret.with.dots")}, "mine"},
		{"begins alike", access.Attempt{HasPassword: true, Password: []byte("eyJust a password")}, "mine"},
		{"another method", access.Attempt{Method: "SCRAM-SHA-256", Data: []byte(good)}, "mine"},
		{"another method, with a token as password", access.Attempt{Method: "SCRAM-SHA-256", HasPassword: true, Password: []byte(good)}, "mine"},
		{"method", access.Attempt{Method: "OAUTH2-JWT", Data: []byte(good)}, ""},
		{"the other method", access.Attempt{Method: "CUSTOM-JWT", Data: []byte(good)}, ""},
		{"method without data", access.Attempt{Method: "OAUTH2-JWT"}, reasonMalformed},
		{"method with something else", access.Attempt{Method: "OAUTH2-JWT", Data: []byte("secret")}, reasonMalformed},
		{"the password does not count with a method", access.Attempt{Method: "OAUTH2-JWT", Data: []byte("x.y.z"), HasPassword: true, Password: []byte(good)}, reasonMalformed},
	} {
		_, err := a.Authenticate(context.Background(), &c.attempt)
		if c.reason == "mine" {
			if !errors.Is(err, access.ErrNotMine) {
				t.Errorf("%s: %v, want ErrNotMine", c.name, err)
			}
			continue
		}
		expectRefusal(t, c.name, err, c.reason)
	}
}

// What a token makes of a device.
func TestPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newRSA("k1")
		a := open(t, func(o *Options) {
			o.KeysFile = file(t, pemOf(t, key))
			o.Rules.Principal, o.Rules.Tenant, o.Rules.Groups, o.Rules.ClientIDs = "azp", "https://x.example/tenant", "/realm_access/roles", "ids"
		})
		now := time.Now()
		p, err := a.Authenticate(context.Background(), password(key.sign(t, "RS256", claims(jwt.MapClaims{
			"azp": "pump", "https://x.example/tenant": "acme", "realm_access": map[string]any{"roles": []string{"a", "b"}}, "ids": []string{"pump-*"},
			"scope": "read write", "level": 3, "on": true, "nested": map[string]any{"x": 1}, "mixed": []any{"a", map[string]any{}}, "empty": []string{},
		}))))
		if err != nil {
			t.Fatal(err)
		}
		want := &access.Principal{
			Key: (*a.local[0].keys.Load())[0].mark, Tenant: "acme", Name: "pump", Groups: []string{"a", "b"}, Source: "jwt", Credential: "jwt:" + issuer + "/id-1",
			Issued: now.Truncate(time.Second), Expires: now.Truncate(time.Second).Add(time.Hour + 30*time.Second), ClientIDs: []string{"pump-*"},
			Claims: map[string][]string{
				"iss": {issuer}, "aud": {audience}, "sub": {"device-7"}, "azp": {"pump"}, "https://x.example/tenant": {"acme"}, "ids": {"pump-*"},
				"scope": {"read", "write"}, "level": {"3"}, "on": {"true"},
			},
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
		expectRefusal(t, "without client identifiers", shows(a, key.sign(t, "RS256", claims(jwt.MapClaims{
			"azp": "pump", "https://x.example/tenant": "acme",
		}))), reasonClaims)
		only := open(t, func(o *Options) { o.KeysFile, o.Rules.Keep = file(t, pemOf(t, key)), []string{"sub", "jti", "absent"} })
		if p, err = only.Authenticate(context.Background(), password(key.sign(t, "RS256", claims(nil)))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string][]string{"sub": {"device-7"}}, p.Claims); diff != "" {
			t.Errorf("chosen claims (-want +got):\n%s", diff)
		}
	})
}

// A token is good until it ends, and for the leeway beyond.
func TestTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newRSA("k1")
		a := open(t, func(o *Options) { o.KeysFile = file(t, pemOf(t, key)) })
		text := key.sign(t, "RS256", claims(jwt.MapClaims{"nbf": time.Now().Add(time.Minute).Unix()}))
		expectRefusal(t, "a minute early", shows(a, text), reasonClaims)
		time.Sleep(30 * time.Second)
		expectRefusal(t, "within the leeway", shows(a, text), "")
		time.Sleep(time.Hour - time.Second)
		expectRefusal(t, "a second before the end", shows(a, text), "")
		time.Sleep(time.Second)
		expectRefusal(t, "at the end", shows(a, text), reasonExpired)
	})
}

// FuzzToken: nobody gets in without the key, and nothing fails otherwise than by a refusal.
func FuzzToken(f *testing.F) {
	key := newRSA("k1")
	good := key.sign(f, "RS256", claims(nil))
	for _, seed := range []string{good, "", "eyJ.eyJ.", "..", "eyJhbGciOiJub25lIn0.e30.", strings.Replace(good, ".", ".A", 1)} {
		f.Add(seed)
	}
	a := open(f, func(o *Options) { o.KeysFile, o.SecretFile = file(f, pemOf(f, key)), file(f, []byte(secretText)) })
	f.Fuzz(func(t *testing.T, text string) {
		p, err := a.Authenticate(context.Background(), &access.Attempt{Method: Methods[0], Data: []byte(text)})
		var refused *access.Refused
		switch {
		case err == nil && text != good:
			t.Fatalf("%q is let in as %+v", text, p)
		case err != nil && !errors.As(err, &refused):
			t.Fatalf("%q: %v is no refusal", text, err)
		}
	})
}

// FuzzClaims: whatever an issuer signs, a principal is complete and within its bounds, or there is none.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"a","exp":1e9,"iss":"i","aud":["x"],"groups":["g"],"a":{"b":1}}`, `{}`, `{"exp":1e400}`, `{"sub":["a"],"exp":253402300799,"jti":"\u0000"}`} {
		f.Add(seed, "sub", "/a/b")
	}
	now := time.Unix(1e9-10, 0)
	f.Fuzz(func(t *testing.T, text, principal, groups string) {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var c map[string]any
		if decoder.Decode(&c) != nil {
			return
		}
		r := Rules{Leeway: time.Second, Principal: principal, Groups: groups, Tenant: "t"}
		p, err := r.judge(c, now)
		var refused *access.Refused
		switch {
		case err != nil && (!errors.As(err, &refused) || p != nil):
			t.Fatalf("%v with %+v", err, p)
		case err == nil && (p.Name == "" || p.Tenant == "" || !p.Expires.After(now) || p.Check("x") != nil):
			t.Fatalf("%+v", p)
		}
	})
}
