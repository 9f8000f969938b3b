package attack

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A ticket that was got with a certificate before it was revoked opens no node, neither the one that gave it nor another; connections that exist end. A neighbour of
// the same authority notices nothing, and its ticket goes on being good everywhere.
func TestTicketOfARevokedCertificate(t *testing.T) {
	t.Parallel()
	ca := securetest.New(t, "CA")
	cert, key := ca.Issue("gateway").Files(t)
	thief, neighbour, due := ca.Issue("thief"), ca.Issue("neighbour"), time.Now().Add(time.Hour)
	crl := securetest.File(t, ca.CRL(due))
	first, second := rig.Pair(t, rig.InProcess(t), "auth.methods=certificate", "access.default=all", "clients.sharing=shared",
		"mqtt.tcp.listen=off", "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+cert, "mqtt.tls.key="+key,
		"mqtt.tls.client_certificates=required", "mqtt.tls.client_ca="+securetest.File(t, ca.PEM), "mqtt.tls.client_crl="+crl,
		"mqtt.tls.ticket_secret="+securetest.File(t, []byte(strings.Repeat("secret", 10))))
	nodes := []*rig.Node{first, second}

	type party struct {
		config *tls.Config
		device []*mqtttest.Device // one on each node
	}
	var thieves, neighbours []*party
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, who := range []struct {
			pair securetest.Pair
			to   *[]*party
		}{{thief, &thieves}, {neighbour, &neighbours}} {
			p := &party{config: &tls.Config{
				RootCAs: ca.Pool(), ServerName: "gateway", MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{who.pair.TLS},
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}}
			for _, n := range nodes {
				// A ticket of TLS 1.3 comes behind the handshake: the exchange of MQTT brings it.
				p.device = append(p.device, dialTLS(t, n, p.config))
			}
			*who.to = append(*who.to, p)
		}
	}

	securetest.Write(t, crl, ca.CRL(due, thief))
	for _, p := range thieves {
		for _, d := range p.device {
			d.AwaitClosed()
		}
		for _, n := range nodes {
			conn, err := tls.Dial("tcp", n.TLS, p.config)
			if err == nil { // a device believes that a handshake of TLS 1.3 is over before the node has judged it
				err = answered(conn)
			}
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%s: the ticket of a revoked certificate is answered with %v", tls.VersionName(p.config.MinVersion), err)
			}
		}
	}
	for _, p := range neighbours {
		for i, n := range nodes {
			if reason := p.device[i].Publish("a", nil, 1); reason.Failed() {
				t.Errorf("the neighbour's message is answered with %v", reason)
			}
			p.device[i].Disconnect()
			conn, err := tls.Dial("tcp", n.TLS, p.config)
			if err != nil {
				t.Fatal(err)
			}
			if !conn.ConnectionState().DidResume {
				t.Errorf("%s: the neighbour's ticket is not good any more", tls.VersionName(p.config.MinVersion))
			}
			_ = conn.Close()
		}
	}
}

func dialTLS(t *testing.T, n *rig.Node, config *tls.Config) *mqtttest.Device {
	t.Helper()
	conn, err := tls.Dial("tcp", n.TLS, config)
	if err != nil {
		t.Fatal(err)
	}
	d := mqtttest.New(t, conn, packet.V5)
	d.SetTimeout(rig.Patience)
	if connack := d.Connect(mqtttest.ClientID(rig.Prefix(t))); connack.Reason.Failed() {
		t.Fatalf("CONNACK %v", connack.Reason)
	}
	return d
}

// answered sends CONNECT and reads what comes.
func answered(conn *tls.Conn) error {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rig.Patience))
	connect, err := packet.Append(nil, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "thief"}, packet.V5)
	if err != nil {
		return err
	}
	if _, err := conn.Write(connect); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
