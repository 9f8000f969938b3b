package e2e

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// certificate makes a certificate for 127.0.0.1, as files, with the CA that has signed it.
func certificate(t *testing.T) (certFile, keyFile, caFile string, ca *securetest.Authority) {
	t.Helper()
	ca = securetest.New(t, "e2e CA")
	certFile, keyFile = ca.Issue("gateway").Files(t)
	return certFile, keyFile, securetest.File(t, ca.PEM), ca
}

// Devices connect over TLS 1.2 and 1.3 and talk to those on plain TCP; older TLS and no TLS are refused.
func TestTLS(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		certFile, keyFile, caFile, ca := certificate(t)
		n := rig.Start(t, b, "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile)
		prefix := rig.Prefix(t)
		plain, _ := rig.Dial(t, n, packet.V5)
		plain.Subscribe(prefix+"/#", 1)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			conn, err := tls.Dial("tcp", n.TLS, &tls.Config{RootCAs: ca.Pool(), MinVersion: version, MaxVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			d := mqtttest.New(t, conn, packet.V5)
			if connack := d.Connect(); connack.Reason != packet.Success {
				t.Fatalf("CONNACK: %v", connack.Reason)
			}
			d.Subscribe(prefix+"/tls", 2)
			large := make([]byte, largePayload)
			d.Publish(prefix+"/tls", large, 2)
			for _, receiver := range []*mqtttest.Device{d, plain} {
				if m := receiver.Collect(1)[0]; len(m.Payload) != len(large) {
					t.Errorf("TLS %x: got %d bytes", version, len(m.Payload))
				}
			}
			leave(d)
		}
		pub := rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), "-h", "127.0.0.1", "-p", port(n.TLS), "--cafile", caFile, "-V", "5", "-q", "1", "-t", prefix+"/m", "-m", "from mosquitto")
		pub.Succeed()
		if m := plain.Collect(1)[0]; string(m.Payload) != "from mosquitto" {
			t.Errorf("got %q", m.Payload)
		}
		plain.Disconnect()
		if conn, err := tls.Dial("tcp", n.TLS, &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
			t.Error("TLS 1.1 was accepted")
			_ = conn.Close()
		}
		expectNoMQTT(t, n.TLS)
	})
}

// expectNoMQTT: plain MQTT on the TLS port is answered with the end of the connection, or a TLS alert before it, and not with a CONNACK.
func expectNoMQTT(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rig.Patience))
	connect, err := packet.Append(nil, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "stranger"}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(connect); err != nil {
		t.Fatal(err)
	}
	const alert = 21 // RFC 8446, 5.1: the content type of an alert
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) || len(answer) > 0 && answer[0] != alert {
		t.Errorf("plain MQTT on the TLS port is answered with % x (%v)", answer, err)
	}
}
