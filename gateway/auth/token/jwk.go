package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// jwk is a JSON Web Key (RFC 7517, 4), as far as keys for signatures need it.
type jwk struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	K      string   `json:"k"`
}

// parseJWKs reads a key, or a set of keys. Keys of a set that are for something else, or of a kind that is not known, are passed over (RFC 7517, 5): an
// issuer may have them for others. Secrets are taken where they may come from only.
func parseJWKs(content []byte, secrets bool) ([]key, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, fmt.Errorf("is no JSON Web Key or set of them: %w", err)
	}
	if set.Keys == nil {
		k, err := parseJWK(content, secrets)
		if err != nil {
			return nil, fmt.Errorf("holds a JSON Web Key that cannot be used: it %w", err)
		}
		return []key{k}, nil
	}
	if len(*set.Keys) > keysMax {
		return nil, fmt.Errorf("has %d keys; at most %d are taken", len(*set.Keys), keysMax)
	}
	var keys []key
	var first error
	for i, raw := range *set.Keys {
		k, err := parseJWK(raw, secrets)
		if err == nil {
			keys = append(keys, k)
		} else if first == nil {
			first = fmt.Errorf("key %d %w", i+1, err)
		}
	}
	if len(keys) == 0 {
		if first == nil {
			first = errors.New("it is empty")
		}
		return nil, fmt.Errorf("is a set without a key that can be used: %w", first)
	}
	return keys, nil
}

func parseJWK(content []byte, secrets bool) (key, error) {
	var j jwk
	if err := json.Unmarshal(content, &j); err != nil {
		return key{}, fmt.Errorf("is no JSON Web Key: %w", err)
	}
	if j.Use != "" && j.Use != "sig" || len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "verify") {
		return key{}, errors.New("is not for signatures (use, key_ops)")
	}
	value, err := j.value(secrets)
	if err == nil {
		err = checkKey(value)
	}
	if err != nil {
		return key{}, err
	}
	k := key{id: j.Kid, algorithm: j.Alg, value: value}
	if j.Alg != "" && !fits(j.Alg, value) {
		return key{}, fmt.Errorf("is for the algorithm %q, which takes no such key", j.Alg)
	}
	return k, nil
}

// value is the key itself (RFC 7518, 6; RFC 8037, 2).
func (j *jwk) value(secrets bool) (any, error) {
	switch j.Kty {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ecdsa()
	case "OKP":
		x, err := member("x", j.X)
		if err != nil {
			return nil, err
		}
		if j.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("is not an Ed25519 key (crv is %q, x has %d bytes)", j.Crv, len(x))
		}
		return ed25519.PublicKey(x), nil
	case "oct":
		if !secrets {
			return nil, errors.New("is a secret; a secret is taken from a file only")
		}
		k, err := member("k", j.K)
		return secret(k), err
	}
	return nil, fmt.Errorf("is of the kind %q; RSA, EC and OKP are known", j.Kty)
}

func (j *jwk) rsa() (any, error) {
	n, err := member("n", j.N)
	if err != nil {
		return nil, err
	}
	e, err := member("e", j.E)
	if err != nil {
		return nil, err
	}
	if len(n) > rsaMax/8+1 || len(e) > 4 {
		return nil, fmt.Errorf("is an RSA key that is too large (n has %d bytes, e %d)", len(n), len(e))
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func (j *jwk) ecdsa() (any, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Crv]
	if !ok {
		return nil, fmt.Errorf("is on the curve %q; P-256, P-384 and P-521 are known", j.Crv)
	}
	x, err := member("x", j.X)
	if err != nil {
		return nil, err
	}
	y, err := member("y", j.Y)
	if err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("is on %s with coordinates of %d and %d bytes; they have %d", j.Crv, len(x), len(y), size)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, fmt.Errorf("is no point of %s", j.Crv)
	}
	return k, nil
}

func member(name, value string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("has no %s in base64url", name)
	}
	return b, nil
}
