package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// webSocket opens a WebSocket for MQTT. roots are for wss.
func webSocket(t *testing.T, url string, roots *x509.CertPool) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	ws, _, err := websocket.Dial(rig.Context(t), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mqtt"}})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if ws.Subprotocol() != "mqtt" {
		t.Errorf("%s: the subprotocol is %q [MQTT-6.0.0-4]", url, ws.Subprotocol())
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// webDevice connects a scripted device over WebSocket. A refusal fails the test.
func webDevice(t *testing.T, n *rig.Node, v packet.Version, options ...func(*packet.Connect)) (*mqtttest.Device, *packet.Connack) {
	t.Helper()
	ws := webSocket(t, "ws://"+n.WS+"/mqtt", nil)
	d := mqtttest.New(t, websocket.NetConn(context.Background(), ws, websocket.MessageBinary), v)
	d.SetTimeout(rig.Patience)
	connack := d.Connect(options...)
	if connack.Reason != packet.Success {
		t.Fatalf("CONNACK: %v", connack.Reason)
	}
	return d, connack
}

// mqtt.js, the client of the browsers, exchanges messages of each QoS over WebSocket, plain and on TLS, with a scripted device on TCP.
func TestWebSocketWithMQTTjs(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		certFile, keyFile, caFile, _ := certificate(t)
		n := rig.Start(t, b, "mqtt.ws.listen=127.0.0.1:0", "mqtt.wss.listen=127.0.0.1:0", "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile)
		for _, url := range []string{"ws://" + n.WS + "/mqtt", "wss://" + n.WSS + "/mqtt"} {
			for _, version := range []int{4, 5} {
				prefix := rig.Prefix(t)
				plain, _ := rig.Dial(t, n, packet.V5)
				plain.Subscribe(prefix+"/#", 1)
				var sent []deviceMessage
				task := jsTask{URL: url, Version: version, Subscribe: map[string]jsOptions{}}
				for qos := range byte(3) {
					sent = append(sent, samples(prefix, qos, version == 5)...)
				}
				for _, m := range sent {
					task.Publish = append(task.Publish, jsMessage{m, jsProperties(m)})
					task.Subscribe[m.Topic] = jsOptions{m.QoS}
				}
				task.Count = len(sent)
				p := jsRun(t, n, task, "NODE_EXTRA_CA_CERTS="+caFile)
				p.Lines(`"published"`, len(sent))
				var got []received
				for _, l := range p.Lines(`"event":"message"`, len(sent)) {
					got = append(got, jsMessageOf(t, l))
				}
				checkDeviceGot(t, version, sent, got)
				p.Succeed()
				if all := plain.Collect(len(sent)); len(all) != len(sent) {
					t.Errorf("the device on TCP got %d of %d", len(all), len(sent))
				}
				plain.Disconnect()
			}
		}
	})
}

// A session knows nothing of transports: what came while a device was away reaches it over WebSocket, too, and the other way round.
func TestSessionsMoveBetweenTransports(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b, "mqtt.ws.listen=127.0.0.1:0")
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			topic := rig.Prefix(t)
			backend, _ := rig.Dial(t, first, v)
			d, _ := rig.Dial(t, first, v, rig.Persistent(topic+"-d"))
			d.Subscribe(topic, 2)
			leave(d)
			for i, dial := range []func() (*mqtttest.Device, *packet.Connack){
				func() (*mqtttest.Device, *packet.Connack) {
					return webDevice(t, second, v, rig.Persistent(topic+"-d"))
				},
				func() (*mqtttest.Device, *packet.Connack) { return rig.Dial(t, first, v, rig.Persistent(topic+"-d")) },
			} {
				backend.Publish(topic, []byte{byte(i)}, 2)
				d, connack := dial()
				if !connack.SessionPresent {
					t.Error("the session is not present")
				}
				if m := d.Collect(1)[0]; m.QoS != 2 || m.Payload[0] != byte(i) {
					t.Errorf("got %s", mqtttest.Describe(m))
				}
				leave(d)
			}
			d, _ = rig.Dial(t, first, v, rig.Clean(topic+"-d"))
			d.Disconnect()
			backend.Disconnect()
		})
	})
}

// A text frame ends the connection [MQTT-6.0.0-1]; an MQTT 5 device is told why, and its Will is published.
func TestTextFrame(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b, "mqtt.ws.listen=127.0.0.1:0")
		id := rig.Prefix(t)
		wills := rig.OpenBus(t, n).Queue(id + "/will")
		ws := webSocket(t, "ws://"+n.WS+"/mqtt", nil)
		connect, err := packet.Append(nil, &packet.Connect{
			Version: packet.V5, CleanStart: true, ClientID: id, Will: &packet.Will{Topic: id + "/will", Payload: []byte("gone"), QoS: 1},
		}, packet.V5)
		if err != nil {
			t.Fatal(err)
		}
		ctx := rig.Context(t)
		for i, kind := range []websocket.MessageType{websocket.MessageBinary, websocket.MessageText} {
			if err := ws.Write(ctx, kind, connect); err != nil {
				t.Fatal(err)
			}
			_, frame, err := ws.Read(ctx)
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			r := packet.NewReader(bytes.NewReader(frame), packet.MaxPacketSize)
			r.SetVersion(packet.V5)
			p, err := r.ReadPacket()
			switch p := p.(type) {
			case *packet.Connack:
				if i != 0 || p.Reason != packet.Success {
					t.Fatalf("answer %d is CONNACK %v", i, p.Reason)
				}
			case *packet.Disconnect:
				if i != 1 || p.Reason != packet.ProtocolError || !strings.Contains(p.Properties.ReasonString, "MQTT-6.0.0-1") {
					t.Fatalf("answer %d is DISCONNECT %v, %q", i, p.Reason, p.Properties.ReasonString)
				}
			default:
				t.Fatalf("answer %d is %v, %v", i, p, err)
			}
		}
		if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
			t.Errorf("the end is %v, want status 1003", err)
		}
		if m := wills.Take(); string(m.Data[0]) != "gone" {
			t.Errorf("the will is %q", m.Data)
		}
	})
}

// Whoever looks at the port with a browser reads what it is for; a node that stops tells devices on WebSocket, too.
func TestWebSocketPort(t *testing.T) {
	t.Parallel()
	n := rig.Start(t, rig.Embedded(), "mqtt.ws.listen=127.0.0.1:0")
	resp, err := http.Get("http://" + n.WS + "/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(body), "MQTT over WebSocket") {
		t.Errorf("%d %q, %v", resp.StatusCode, body, err)
	}
	d, _ := webDevice(t, n, packet.V5)
	n.Stop(t)
	if reason := mqtttest.Expect[*packet.Disconnect](d).Reason; reason != packet.ServerShuttingDown {
		t.Errorf("told %v", reason)
	}
	d.ExpectClosed()
}
