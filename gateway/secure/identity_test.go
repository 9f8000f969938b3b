package secure

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/gateway/secure/securetest"
)

func expiredYesterday(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

func TestIdentity(t *testing.T) {
	ca := securetest.New(t, "CA")
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	full := ca.Issue("meter-1", func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses, c.URIs = []string{"Meter-1.Example"}, []string{"a@example.com"}, []*url.URL{uri("spiffe://example/meter/1")}
	})
	bare := ca.Issue("", func(c *x509.Certificate) { c.DNSNames = nil })
	several := ca.Issue("x", func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: "x"}, {Type: oidCommonName, Value: "y"}}
		c.DNSNames, c.EmailAddresses, c.URIs = []string{"a", "b"}, []string{"a@a", "b@a"}, []*url.URL{uri("a:b"), uri("c:d")}
	})
	twice := ca.Issue("x", func(c *x509.Certificate) { c.DNSNames = []string{"same", "SAME"} })
	long := ca.Issue("x", func(c *x509.Certificate) { c.URIs = []*url.URL{uri("x:" + strings.Repeat("y", identityMax))} })
	control := ca.Issue("two\nlines")
	for _, c := range []struct {
		name   string
		pair   securetest.Pair
		naming Naming
		want   string // of the error when it begins with !
	}{
		{"CN", full, NamedByCN, "meter-1"},
		{"URI", full, NamedByURI, "spiffe://example/meter/1"},
		{"DNS", full, NamedByDNS, "meter-1.example"},
		{"e-mail", full, NamedByEmail, "a@example.com"},
		{"DNS twice the same", twice, NamedByDNS, "same"},
		{"no CN", bare, NamedByCN, "!by cn (mqtt.tls.client_identity) not at all"},
		{"no URI", bare, NamedByURI, "!not at all"},
		{"no DNS", bare, NamedByDNS, "!not at all"},
		{"no e-mail", bare, NamedByEmail, "!not at all"},
		{"two CNs", several, NamedByCN, "!more than once"},
		{"two URIs", several, NamedByURI, "!more than once"},
		{"two DNS", several, NamedByDNS, "!more than once"},
		{"two e-mails", several, NamedByEmail, "!more than once"},
		{"too long", long, NamedByURI, "!in more than 1024 bytes"},
		{"a line break", control, NamedByCN, "!no text"},
		{"a naming there is none of", full, "serial", "!not at all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf := c.pair.TLS.Leaf
			name, err := c.naming.of(leaf)
			if say, bad := strings.CutPrefix(c.want, "!"); bad {
				contains(t, err, say)
			} else if err != nil || name != c.want {
				t.Errorf("got %q, %v; want %q", name, err, c.want)
			}
			state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, ca.Certificate}}}
			id, ok := IdentityOf(state, c.naming)
			if ok != (err == nil) || id.Name != name {
				t.Errorf("identity %+v, %v", id, ok)
			}
		})
	}
	// What nobody has verified names nobody.
	if id, ok := IdentityOf(tls.ConnectionState{PeerCertificates: []*x509.Certificate{full.TLS.Leaf}}, NamedByCN); ok {
		t.Errorf("an identity %+v without a verified chain", id)
	}
}

// TestACertificateThatNamesNobodyIsRefused, in the handshake already: later nobody could tell the device.
func TestACertificateThatNamesNobodyIsRefused(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca, stranger := securetest.New(t, "CA"), securetest.New(t, "stranger")
		files := filesOf(t, ca)
		files.ClientCA = securetest.File(t, ca.PEM)
		s := openServer(t, files)
		for _, way := range []ClientCertificates{Optional, Required} {
			node := s.Listen(Listener{Protocol: ProtocolMQTT, ClientCertificates: way, Naming: NamedByEmail})
			refused(t, node, device(ca, version, ca.Issue("meter")), RefusedNoIdentity)
			named := ca.Issue("meter", func(c *x509.Certificate) { c.EmailAddresses = []string{"m@example.com"} })
			client := device(ca, version, named)
			for _, resumed := range []bool{false, true} {
				m := welcome(t, node, client)
				if id, ok := IdentityOf(m.server, NamedByEmail); !ok || id.Name != "m@example.com" || m.server.DidResume != resumed {
					t.Errorf("%s: identity %+v, %v; resumed %v", way, id, ok, m.server.DidResume)
				}
			}
			foreign := device(ca, version)
			own := stranger.Issue("meter").TLS
			foreign.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
			refused(t, node, foreign, RefusedUnknownCA)
		}
		// Where none is asked for, none is looked at.
		off := s.Listen(Listener{Protocol: ProtocolMQTT, ClientCertificates: Off, Naming: NamedByEmail})
		if m := welcome(t, off, device(ca, version, ca.Issue("meter"))); len(m.server.PeerCertificates) != 0 {
			t.Error("a certificate was taken")
		}
	})
}
