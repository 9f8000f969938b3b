package token

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
)

// What cannot be used as a key is refused with what is wrong.
func TestKeysThatCannotBeUsed(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(rsaKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	changed := func(k signer, member string, value any) string {
		j := jwkOf(k)
		j[member] = value
		b, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	rsaKey, ec := newRSA("k"), newEC(t, "k", elliptic.P256())
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "has no key"},
		{"something else", "hello", "has no key"},
		{"private key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "private key"},
		{"short RSA", string(pemOf(t, signer{"", weak})), "1024 bits"},
		{"P-224", string(pemOf(t, newEC(t, "", elliptic.P224()))), "P-224"},
		{"half a PEM", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1, 2}})), "cannot be read"},
		{"no certificate", string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL"})), "X509 CRL"},
		{"half a JWK", `{"kty":`, "no JSON Web Key"},
		{"unknown kind", `{"kty":"X"}`, `kind "X"`},
		{"for encryption", changed(rsaKey, "use", "enc"), "not for signatures"},
		{"for signing only", changed(rsaKey, "key_ops", []string{"sign"}), "not for signatures"},
		{"RSA for ES256", changed(rsaKey, "alg", "ES256"), "takes no such key"},
		{"no exponent", changed(rsaKey, "e", ""), "no e"},
		{"even exponent", changed(rsaKey, "e", "AgAC"), "exponent"},
		{"huge modulus", changed(rsaKey, "n", strings.Repeat("_", 8192)), "too large"},
		{"padded", changed(rsaKey, "n", "AQAB=="), "no n"},
		{"not on the curve", changed(ec, "y", jwkOf(newEC(t, "", elliptic.P256()))["y"]), "no point"},
		{"another curve", changed(ec, "crv", "P-384"), "coordinates"},
		{"unknown curve", changed(ec, "crv", "secp256k1"), "secp256k1"},
		{"X25519", changed(newEd(t, ""), "crv", "X25519"), "not an Ed25519"},
		{"short secret", `{"kty":"oct","k":"c2VjcmV0"}`, "6 bytes"},
	} {
		if keys, err := parseKeys([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d keys, %v; want %q", c.name, len(keys), err, c.want)
		}
	}
	if _, err := parseSecret([]byte("short\n")); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("short secret: %v", err)
	}
}

// Keys of a set that are for others are passed over.
func TestASetWithKeysForOthers(t *testing.T) {
	good := jwkOf(newRSA("k1"))
	b, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "X"}, "text", good, map[string]any{"kty": "EC", "crv": "secp256k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseKeys(b)
	if err != nil || len(keys) != 1 || keys[0].id != "k1" {
		t.Errorf("%v, %v", keys, err)
	}
}

// Which keys are tried for a token.
func TestCandidates(t *testing.T) {
	a, b := newRSA(""), otherRSA("")
	ec := newEC(t, "", elliptic.P256())
	keys := []key{{id: "a", value: a.public()}, {id: "b", algorithm: "PS256", value: b.public()}, {id: "a", value: ec.public()}, {value: b.public()}}
	for _, c := range []struct {
		id, algorithm string
		want          int
	}{
		{"a", "RS256", 1}, {"a", "ES256", 1}, {"a", "ES384", 0}, {"b", "PS256", 1}, {"b", "RS256", 1}, {"unknown", "RS256", 1},
		{"unknown", "ES256", 0}, {"", "RS256", 2}, {"", "PS256", 3}, {"", "HS256", 0}, {"", "", 0}, {"", "none", 0},
	} {
		if got := candidates(keys, c.id, c.algorithm); len(got) != c.want {
			t.Errorf("%s, %s: %d keys, want %d", c.id, c.algorithm, len(got), c.want)
		}
	}
	many := make([]key, keysMax)
	for i := range many {
		many[i].value = a.public()
	}
	if got := candidates(many, "", "RS256"); len(got) != anonymousMax {
		t.Errorf("%d keys are tried, want %d", len(got), anonymousMax)
	}
}

// FuzzKeys: no content makes keys that cannot be used.
func FuzzKeys(f *testing.F) {
	f.Add(pemOf(f, newRSA("")))
	f.Add(jwksOf(f, newRSA("a"), newEC(f, "b", elliptic.P521()), newEd(f, "c")))
	f.Add([]byte(`{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := parseKeys(content)
		if err == nil && len(keys) == 0 || len(keys) > keysMax {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if checkKey(k.value) != nil {
				t.Fatalf("%+v", k)
			}
		}
	})
}
