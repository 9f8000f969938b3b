package e2e

import (
	"bytes"
	"crypto/tls"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// cluster starts nodes that share a secret for tickets, and gives them and a balancer before their TLS ports, which takes one after the other.
func cluster(t *testing.T, n int, set ...string) (nodes []*rig.Node, balancer *relay) {
	t.Helper()
	b := rig.InProcess(t)
	set = append(set, "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.ticket_secret="+securetest.File(t, []byte(strings.Repeat("secret", 10))))
	var addresses []string
	for range n {
		node := rig.Start(t, b, set...)
		nodes = append(nodes, node)
		addresses = append(addresses, node.TLS)
	}
	return nodes, startRelay(t, nil, addresses...)
}

// A device's TLS session is resumed on every node, with its certificate, wherever the balancer sends it.
func TestResumptionOnEveryNode(t *testing.T) {
	t.Parallel()
	certFile, keyFile, caFile, ca := certificate(t)
	_, balancer := cluster(t, 3, "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile, "mqtt.tls.client_certificates=required", "mqtt.tls.client_ca="+caFile)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{
			RootCAs: ca.Pool(), MinVersion: version, MaxVersion: version, NextProtos: []string{"mqtt"},
			Certificates: []tls.Certificate{ca.Issue("meter-1").TLS}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		for i := range 7 { // twice round, and the first
			conn, err := tls.Dial("tcp", balancer.address, config)
			if err != nil {
				t.Fatal(err)
			}
			d := mqtttest.New(t, conn, packet.V5)
			d.SetTimeout(rig.Patience)
			if connack := d.Connect(); connack.Reason != packet.Success {
				t.Fatalf("CONNACK: %v", connack.Reason)
			}
			if got := conn.ConnectionState().DidResume; got != (i > 0) {
				t.Errorf("%s, connection %d: resumed %v", tls.VersionName(version), i, got)
			}
			d.Disconnect()
		}
	}
}

// The same with OpenSSL, which keeps its session in a file.
func TestResumptionWithOpenSSL(t *testing.T) {
	t.Parallel()
	certFile, keyFile, caFile, _ := certificate(t)
	nodes, _ := cluster(t, 3, "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		session := filepath.Join(t.TempDir(), "session.pem")
		for i, n := range nodes {
			args := []string{"-connect", n.TLS, "-CAfile", caFile, "-verify_return_error", "-alpn", "mqtt", version, "-sess_out", session}
			if i > 0 {
				args = append(args, "-sess_in", session)
			}
			got := openssl(t, args...)
			want := "New, "
			if i > 0 {
				want = "Reused, "
			}
			if !strings.Contains(got, want) || !strings.Contains(got, "ALPN protocol: mqtt") {
				t.Errorf("%s on node %d: no %q in\n%s", version, i, want, got)
			}
		}
	}
}

// openssl runs s_client with a device's CONNECT and DISCONNECT, which ends the connection, and gives what it prints.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	var said []byte
	for _, p := range []packet.Packet{&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: rig.Prefix(t)}, &packet.Disconnect{}} {
		var err error
		if said, err = packet.Append(said, p, packet.V5); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(rig.Env(t, rig.EnvOpenSSL), append([]string{"s_client", "-ign_eof"}, args...)...)
	cmd.Stdin = bytes.NewReader(said)
	p := rig.RunCommand(t, cmd)
	p.Succeed()
	return p.Output()
}

// mosquitto shows its certificate; without one, or with one that was revoked while the nodes run, it is not let in.
func TestMosquittoWithCertificate(t *testing.T) {
	t.Parallel()
	certFile, keyFile, caFile, ca := certificate(t)
	due := time.Now().Add(time.Hour)
	meter := ca.Issue("meter-1")
	meterCert, meterKey := meter.Files(t)
	crl := securetest.File(t, ca.CRL(due))
	n := rig.Start(t, rig.Embedded(), "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile,
		"mqtt.tls.client_certificates=required", "mqtt.tls.client_ca="+caFile, "mqtt.tls.client_crl="+crl)
	plain, _ := rig.Dial(t, n, packet.V5)
	topic := rig.Prefix(t)
	plain.Subscribe(topic, 1)
	publish := func(own ...string) *rig.Process {
		args := []string{"-h", "127.0.0.1", "-p", port(n.TLS), "--cafile", caFile, "-V", "5", "-q", "1", "-t", topic, "-m", "42"}
		return rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), append(args, own...)...)
	}
	certified := []string{"--cert", meterCert, "--key", meterKey}
	publish(certified...).Succeed()
	if m := plain.Collect(1)[0]; string(m.Payload) != "42" {
		t.Errorf("got %q", m.Payload)
	}
	if publish().Wait() == 0 {
		t.Error("let in without a certificate")
	}
	securetest.Write(t, crl, ca.CRL(due, meter))
	rig.Eventually(t, "the revocation is in force", func() error {
		if publish(certified...).Wait() == 0 {
			return errStillIn
		}
		return nil
	})
	plain.Disconnect()
}
