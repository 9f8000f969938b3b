package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"slices"
)

// The algorithms (RFC 7518, 3.1; RFC 8037) that can be allowed. Asymmetric are those whose keys can be public.
var (
	Asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	Symmetric  = []string{"HS256", "HS384", "HS512"}
)

// curves are those of the algorithms on elliptic curves: each has one (RFC 7518, 3.4).
var curves = map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

// secretMin is the shortest secret of an HMAC, in bytes: as long as its hash (RFC 7518, 3.2).
var secretMin = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// fits reports whether an algorithm may be verified with a key.
func fits(algorithm string, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return slices.Contains(Asymmetric[:6], algorithm)
	case *ecdsa.PublicKey:
		return curves[algorithm] == k.Curve.Params().Name
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	case secret:
		least, hmac := secretMin[algorithm]
		return hmac && len(k) >= least
	}
	return false
}

// secret is a key of an HMAC. It is a type of its own, so that no other bytes become one.
type secret []byte

// checkKey refuses keys that no algorithm takes.
func checkKey(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < rsaMin || n > rsaMax {
			return fmt.Errorf("is an RSA key of %d bits; use one of %d to %d", n, rsaMin, rsaMax)
		}
		if k.E < 3 || k.E%2 == 0 {
			return fmt.Errorf("is an RSA key with the exponent %d, which is none", k.E)
		}
	case *ecdsa.PublicKey:
		if name := k.Curve.Params().Name; name != "P-256" && name != "P-384" && name != "P-521" {
			return fmt.Errorf("is on the curve %s; use P-256, P-384 or P-521", name)
		}
	case ed25519.PublicKey:
	case secret:
		if least := secretMin["HS256"]; len(k) < least {
			return fmt.Errorf("is a secret of %d bytes; use at least %d, of good randomness", len(k), least)
		}
	default:
		return fmt.Errorf("is a key of another kind (%T); use RSA, ECDSA or Ed25519", key)
	}
	return nil
}
