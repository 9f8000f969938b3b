package sessionstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// ErrInvalid: the request breaks a rule of this package (an empty client id, a field over its limit). The wrapped text names the field.
// It is a fault of the caller: repeating it does not help.
var ErrInvalid = errors.New("sessionstore: invalid")

// String gives the key as tenant/principal/client-id, each part percent-escaped. It is total and reversible (ParseKey), has no blank and
// none of "{}" in it, and two keys never share a string: safe inside Redis keys, channel payloads and log lines.
func (k Key) String() string {
	return url.PathEscape(k.Tenant) + "/" + url.PathEscape(k.Principal) + "/" + url.PathEscape(k.ClientID)
}

// ParseKey is the inverse of Key.String. It accepts only what String writes, so that one key has one spelling.
func ParseKey(s string) (Key, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Key{}, fmt.Errorf("%w: key %q: want tenant/principal/client-id", ErrInvalid, s)
	}
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return Key{}, fmt.Errorf("%w: key %q: part %d is not percent-escaped", ErrInvalid, s, i+1)
		}
		parts[i] = plain
	}
	k := Key{Tenant: parts[0], Principal: parts[1], ClientID: parts[2]}
	if k.String() != s {
		return Key{}, fmt.Errorf("%w: key %q: not in the form Key.String writes, want %q", ErrInvalid, s, k.String())
	}
	return k, k.Validate()
}

// Validate refuses a key no device can have: without a client id (the gateway assigns one before it claims, [MQTT-3.1.3-6]), not UTF-8
// [MQTT-1.5.4-1], or longer than an MQTT string.
func (k Key) Validate() error {
	if k.ClientID == "" {
		return fmt.Errorf("%w: key: the client id is empty", ErrInvalid)
	}
	for _, f := range []struct{ name, value string }{{"tenant", k.Tenant}, {"principal", k.Principal}, {"client id", k.ClientID}} {
		if err := validString("key: the "+f.name, f.value); err != nil {
			return err
		}
		if !utf8.ValidString(f.value) {
			return fmt.Errorf("%w: key: the %s is not UTF-8", ErrInvalid, f.name)
		}
	}
	return nil
}

func validString(what, s string) error {
	if len(s) > MaxString {
		return fmt.Errorf("%w: %s has %d bytes, at most %d are kept", ErrInvalid, what, len(s), MaxString)
	}
	return nil
}
