package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
	"sluice/sessionstore/memory"
)

// dialWebSocket connects a device over WebSocket.
func dialWebSocket(t *testing.T, address, path string, v packet.Version) *mqtttest.Device {
	t.Helper()
	ws, resp, err := websocket.Dial(t.Context(), "ws://"+address+path, &websocket.DialOptions{Subprotocols: []string{"mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return mqtttest.New(t, websocket.NetConn(context.Background(), ws, websocket.MessageBinary), v)
}

// Each listener has its own profile, told by /capabilities, and the same to its devices in CONNACK.
func TestCapabilitiesAreWhatDevicesAreTold(t *testing.T) {
	n := start(t, alone(t, "mqtt.ws.listen=127.0.0.1:0", "mqtt.ws.profile=ephemeral", "mqtt.ws.path=/m"))
	waitReady(t, n)
	var told struct {
		Listeners []struct {
			Listener         string `json:"listener"`
			WebSocketPath    string `json:"websocket_path"`
			Profile          string `json:"profile"`
			MaximumQoS       byte   `json:"maximum_qos"`
			RetainAvailable  bool   `json:"retain_available"`
			SharedAvailable  bool   `json:"shared_subscription_available"`
			SessionExpiryMax uint32 `json:"session_expiry_interval_maximum"`
			ReceiveMaximum   uint16 `json:"receive_maximum"`
		} `json:"listeners"`
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(told.Listeners) < 2 { // they are begun one after the other
		if ctx.Err() != nil {
			t.Fatalf("only %d listeners", len(told.Listeners))
		}
		_, body := get(t, "http://"+n.Admin+"/capabilities")
		if err := json.Unmarshal([]byte(body), &told); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	seen := map[string]bool{}
	for _, l := range told.Listeners {
		seen[l.Listener+" "+l.Profile] = true
		d := mqtttest.Dial(t, n.TCP, packet.V5)
		if l.Listener == "mqtt.ws.listen" {
			d = dialWebSocket(t, n.WS, l.WebSocketPath, packet.V5)
		}
		p := d.Connect(func(c *packet.Connect) { c.Properties.SetSessionExpiry(0xFFFFFFFF) }).Properties
		if len(p.User) != 1 || p.User[0] != (packet.UserProperty{Key: "sluice-profile", Value: l.Profile}) {
			t.Errorf("%s: user properties %v", l.Listener, p.User)
		}
		maxQoS := packet.QoS(2)
		if p.Has(packet.PropMaximumQoS) {
			maxQoS = packet.QoS(p.MaximumQoS)
		}
		retain := !p.Has(packet.PropRetainAvailable) || p.RetainAvailable == 1
		shared := !p.Has(packet.PropSharedSubAvailable) || p.SharedSubAvailable == 1
		if maxQoS != packet.QoS(l.MaximumQoS) || retain != l.RetainAvailable || shared != l.SharedAvailable || p.SessionExpiry != l.SessionExpiryMax || p.ReceiveMaximum != l.ReceiveMaximum {
			t.Errorf("%s: /capabilities says %+v, CONNACK %+v", l.Listener, l, p)
		}
		d.Disconnect()
	}
	if !seen["mqtt.tcp.listen standard/1"] || !seen["mqtt.ws.listen ephemeral/1"] {
		t.Errorf("listeners and profiles are %v", seen)
	}
}

// writes counts the ops that a node writes.
type writes struct {
	sessionstore.Store
	mu  sync.Mutex
	ops []string
}

func (w *writes) Write(f sessionstore.Fence, ops []sessionstore.Op, done func(error)) {
	w.mu.Lock()
	for _, o := range ops {
		w.ops = append(w.ops, fmt.Sprintf("%T", o))
	}
	w.mu.Unlock()
	w.Store.Write(f, ops, done)
}

func (w *writes) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ops := w.ops
	w.ops = nil
	return ops
}

// counted starts a node on a store that counts.
func counted(t *testing.T, set ...string) (*Node, *writes) {
	t.Helper()
	store := &writes{Store: memory.New(memory.Options{})}
	n, err := StartOn(t.Context(), store, alone(t, set...), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Stop(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = store.Close()
	})
	waitReady(t, n)
	return n, store
}

// What a device of profile ephemeral does is written nowhere, but for the name of its inbox: once, so that it can be removed after a crash.
func TestEphemeralWritesNothingForMessages(t *testing.T) {
	n, store := counted(t, "profile=ephemeral")
	d := mqtttest.Dial(t, n.TCP, packet.V5)
	d.Connect(mqtttest.Persistent("e", 600))
	d.Subscribe("t/0", 0)
	if ops := store.take(); len(ops) > 0 {
		t.Errorf("written before a subscription of QoS 1: %v", ops)
	}
	d.Subscribe("t/1", 2)
	d.Subscribe("t/2", 1)
	if ops := store.take(); len(ops) != 1 || ops[0] != "sessionstore.SetInbox" {
		t.Errorf("written for subscriptions: %v", ops)
	}
	for range 10 {
		d.Publish("t/0", []byte("x"), 0)
		d.Publish("t/1", []byte("x"), 1)
	}
	d.Collect(20)
	d.Disconnect()
	if ops := store.take(); len(ops) > 0 {
		t.Errorf("written for messages: %v", ops)
	}
}

// The same device writes with profile standard: the test above is not blind.
func TestStandardWritesForPersistentSessions(t *testing.T) {
	n, store := counted(t)
	d := mqtttest.Dial(t, n.TCP, packet.V5)
	d.Connect(mqtttest.Persistent("e", 600))
	d.Subscribe("t/1", 1)
	d.Publish("t/1", []byte("x"), 1)
	d.Collect(1)
	if ops := store.take(); len(ops) < 3 {
		t.Errorf("written: %v; want the inbox, the subscription and the message under way", ops)
	}
	d.Disconnect()
}
