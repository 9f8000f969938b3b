package token

// key is one that verifies signatures.
type key struct {
	id        string // empty: it has none, and is tried for tokens whatever key they name
	algorithm string // the only one that it is for; empty: any that fits
	value     any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or secret
}

func (k *key) takes(algorithm string) bool {
	return (k.algorithm == "" || k.algorithm == algorithm) && fits(algorithm, k.value)
}

// candidates are the keys to try for a token. With an identifier: the keys of this identifier, or if there are none, those without any. Without: all that
// fit, up to anonymousMax.
func candidates(keys []key, id, algorithm string) (found []any) {
	var nameless []any
	for i := range keys {
		k := &keys[i]
		switch {
		case !k.takes(algorithm):
		case id == "" || k.id == id:
			found = append(found, k.value)
		case k.id == "":
			nameless = append(nameless, k.value)
		}
	}
	if len(found) == 0 {
		found = nameless
	}
	return found[:min(len(found), anonymousMax)]
}
