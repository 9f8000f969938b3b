package secure

import (
	"crypto/tls"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"sluice/gateway/secure/securetest"
)

// TestClient: it trusts its CA alone, checks the name, and shows the newest certificate.
func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, other := securetest.New(t, "CA"), securetest.New(t, "other")
		own := ca.Issue("node-1")
		cert, key := own.Files(t)
		c, err := Client(ClientFiles{Key: "bus.tls", CA: securetest.File(t, ca.PEM), Cert: cert, PrivateKey: key, ServerName: "bus.example"}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		server := func(from *securetest.Authority, name string) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{from.Issue(name).TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
		}
		shown := func() string {
			return welcome(t, server(ca, "bus.example"), c).server.PeerCertificates[0].SerialNumber.String()
		}
		if got := shown(); got != own.TLS.Leaf.SerialNumber.String() {
			t.Errorf("shows %s", got)
		}
		for _, bad := range []struct {
			server *tls.Config
			want   string
		}{
			{server(ca, "elsewhere"), "use a name of the certificate in the URL, or set bus.tls.server_name"},
			{server(other, "bus.example"), "CA of the other side's certificate in bus.tls.ca"},
			{&tls.Config{Certificates: []tls.Certificate{ca.Issue("bus.example", expiredYesterday).TLS}}, "renew the certificate"},
			{&tls.Config{MaxVersion: tls.VersionTLS11}, "protocol version"}, // as it is
		} {
			contains(t, Mend("bus.tls", meet(t, bad.server, c).clientErr), bad.want)
		}
		renewed := ca.Issue("node-1")
		securetest.Write(t, cert, renewed.Cert)
		if got := shown(); got != own.TLS.Leaf.SerialNumber.String() {
			t.Errorf("shows %s while the new key is not there", got)
		}
		securetest.Write(t, key, renewed.KeyPEM)
		if got := shown(); got != renewed.TLS.Leaf.SerialNumber.String() {
			t.Errorf("shows %s after the renewal", got)
		}
		picky := server(ca, "bus.example")
		picky.ClientCAs = other.Pool()
		m := meet(t, picky, c)
		contains(t, m.clientErr, "bus.tls.cert", cert, "does not take")
	})
}

func TestFaultsOfAClient(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("node").Files(t)
	for _, c := range []struct {
		name  string
		files ClientFiles
		want  []string
	}{
		{"no CA file", ClientFiles{CA: "no-such.pem"}, []string{"sessions.tls.ca:", `"no-such.pem"`}},
		{"no CA in it", ClientFiles{CA: key}, []string{"sessions.tls.ca:", "no certificate"}},
		{"no certificate", ClientFiles{Cert: "no-such.pem", PrivateKey: key}, []string{"sessions.tls.cert:", `"no-such.pem"`}},
		{"no key", ClientFiles{Cert: cert, PrivateKey: "no-such.key"}, []string{"sessions.tls.key:", `"no-such.key"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.files.Key = "sessions.tls"
			_, err := Client(c.files, zap.NewNop())
			contains(t, err, c.want...)
		})
	}
	if !(ClientFiles{Key: "bus.tls"}).Empty() || (ClientFiles{ServerName: "x"}).Empty() {
		t.Error("Empty")
	}
}
