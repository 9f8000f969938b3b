package secure

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/secure/securetest"
)

// BenchmarkHandshake is what a connection costs the node, with a device's certificate: in full, and resumed. The device's half is in it too, on the same
// processors; it is the cheaper one when resumed, and the dearer one in full.
func BenchmarkHandshake(b *testing.B) {
	ca := securetest.New(b, "CA")
	cert, key := ca.Issue("localhost").Files(b)
	s, err := Open(ServerFiles{Cert: cert, Key: key, ClientCA: securetest.File(b, ca.PEM)}, zap.NewNop(), NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		b.Fatal(err)
	}
	node := s.Listen(demanding)
	for _, version := range versions {
		for _, resume := range []bool{false, true} {
			name := tls.VersionName(version) + "/full"
			if resume {
				name = tls.VersionName(version) + "/resumed"
			}
			b.Run(name, func(b *testing.B) {
				client := device(ca, version, ca.Issue("meter"))
				if !resume {
					client.ClientSessionCache = nil
				}
				shake(b, node, client)
				for b.Loop() {
					if shake(b, node, client) != resume {
						b.Fatal("not of the kind that is measured")
					}
				}
			})
		}
	}
}

// shake makes a connection and reports whether it was resumed.
func shake(b *testing.B, server, client *tls.Config) bool {
	x, y := net.Pipe()
	ours, theirs := buffer(x), buffer(y)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ours.Close()
		_, _ = tls.Server(ours, server).Write([]byte("x"))
	}()
	conn := tls.Client(theirs, client)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	_ = theirs.Close()
	<-done
	return conn.ConnectionState().DidResume
}
