package secure

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice/gateway/reload"
	"sluice/gateway/secure/securetest"
)

// TestACertificateIsReplacedUnderConnections: those that exist go on, new ones see the new certificate, files in between harm nobody.
func TestACertificateIsReplacedUnderConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		logs, log := observed()
		registry := prometheus.NewRegistry()
		s, err := Open(files, log, NewMetrics(registry))
		if err != nil {
			t.Fatal(err)
		}
		node := s.Listen(Listener{Protocol: ProtocolMQTT})
		running(t, s)
		later := func() {
			time.Sleep(2 * reload.Pause)
			synctest.Wait()
		}
		serial := func() string {
			return welcome(t, node, device(ca, tls.VersionTLS13)).client.PeerCertificates[0].SerialNumber.String()
		}
		held := hold(t, node, device(ca, tls.VersionTLS13))
		old, renewed := serial(), ca.Issue("localhost")

		securetest.Write(t, files.Cert, renewed.Cert) // its key has not come yet
		later()
		if serial() != old {
			t.Error("a certificate without its key is in use")
		}
		if got := value(t, registry, "sluice_tls_files_stale", "certificate"); got != 1 {
			t.Errorf("stale is %v, want 1", got)
		}
		if n := logs.FilterMessageSnippet("cannot be used").Len(); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		held.echo(t)

		securetest.Write(t, files.Key, renewed.KeyPEM)
		later()
		if got := serial(); got == old || got != renewed.TLS.Leaf.SerialNumber.String() {
			t.Errorf("serial number %s after %s, want the new one", got, old)
		}
		if value(t, registry, "sluice_tls_files_stale", "certificate") != 0 || value(t, registry, "sluice_tls_certificate_expires_timestamp_seconds") != float64(renewed.TLS.Leaf.NotAfter.Unix()) {
			t.Error("the metrics do not follow")
		}
		held.echo(t)

		if err := os.Remove(files.Key); err != nil {
			t.Fatal(err)
		}
		later()
		serial() // still served
		held.echo(t)
		held.close()
		if used, refused := value(t, registry, "sluice_tls_reloads_total", "used", "certificate"), value(t, registry, "sluice_tls_reloads_total", "refused", "certificate"); used != 1 || refused != 2 {
			t.Errorf("%v used and %v refused, want 1 and 2", used, refused)
		}
	})
}

// value is that of a metric with these values of its labels.
func value(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() { // in the order of their names
				got = append(got, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(got, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %v", name, labels)
	return 0
}

func observed() (*observer.ObservedLogs, *zap.Logger) {
	core, logs := observer.New(zap.InfoLevel)
	return logs, zap.New(core)
}

// held is a connection that stays.
type held struct {
	client *tls.Conn
	close  func()
}

func hold(t *testing.T, server, client *tls.Config) held {
	t.Helper()
	a, b := net.Pipe()
	ours, theirs := buffer(a), buffer(b)
	conn, done := tls.Client(theirs, client), make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(ours, server)
		for p := make([]byte, 16); ; {
			n, err := conn.Read(p)
			if err != nil {
				_ = ours.Close()
				return
			}
			_, _ = conn.Write(p[:n])
		}
	}()
	return held{conn, func() {
		_ = theirs.Close()
		<-done
	}}
}

func (h held) echo(t *testing.T) {
	t.Helper()
	_ = h.client.SetDeadline(time.Now().Add(time.Second))
	got := make([]byte, 16)
	if _, err := h.client.Write([]byte("still there?")); err != nil {
		t.Fatal(err)
	}
	if n, err := h.client.Read(got); err != nil || string(got[:n]) != "still there?" {
		t.Fatalf("got %q, %v", got[:n], err)
	}
}

// TestFaultsOfFiles: each names the key, the file and the mend.
func TestFaultsOfFiles(t *testing.T) {
	ca := securetest.New(t, "CA")
	pair, other := ca.Issue("a"), ca.Issue("b")
	past := ca.Issue("past", expiredYesterday)
	file := func(b []byte) string { return securetest.File(t, b) }
	good := ServerFiles{Cert: file(pair.Cert), Key: file(pair.KeyPEM)}
	with := func(change func(*ServerFiles)) ServerFiles {
		f := good
		change(&f)
		return f
	}
	encrypted := "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
	for _, c := range []struct {
		name  string
		files ServerFiles
		want  []string
	}{
		{"no certificate", with(func(f *ServerFiles) { f.Cert = "no-such.pem" }), []string{"mqtt.tls.cert:", `"no-such.pem"`, "no such file", "may read"}},
		{"no key", with(func(f *ServerFiles) { f.Key = "no-such.key" }), []string{"mqtt.tls.key:", `"no-such.key"`}},
		{"a folder", with(func(f *ServerFiles) { f.Key = t.TempDir() }), []string{"mqtt.tls.key:", "is a directory"}},
		{"the key of another", with(func(f *ServerFiles) { f.Key = file(other.KeyPEM) }), []string{"mqtt.tls.cert, mqtt.tls.key:", "does not match", "PEM"}},
		{"an encrypted key", with(func(f *ServerFiles) { f.Key = file([]byte(encrypted)) }), []string{"mqtt.tls.key:", "password", "openssl pkey"}},
		{"expired", with(func(f *ServerFiles) { f.Cert, f.Key = file(past.Cert), file(past.KeyPEM) }), []string{"mqtt.tls.cert:", "has expired on", "renewed"}},
		{"a huge file", with(func(f *ServerFiles) { f.Cert = file(make([]byte, fileMax+1)) }), []string{"mqtt.tls.cert:", "1048576 bytes"}},
		{"no CA", with(func(f *ServerFiles) { f.ClientCA = file(pair.KeyPEM) }), []string{"mqtt.tls.client_ca:", "no certificate", "BEGIN CERTIFICATE"}},
		{"a broken CA", with(func(f *ServerFiles) {
			f.ClientCA = file([]byte(string(ca.PEM) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}), []string{"mqtt.tls.client_ca:", "certificate 2"}},
		{"a short secret", with(func(f *ServerFiles) { f.TicketSecret = file([]byte("secret")) }), []string{"mqtt.tls.ticket_secret:", "6 bytes", "openssl rand"}},
		{"no secret", with(func(f *ServerFiles) { f.TicketSecret = file([]byte("\n# nothing\n")) }), []string{"mqtt.tls.ticket_secret:", "no secret", "openssl rand"}},
		{"too many secrets", with(func(f *ServerFiles) { f.TicketSecret = file([]byte(strings.Repeat(string(secret), 5))) }), []string{"mqtt.tls.ticket_secret:", "5 secrets"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.files, zap.NewNop(), NewMetrics(prometheus.NewRegistry()))
			contains(t, err, c.want...)
			if err != nil && strings.Contains(err.Error(), "0123456789abcdef") {
				t.Errorf("%v shows a secret", err)
			}
		})
	}
}
