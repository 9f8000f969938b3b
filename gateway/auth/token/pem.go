package token

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// parseKeys reads a file with keys: PEM (public keys and certificates), a JSON Web Key, or a set of them.
func parseKeys(content []byte) ([]key, error) {
	trimmed := bytes.TrimSpace(content)
	if bytes.HasPrefix(trimmed, []byte("{")) {
		return parseJWKs(trimmed, true)
	}
	var keys []key
	for block, rest := pem.Decode(trimmed); block != nil; block, rest = pem.Decode(rest) {
		value, err := parseBlock(block)
		if err == nil {
			err = checkKey(value)
		}
		if err != nil {
			return nil, fmt.Errorf("key %d %w", len(keys)+1, err)
		}
		if keys = append(keys, key{value: value}); len(keys) > keysMax {
			return nil, fmt.Errorf("has more than %d keys", keysMax)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("has no key; it is to hold public keys as PEM (-----BEGIN PUBLIC KEY-----), or a JSON Web Key or a set of them")
	}
	return keys, nil
}

func parseBlock(b *pem.Block) (any, error) {
	var value any
	var err error
	switch b.Type {
	case "PUBLIC KEY":
		value, err = x509.ParsePKIXPublicKey(b.Bytes)
	case "RSA PUBLIC KEY":
		value, err = x509.ParsePKCS1PublicKey(b.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(b.Bytes); err == nil {
			value = c.PublicKey
		}
	default:
		if strings.Contains(b.Type, "PRIVATE KEY") {
			return nil, errors.New("is a private key, which has no business here; put its public half there (openssl pkey -pubout), and consider it known to others")
		}
		return nil, fmt.Errorf("is a PEM block %q; use PUBLIC KEY", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return value, nil
}

// parseSecret takes the content of a file as a secret, without the end of the line that editors put there.
func parseSecret(content []byte) ([]key, error) {
	s := secret(bytes.TrimRight(content, "\r\n"))
	if err := checkKey(s); err != nil {
		return nil, err
	}
	return []key{{value: s}}, nil
}
