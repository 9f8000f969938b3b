package secure

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Naming says which part of a certificate names its owner. There is one for a listener, and not a list to fall back along: a CA that is careful with one
// kind of name may let anybody write what he likes into another.
type Naming string

// The namings, as the configuration has them.
const (
	NamedByCN    Naming = "cn"    // the subject's common name
	NamedByURI   Naming = "uri"   // the alternative name of type URI, as SPIFFE's
	NamedByDNS   Naming = "dns"   // the alternative name of type DNS, in lower case
	NamedByEmail Naming = "email" // the alternative name of type e-mail
)

// Identity is who is at the other end of a connection, by its certificate.
type Identity struct {
	Name   string // never empty, UTF-8 without control characters
	Naming Naming
	Serial string // of the certificate, hexadecimal; unique among those of its CA
}

// IdentityOf gives the identity of a connection whose handshake is over, full or resumed; false where the device has shown no certificate.
func IdentityOf(state tls.ConnectionState, naming Naming) (Identity, bool) {
	if len(state.VerifiedChains) == 0 {
		return Identity{}, false
	}
	leaf := state.PeerCertificates[0]
	name, err := naming.of(leaf)
	return Identity{name, naming, leaf.SerialNumber.Text(16)}, err == nil
}

// of gives the one name of a kind. None, or several, is an error: guessing which one is meant is guessing who somebody is.
func (n Naming) of(c *x509.Certificate) (string, error) {
	var names []string
	switch n {
	case NamedByCN:
		names = commonNames(c)
	case NamedByURI:
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	case NamedByDNS:
		for _, d := range c.DNSNames {
			names = append(names, strings.ToLower(d))
		}
	case NamedByEmail:
		names = c.EmailAddresses
	}
	slices.Sort(names)
	names = slices.Compact(names)
	refused := func(why string) error {
		return &Refused{RefusedNoIdentity, fmt.Sprintf("%s names its owner by %s (mqtt.tls.client_identity) %s", c.Subject, n, why)}
	}
	switch {
	case len(names) == 0 || names[0] == "":
		return "", refused("not at all")
	case len(names) > 1:
		return "", refused("more than once")
	case len(names[0]) > identityMax:
		return "", refused(fmt.Sprintf("in more than %d bytes", identityMax))
	case !utf8.ValidString(names[0]) || strings.ContainsFunc(names[0], unicode.IsControl):
		return "", refused("with characters that are no text")
	}
	return names[0], nil
}

// commonNames gives all of them: x509 keeps the last, and a CA may have let through a subject with two.
func commonNames(c *x509.Certificate) (names []string) {
	for _, a := range c.Subject.Names {
		if s, ok := a.Value.(string); ok && a.Type.Equal(oidCommonName) {
			names = append(names, s)
		}
	}
	return names
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3} // X.520
