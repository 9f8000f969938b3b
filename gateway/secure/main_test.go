package secure

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/gateway/secure/securetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// versions are those that must behave alike.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// openServer opens the files and runs the Server until the test ends.
func openServer(t *testing.T, files ServerFiles) *Server {
	t.Helper()
	s, err := Open(files, zap.NewNop(), NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// met is how a handshake ended. A client learns of a refusal by reading.
type met struct {
	server, client       tls.ConnectionState
	serverErr, clientErr error
}

// meet makes client and server shake hands, within a bubble's patience, and closes the connection.
func meet(t *testing.T, server, client *tls.Config) (m met) {
	t.Helper()
	a, b := net.Pipe()
	ours, theirs := buffer(a), buffer(b)
	_ = ours.SetDeadline(time.Now().Add(time.Second))
	_ = theirs.SetDeadline(time.Now().Add(time.Second))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ours.Close()
		conn := tls.Server(ours, server)
		if m.serverErr = conn.Handshake(); m.serverErr == nil {
			m.server = conn.ConnectionState()
			_, m.serverErr = conn.Write([]byte("x"))
		}
	}()
	conn := tls.Client(theirs, client)
	if m.clientErr = conn.Handshake(); m.clientErr == nil {
		m.client = conn.ConnectionState()
		_, m.clientErr = io.ReadFull(conn, make([]byte, 1)) // tickets of TLS 1.3 come with it
	}
	_ = theirs.Close()
	<-done
	return m
}

// buffered takes what is written at once, as a socket does: both sides may be writing when one of them refuses the other.
type buffered struct {
	net.Conn
	queue chan []byte
	ended chan struct{}
}

func buffer(conn net.Conn) *buffered {
	b := &buffered{conn, make(chan []byte, 64), make(chan struct{})} // more than the records of a handshake
	go func() {
		defer close(b.ended)
		for p := range b.queue {
			_, _ = b.Conn.Write(p)
		}
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.queue <- bytes.Clone(p)
	return len(p), nil
}

// Close lets the other side have what was written.
func (b *buffered) Close() error {
	close(b.queue)
	<-b.ended
	return b.Conn.Close()
}

// welcome expects a handshake that succeeds.
func welcome(t *testing.T, server, client *tls.Config) met {
	t.Helper()
	m := meet(t, server, client)
	if m.serverErr != nil || m.clientErr != nil {
		t.Fatalf("server: %v, client: %v", m.serverErr, m.clientErr)
	}
	return m
}

// refused expects a handshake that the server refuses for this reason.
func refused(t *testing.T, server, client *tls.Config, reason string) {
	t.Helper()
	m := meet(t, server, client)
	if m.serverErr == nil || m.clientErr == nil {
		t.Errorf("let in; want %q", reason)
	} else if got := Failure(m.serverErr); got != reason {
		t.Errorf("refused with %v, which is %q; want %q", m.serverErr, got, reason)
	}
}

// device is how a client meets a server of this authority.
func device(ca *securetest.Authority, version uint16, own ...securetest.Pair) *tls.Config {
	c := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for _, p := range own {
		c.Certificates = append(c.Certificates, p.TLS)
	}
	return c
}

// filesOf are the files of a server whose certificate is of ca.
func filesOf(t *testing.T, ca *securetest.Authority) ServerFiles {
	t.Helper()
	cert, key := ca.Issue("localhost").Files(t)
	return ServerFiles{Cert: cert, Key: key}
}

func contains(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v does not say %q", err, w)
		}
	}
}
