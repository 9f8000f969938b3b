package node

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// startObserved is start with a log that can be asked.
func startObserved(t *testing.T, set ...string) (*Node, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	n, err := Start(t.Context(), alone(t, set...), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	waitReady(t, n)
	return n, logs
}

// awaitLogs waits for n lines of a message.
func awaitLogs(t *testing.T, logs *observer.ObservedLogs, message string, n int) []observer.LoggedEntry {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for logs.FilterMessage(message).Len() < n {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-end.C:
			t.Fatalf("%d times %q in the log, want %d", logs.FilterMessage(message).Len(), message, n)
		}
	}
	return logs.FilterMessage(message).All()
}

// dialWith connects and says something before whatever the caller says.
func dialWith(t *testing.T, address, first string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(first)); err != nil {
		t.Fatal(err)
	}
	return conn
}

const proxyHeader = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 1883\r\n"

// TestBehindALoadBalancer: logs have the device's address, over TCP and TLS, and also when it is turned away.
func TestBehindALoadBalancer(t *testing.T) {
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	n, logs := startObserved(t, "limits.connections=2", "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+cert, "mqtt.tls.key="+key,
		"mqtt.tcp.proxies=127.0.0.0/8", "mqtt.tls.proxies=127.0.0.1")
	devices := []*mqtttest.Device{
		mqtttest.New(t, dialWith(t, n.TCP, proxyHeader), packet.V5),
		mqtttest.New(t, tls.Client(dialWith(t, n.TLS, proxyHeader), &tls.Config{RootCAs: ca.Pool(), ServerName: "gateway"}), packet.V311),
	}
	for i, d := range devices {
		if connack := d.Connect(); connack.Reason != packet.Success {
			t.Fatalf("device %d: CONNACK with %v", i, connack.Reason)
		}
	}
	beyond := mqtttest.New(t, dialWith(t, n.TCP, proxyHeader), packet.V5)
	if connack := beyond.Connect(); connack.Reason != packet.ServerBusy {
		t.Errorf("beyond the limit: CONNACK with %v", connack.Reason)
	}
	for _, d := range devices {
		d.Disconnect()
		d.ExpectClosed()
	}
	for _, e := range awaitLogs(t, logs, "connection closed", len(devices)) {
		if got := fmt.Sprint(e.ContextMap()["remote"]); got != "192.0.2.7:4711" {
			t.Errorf("the log has %s", got)
		}
	}
}

// TestMissingAndForgedHeaders: a load balancer that sends none is misconfigured, a device that sends one is lying.
func TestMissingAndForgedHeaders(t *testing.T) {
	n, _ := startObserved(t, "mqtt.tcp.proxies=127.0.0.0/8", "mqtt.ws.listen=127.0.0.1:0", "mqtt.ws.proxies=10.0.0.0/8")
	connect, err := packet.Append(nil, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "c"}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	mqtttest.New(t, dialWith(t, n.TCP, string(connect)), packet.V5).ExpectClosed()
	hasMetrics(t, n, `sluice_proxy_header_failures_total{listener="mqtt.tcp.listen"} 1`)
	// Somebody who looks whether the port is open is no failure.
	_ = dialWith(t, n.TCP, "").Close()

	forged := dialWith(t, n.WS, proxyHeader+"GET /mqtt HTTP/1.1\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := forged.Read(answer); err != nil || string(answer) != "HTTP/1.1 400" {
		t.Errorf("a device with a PROXY header gets %q, %v; want a refusal", answer, err)
	}
	hasMetrics(t, n, "sluice_websocket_handshake_failures_total 1", `sluice_proxy_header_failures_total{listener="mqtt.tcp.listen"} 1`)
}
