package attack

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// No token but one that is whole, due, for us and of our issuer lets anybody in.
func TestForgedTokens(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		good := s.claims(s.acme, "meter")
		segments := strings.Split(s.sign(good), ".")
		payload := func(c jwt.MapClaims) string {
			return strings.Split(s.sign(c), ".")[1]
		}
		symmetric := func(method jwt.SigningMethod, secret any) string {
			token, err := jwt.NewWithClaims(method, good).SignedString(secret)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		header := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
		hour := func(n int) int64 { return time.Now().Add(time.Duration(n) * time.Hour).Unix() }
		bad := map[string]string{
			"expired":                    s.sign(changed(good, map[string]any{"exp": hour(-1)})),
			"never expires":              s.sign(changed(good, map[string]any{"exp": nil})),
			"not yet":                    s.sign(changed(good, map[string]any{"nbf": hour(1)})),
			"of another issuer":          s.sign(changed(good, map[string]any{"iss": "https://evil.example"})),
			"without an issuer":          s.sign(changed(good, map[string]any{"iss": nil})),
			"for another audience":       s.sign(changed(good, map[string]any{"aud": []string{"mail", "files"}})),
			"without an audience":        s.sign(changed(good, map[string]any{"aud": nil})),
			"without a principal":        s.sign(changed(good, map[string]any{"sub": nil})),
			"of nobody":                  s.sign(changed(good, map[string]any{"sub": "anonymous"})),
			"without a tenant":           s.sign(changed(good, map[string]any{"tenant": nil})),
			"of algorithm none":          symmetric(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
			"of algorithm None":          header(`{"alg":"None","typ":"JWT"}`) + "." + segments[1] + ".",
			"signed with the public key": symmetric(jwt.SigningMethodHS256, s.public),
			"with a key of its own":      header(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`) + "." + segments[1] + "." + segments[2],
			"with another's signature":   segments[0] + "." + payload(changed(good, map[string]any{"sub": "admin"})) + "." + segments[2],
			"without a signature":        segments[0] + "." + segments[1] + ".",
			"in two parts":               segments[0] + "." + segments[1],
			"empty":                      "",
			"endless":                    segments[0] + "." + strings.Repeat("A", 60_000) + "." + segments[2],
		}
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			w := s.victim(t, 0, v)
			for what, token := range bad {
				for node := range s.nodes {
					d, connack := s.try(t, node, v, rig.Prefix(t), token)
					expectRefused(t, "a token "+what, d, connack)
				}
			}
			w.turn()
			w.Disconnect()
		})
	})
}
