package secure

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sluice/gateway/secure/securetest"
)

// TestPolicy: what docs/tls.md says is spoken is spoken, and nothing else.
func TestPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := securetest.New(t, "CA")
		node := openServer(t, filesOf(t, ca)).Listen(Listener{Protocol: ProtocolMQTT})
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !slices.Contains(s.SupportedVersions, uint16(tls.VersionTLS12)) || strings.Contains(s.Name, "_RSA_") && slices.Contains(Suites12, s.ID) {
				continue // the certificate here is of an elliptic curve
			}
			client := device(ca, tls.VersionTLS12)
			client.CipherSuites = []uint16{s.ID}
			if m := meet(t, node, client); (m.serverErr == nil) != slices.Contains(Suites12, s.ID) {
				t.Errorf("%s: %v", s.Name, m.serverErr)
			}
		}
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
			if m := meet(t, node, device(ca, v)); m.serverErr == nil {
				t.Errorf("%s is spoken", tls.VersionName(v))
			}
		}
		for _, c := range []struct {
			offered []string
			want    string
			refused bool
		}{
			{nil, "", false}, {[]string{"mqtt"}, "mqtt", false}, {[]string{"h2", "mqtt"}, "mqtt", false}, {[]string{"h2"}, "", true},
		} {
			client := device(ca, tls.VersionTLS13)
			client.NextProtos = c.offered
			if m := meet(t, node, client); (m.serverErr != nil) != c.refused || m.client.NegotiatedProtocol != c.want && !c.refused {
				t.Errorf("ALPN %v: %q, %v", c.offered, m.client.NegotiatedProtocol, m.serverErr)
			}
		}
	})
}

func TestTheDocumentNamesTheSuites(t *testing.T) {
	doc, err := os.ReadFile("../../docs/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		want := slices.Contains(Suites12, s.ID) || slices.Equal(s.SupportedVersions, []uint16{tls.VersionTLS13})
		if strings.Contains(string(doc), "`"+s.Name+"`") != want {
			t.Errorf("docs/tls.md names %s: %v, want %v", s.Name, !want, want)
		}
	}
}

func TestTheDocumentNamesTheReasons(t *testing.T) {
	doc, err := os.ReadFile("../../docs/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []string{
		RefusedRevoked, RefusedExpired, RefusedUnknownCA, RefusedNoCRL, RefusedCRLExpired, RefusedNoIdentity, FailedTimeout, FailedClosed, FailedNotTLS, FailedOther,
	} {
		if !strings.Contains(string(doc), "`"+r+"`") {
			t.Errorf("docs/tls.md does not name %s", r)
		}
	}
}
