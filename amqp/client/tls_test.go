package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/amqp/message"
)

// certificate makes a self-signed one for host, and a pool that trusts it.
func certificate(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t, "bus.example")
	b := newFakeBus(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // TLS needs a connection that takes bytes while nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.adopt(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
		}
	})
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}
	c := open(t, Options{URLs: []string{"amqps://bus.example"}, TLS: &tls.Config{RootCAs: pool}, Dial: dial})
	if o := publish(t, c, 0, textMessage("x", "y")); o.Kind != message.Accepted {
		t.Errorf("outcome %v (%v)", o.Kind, o.Error)
	}
	// The certificate of another host is refused, and the reason is told.
	wrong, err := Open(Options{URLs: []string{"amqps://other.example"}, TLS: &tls.Config{RootCAs: pool}, Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "Ready tells why", func() error {
		if err := wrong.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "other.example") {
			return err
		}
		return nil
	})
	if err := wrong.Close(deadline(t)); err != nil {
		t.Error(err)
	}
}
