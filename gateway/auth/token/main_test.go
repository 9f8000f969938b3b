package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/gateway/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://issuer.example"
	audience = "sluice"
)

// secretText is long enough for HS512.
const secretText = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// signer makes tokens with one key.
type signer struct {
	id      string
	private any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, []byte
}

var rsaKeys = sync.OnceValue(func() (keys []*rsa.PrivateKey) {
	for range 2 {
		k, err := rsa.GenerateKey(rand.Reader, rsaMin)
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

func newRSA(id string) signer { return signer{id, rsaKeys()[0]} }

// otherRSA is another key.
func otherRSA(id string) signer { return signer{id, rsaKeys()[1]} }

func newEC(t testing.TB, id string, curve elliptic.Curve) signer {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, k}
}

func newEd(t testing.TB, id string) signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, k}
}

func (s signer) public() crypto.PublicKey { return s.private.(crypto.Signer).Public() }

// sign makes a token; an empty id leaves kid out.
func (s signer) sign(t testing.TB, algorithm string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if s.id != "" {
		token.Header["kid"] = s.id
	}
	text, err := token.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are good ones, but for the changes; a nil value removes a claim.
func claims(changes jwt.MapClaims) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": "device-7", "jti": "id-1", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func rules() Rules {
	return Rules{Issuers: []string{issuer}, Audiences: []string{audience}, Leeway: 30 * time.Second, Principal: "sub", Groups: "groups"}
}

// pemOf writes public keys as a file holds them.
func pemOf(t testing.TB, keys ...signer) (all []byte) {
	t.Helper()
	for _, k := range keys {
		der, err := x509.MarshalPKIXPublicKey(k.public())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return all
}

// jwkOf writes a public key as a JSON Web Key.
func jwkOf(k signer) map[string]any {
	enc := base64.RawURLEncoding.EncodeToString
	j := map[string]any{"use": "sig"}
	if k.id != "" {
		j["kid"] = k.id
	}
	switch p := k.public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", enc(p.N.Bytes()), enc([]byte{1, 0, 1})
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", p.Curve.Params().Name, enc(point[1:1+half]), enc(point[1+half:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", enc(p)
	}
	return j
}

func jwksOf(t testing.TB, keys ...signer) []byte {
	t.Helper()
	list := []any{}
	for _, k := range keys {
		list = append(list, jwkOf(k))
	}
	b, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// open opens an authenticator that allows all algorithms.
func open(t testing.TB, change func(*Options)) *Authenticator {
	t.Helper()
	opt := Options{
		Rules: rules(), Algorithms: slices.Concat(Asymmetric, Symmetric), Refresh: 5 * time.Minute,
		Logger: zap.NewNop(), Registry: prometheus.NewRegistry(),
	}
	change(&opt)
	a, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func password(text string) *access.Attempt {
	return &access.Attempt{HasPassword: true, Password: []byte(text)}
}

// expectRefusal wants a reason; empty: that it is let in.
func expectRefusal(t testing.TB, what string, err error, reason string) {
	t.Helper()
	var refused *access.Refused
	switch {
	case reason == "" && err != nil:
		t.Errorf("%s: %v, want it let in", what, err)
	case reason != "" && (!errors.As(err, &refused) || refused.Reason != reason):
		t.Errorf("%s: %v, want %s", what, err, reason)
	case reason != "" && !refused.Unguessable:
		t.Errorf("%s: it is refused as a guess", what)
	}
}

// shows asks the authenticator about a token as password.
func shows(a *Authenticator, text string) error {
	_, err := a.Authenticate(context.Background(), password(text))
	return err
}
