package token

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
)

// key is one that verifies signatures.
type key struct {
	id        string // empty: it has none, and is tried for tokens whatever key they name
	algorithm string // the only one that it is for; empty: any that fits
	value     any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or secret
	mark      string // tells it from others
}

// marked gives keys their marks. A key under another name is the same one.
func marked(keys []key) []key {
	for i := range keys {
		var content []byte
		kind := "public:"
		if s, is := keys[i].value.(secret); is {
			kind, content = "secret:", s
		} else {
			content, _ = x509.MarshalPKIXPublicKey(keys[i].value) // fails for kinds that fits does not know
		}
		sum := sha256.Sum256(append([]byte(kind), content...))
		keys[i].mark = hex.EncodeToString(sum[:16])
	}
	return keys
}

// verifier is the key as the library takes it.
func (k *key) verifier() any {
	if s, ok := k.value.(secret); ok {
		return []byte(s) // fits has seen that the algorithm is an HMAC
	}
	return k.value
}

func has(keys []key, mark string) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return k.mark == mark })
}

func (k *key) takes(algorithm string) bool {
	return (k.algorithm == "" || k.algorithm == algorithm) && fits(algorithm, k.value)
}

// candidates are the keys to try for a token. With an identifier: the keys of this identifier, or if there are none, those without any. Without: all that
// fit, up to anonymousMax.
func candidates(keys []key, id, algorithm string) (found []*key) {
	var nameless []*key
	for i := range keys {
		k := &keys[i]
		switch {
		case !k.takes(algorithm):
		case id == "" || k.id == id:
			found = append(found, k)
		case k.id == "":
			nameless = append(nameless, k)
		}
	}
	if len(found) == 0 {
		found = nameless
	}
	return found[:min(len(found), anonymousMax)]
}
