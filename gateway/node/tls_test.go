package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// TestHandshakesAreCounted, by listener, version and kind; failures by their reason. The log names who shows a certificate.
func TestHandshakesAreCounted(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	good, revoked := ca.Issue("meter-1"), ca.Issue("meter-2")
	n, logs := startObserved(t, "mqtt.tls.listen=127.0.0.1:0", "mqtt.wss.listen=127.0.0.1:0", "mqtt.tls.cert="+cert, "mqtt.tls.key="+key,
		"mqtt.tls.client_certificates=required", "mqtt.tls.client_ca="+securetest.File(t, ca.PEM),
		"mqtt.tls.client_crl="+securetest.File(t, ca.CRL(time.Now().Add(time.Hour), revoked)), "mqtt.connect_timeout=6s") // enough for the handshakes on a slow machine
	device := func(p securetest.Pair) *tls.Config {
		return &tls.Config{RootCAs: ca.Pool(), ServerName: "gateway", Certificates: []tls.Certificate{p.TLS}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	}
	again := device(good)
	for range 2 {
		d := mqtttest.New(t, dialTLS(t, n.TLS, again), packet.V5)
		d.Connect()
		d.Disconnect()
		d.ExpectClosed()
	}
	for _, e := range awaitLogs(t, logs, "connection closed", 2) {
		if e.ContextMap()["certificate"] != "meter-1" {
			t.Errorf("the log has %v", e.ContextMap())
		}
	}
	if _, err := dialTLS(t, n.TLS, device(revoked)).Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("a revoked certificate gets %v", err)
	}
	dialWith(t, n.TLS, "\x10\x0f\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x02ab") // no TLS
	_ = dialWith(t, n.TLS, "").Close()
	dialWith(t, n.TLS, "") // waits for mqtt.connect_timeout
	dialTLS(t, n.WSS, &tls.Config{RootCAs: ca.Pool(), ServerName: "gateway", MaxVersion: tls.VersionTLS12})
	const failures = `sluice_tls_handshake_failures_total{listener="mqtt.tls.listen",reason=`
	hasMetrics(t, n,
		`sluice_tls_handshakes_total{kind="full",listener="mqtt.tls.listen",version="TLS 1.3"} 1`,
		`sluice_tls_handshakes_total{kind="resumed",listener="mqtt.tls.listen",version="TLS 1.3"} 1`,
		`sluice_tls_handshakes_total{kind="full",listener="mqtt.wss.listen",version="TLS 1.2"} 1`,
		failures+`"revoked"} 1`, failures+`"not_tls"} 1`, failures+`"closed"} 1`, failures+`"timeout"} 1`,
		fmt.Sprintf("sluice_tls_certificate_expires_timestamp_seconds %g", float64(leafEnd(t, cert, key).Unix())))
	told := logs.FilterMessage("a connection did not come about").FilterLevelExact(zap.InfoLevel).All()
	if len(told) != 1 || !strings.Contains(fmt.Sprint(told[0].ContextMap()["error"]), "CN=meter-2") {
		t.Errorf("told of refused certificates: %v", told)
	}
}

func leafEnd(t *testing.T, cert, key string) time.Time {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.NotAfter
}

func dialTLS(t *testing.T, address string, c *tls.Config) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestFilesThatCannotBeUsed name their key at the start, and leave nothing running.
func TestFilesThatCannotBeUsed(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	listening := []string{"mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert=" + cert, "mqtt.tls.key=" + key}
	for _, c := range []struct {
		set  []string
		want string
	}{
		{append(listening, "mqtt.tls.cert=no-such.pem"), "mqtt.tls.cert:"},
		{append(listening, "mqtt.tls.ticket_secret=no-such.file"), "mqtt.tls.ticket_secret:"},
		{append(listening, "mqtt.tls.client_certificates=optional", "mqtt.tls.client_ca=no-such.pem"), "mqtt.tls.client_ca:"},
		{[]string{"bus.url=amqps://127.0.0.1:1", "bus.kind=rabbitmq", "bus.tls.ca=no-such.pem"}, "bus.tls.ca:"},
		{[]string{"bus.url=amqps://127.0.0.1:1", "bus.tls.cert=no-such.pem", "bus.tls.key=" + key}, "bus.tls.cert:"},
		{[]string{"sessions.url=rediss://127.0.0.1:1", "sessions.tls.ca=" + key}, "sessions.tls.ca:"},
	} {
		n, err := Start(t.Context(), alone(t, c.set...), zap.NewNop())
		if err == nil {
			_ = n.Stop(t.Context())
			t.Fatalf("%v: started", c.set)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.set, err)
		}
	}
}

// TestARevocationEndsAConnection that exists already, with the reason; whom it does not concern stays.
func TestARevocationEndsAConnection(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	revoked, due := ca.Issue("meter-1"), time.Now().Add(time.Hour)
	crl := securetest.File(t, ca.CRL(due))
	n, _ := startObserved(t, "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+cert, "mqtt.tls.key="+key,
		"mqtt.tls.client_certificates=optional", "mqtt.tls.client_ca="+securetest.File(t, ca.PEM), "mqtt.tls.client_crl="+crl)
	dial := func(own ...tls.Certificate) *mqtttest.Device {
		d := mqtttest.New(t, dialTLS(t, n.TLS, &tls.Config{RootCAs: ca.Pool(), ServerName: "gateway", Certificates: own}), packet.V5)
		d.SetTimeout(patience)
		d.Connect()
		return d
	}
	gone, anonymous, other := dial(revoked.TLS), dial(), dial(ca.Issue("meter-2").TLS)
	securetest.Write(t, crl, ca.CRL(due, revoked))
	if d := mqtttest.Expect[*packet.Disconnect](gone); d.Reason != packet.NotAuthorized {
		t.Errorf("DISCONNECT with %v", d.Reason)
	}
	gone.ExpectClosed()
	for _, d := range []*mqtttest.Device{anonymous, other} {
		if r := d.Publish("a", nil, 1); r.Failed() {
			t.Errorf("PUBACK with %v", r)
		}
		d.Disconnect()
	}
}

// TestARefusalIsNoReset, also where the device, which with TLS 1.3 believes that the handshake is over, goes on talking: a reset can take the alert
// before it with it.
func TestARefusalIsNoReset(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	n, _ := startObserved(t, "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+cert, "mqtt.tls.key="+key,
		"mqtt.tls.client_certificates=required", "mqtt.tls.client_ca="+securetest.File(t, ca.PEM))
	expired := ca.Issue("meter", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	for range 10 {
		raw := dialWith(t, n.TLS, "")
		conn := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "gateway", Certificates: []tls.Certificate{expired.TLS}})
		if _, err := conn.Write(make([]byte, 12<<10)); err != nil {
			t.Fatal(err)
		}
		_ = raw.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Fatalf("the device reads %v, want an alert about its certificate", err)
		}
		if _, err := raw.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("behind the alert comes %v, want the end", err)
		}
		_ = raw.Close()
	}
}
