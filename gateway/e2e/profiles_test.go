package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// envReplicated is a Redis with a replica.
const envReplicated = "SLUICE_TEST_REDIS_REPLICATED_URL"

// offer is what /capabilities says of a listener.
type offer struct {
	Listener        string `json:"listener"`
	Profile         string `json:"profile"`
	MaximumQoS      byte   `json:"maximum_qos"`
	RetainAvailable bool   `json:"retain_available"`
	SharedAvailable bool   `json:"shared_subscription_available"`
	ExpiryMax       uint32 `json:"session_expiry_interval_maximum"`
}

// offerOf asks n what it offers on a listener.
func offerOf(t *testing.T, n *rig.Node, listener string) (o offer) {
	t.Helper()
	rig.Eventually(t, "/capabilities has "+listener, func() error {
		resp, err := http.Get("http://" + n.Admin + "/capabilities")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var all struct{ Listeners []offer }
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
			return err
		}
		for _, l := range all.Listeners {
			if l.Listener == listener {
				o = l
				return nil
			}
		}
		return fmt.Errorf("there is %v", all)
	})
	return o
}

// What a profile advertises works, and what it lacks is refused as advertised, in both versions.
func TestProfilesKeepTheirWord(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		for profile, want := range map[string]offer{
			"ephemeral": {Profile: "ephemeral/1", MaximumQoS: 1, ExpiryMax: 0},
			"standard":  {Profile: "standard/1", MaximumQoS: 2, ExpiryMax: 7 * 24 * 3600},
			"durable":   {Profile: "durable/1", MaximumQoS: 2, ExpiryMax: 7 * 24 * 3600},
		} {
			set := []string{"profile=" + profile}
			if profile == "durable" {
				if !b.Shared {
					continue // sessions in memory have no replica; config refuses it
				}
				set = append(set, "sessions.url="+rig.Env(t, envReplicated))
			}
			t.Run(profile, func(t *testing.T) {
				n := rig.Start(t, b, set...)
				o := offerOf(t, n, "mqtt.tcp.listen")
				if o.Profile != want.Profile || o.MaximumQoS != want.MaximumQoS || o.ExpiryMax != want.ExpiryMax || profile == "ephemeral" && o.RetainAvailable {
					t.Errorf("offered is %+v, want %+v", o, want)
				}
				rig.Versions(t, func(t *testing.T, v packet.Version) {
					probeConnack(t, n, v, o)
					probePublish(t, n, v, o)
					probeWill(t, n, v, o)
					probeSubscribe(t, n, v, o)
					probeSession(t, n, v, o)
				})
			})
		}
	})
}

// probeConnack: MQTT 5 devices are told what /capabilities says.
func probeConnack(t *testing.T, n *rig.Node, v packet.Version, o offer) {
	t.Helper()
	d, connack := rig.Dial(t, n, v)
	defer d.Disconnect()
	p := connack.Properties
	if v != packet.V5 {
		return
	}
	if p.Has(packet.PropMaximumQoS) != (o.MaximumQoS < 2) || p.Has(packet.PropMaximumQoS) && p.MaximumQoS != o.MaximumQoS {
		t.Errorf("Maximum QoS is %v, want %d [MQTT-3.2.2-9]", p.MaximumQoS, o.MaximumQoS)
	}
	if p.Has(packet.PropRetainAvailable) == o.RetainAvailable {
		t.Error("Retain Available is not as offered")
	}
	if len(p.User) != 1 || p.User[0] != (packet.UserProperty{Key: "sluice-profile", Value: o.Profile}) {
		t.Errorf("user properties %v", p.User)
	}
}

// probePublish: what is above the offer ends the connection and reaches nobody; never is it made less and taken.
func probePublish(t *testing.T, n *rig.Node, v packet.Version, o offer) {
	t.Helper()
	topic := rig.Prefix(t)
	listener, _ := rig.Dial(t, n, packet.V5)
	defer listener.Disconnect()
	listener.Subscribe(topic+"/#", 1)
	for _, c := range []struct {
		p      packet.Publish
		reason packet.ReasonCode
		taken  bool
	}{
		{packet.Publish{Topic: topic + "/0"}, 0, true},
		{packet.Publish{Topic: topic + "/1", QoS: 1, ID: 1}, 0, true},
		{packet.Publish{Topic: topic + "/2", QoS: 2, ID: 1}, packet.QoSNotSupported, o.MaximumQoS == 2},
		{packet.Publish{Topic: topic + "/r0", Retain: true}, packet.RetainNotSupported, o.RetainAvailable},
		{packet.Publish{Topic: topic + "/r1", Retain: true, QoS: 1, ID: 1}, packet.RetainNotSupported, o.RetainAvailable},
	} {
		d, _ := rig.Dial(t, n, v)
		d.Send(&c.p)
		if !c.taken {
			if v == packet.V5 {
				if got := mqtttest.Expect[*packet.Disconnect](d).Reason; got != c.reason {
					t.Errorf("%s: DISCONNECT %v, want %v [MQTT-3.2.2-11, MQTT-3.2.2-14]", c.p.Topic, got, c.reason)
				}
			}
			d.ExpectClosed()
			continue
		}
		switch c.p.QoS {
		case 1:
			d.ExpectAck(packet.PUBACK, 1)
		case 2:
			d.ExpectAck(packet.PUBREC, 1)
			d.Send(&packet.Ack{Kind: packet.PUBREL, ID: 1})
			d.ExpectAck(packet.PUBCOMP, 1)
		}
		if m := listener.Collect(1)[0]; m.Topic != c.p.Topic {
			t.Errorf("got %s, want what was sent to %s", mqtttest.Describe(m), c.p.Topic)
		}
		d.Disconnect()
	}
	// Nothing that was refused came through before this.
	d, _ := rig.Dial(t, n, v)
	d.Publish(topic+"/last", nil, 1)
	if m := listener.Collect(1)[0]; m.Topic != topic+"/last" {
		t.Errorf("got %s, which was refused", mqtttest.Describe(m))
	}
	if o.RetainAvailable { // leave nothing behind
		for i, r := range []string{"/r0", "/r1"} {
			d.Send(&packet.Publish{Topic: topic + r, Retain: true, QoS: 1, ID: packet.ID(100 + i)})
			d.ExpectAck(packet.PUBACK, packet.ID(100+i))
		}
	}
	d.Disconnect()
}

// probeWill: a Will above the offer is refused with CONNECT [MQTT-3.2.2-12, MQTT-3.2.2-13].
func probeWill(t *testing.T, n *rig.Node, v packet.Version, o offer) {
	t.Helper()
	for _, c := range []struct {
		will   packet.Will
		reason packet.ReasonCode
		taken  bool
	}{
		{packet.Will{QoS: 1}, 0, true},
		{packet.Will{QoS: 2}, packet.QoSNotSupported, o.MaximumQoS == 2},
		{packet.Will{Retain: true}, packet.RetainNotSupported, o.RetainAvailable},
	} {
		c.will.Topic = rig.Prefix(t)
		d := mqtttest.Dial(t, n.TCP, v)
		connack := d.Connect(func(p *packet.Connect) { p.Will = &c.will })
		switch {
		case c.taken && connack.Reason == packet.Success:
			d.Disconnect()
		case c.taken || connack.Reason == packet.Success:
			t.Errorf("a Will of QoS %d, retain %v: %v", c.will.QoS, c.will.Retain, connack.Reason)
		default:
			if v == packet.V5 && connack.Reason != c.reason {
				t.Errorf("refused with %v, want %v", connack.Reason, c.reason)
			}
			d.ExpectClosed()
		}
	}
}

// probeSubscribe: a higher QoS than offered is granted lower, not refused [MQTT-3.2.2-10].
func probeSubscribe(t *testing.T, n *rig.Node, v packet.Version, o offer) {
	t.Helper()
	d, _ := rig.Dial(t, n, v)
	defer d.Disconnect()
	topic := rig.Prefix(t)
	for qos := range packet.QoS(3) {
		if got, want := d.Subscribe(fmt.Sprintf("%s/%d", topic, qos), qos), packet.ReasonCode(min(byte(qos), o.MaximumQoS)); got != want {
			t.Errorf("SUBSCRIBE with QoS %d is answered with %v, want %v", qos, got, want)
		}
	}
	want := packet.ReasonCode(0)
	switch {
	case o.SharedAvailable:
	case v == packet.V5:
		want = packet.SharedSubNotSupported
	default:
		want = packet.UnspecifiedError
	}
	if got := d.Subscribe("$share/g/"+topic, 0); got != want {
		t.Errorf("a shared subscription is answered with %v, want %v", got, want)
	}
}

// probeSession: a session outlives its connection where that is offered, and Session Present says it exactly.
func probeSession(t *testing.T, n *rig.Node, v packet.Version, o offer) {
	t.Helper()
	id := rig.Prefix(t)
	for round := range 3 {
		d, connack := rig.Dial(t, n, v, rig.Persistent(id))
		if want := round > 0 && o.ExpiryMax > 0; connack.SessionPresent != want {
			t.Errorf("round %d: Session Present is %v, want %v", round, connack.SessionPresent, want)
		}
		if p := connack.Properties; v == packet.V5 && (p.Has(packet.PropSessionExpiry) != (o.ExpiryMax == 0) || p.SessionExpiry != 0) {
			t.Errorf("round %d: Session Expiry Interval is %d (present: %v)", round, p.SessionExpiry, p.Has(packet.PropSessionExpiry))
		}
		d.Subscribe(id, 1)
		leave(d)
	}
	d, _ := rig.Dial(t, n, v, rig.Clean(id))
	d.Disconnect()
}

// One node has a profile for each listener. A client identifier has one owner among all of them, and a session that was kept by one is
// not resumed where none are kept: it ends.
func TestProfilesOfTwoListeners(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		profiles := map[string][]string{"standard": nil}
		if b.Shared {
			profiles["durable"] = []string{"profile=durable", "sessions.url=" + rig.Env(t, envReplicated)}
		}
		for profile, set := range profiles {
			t.Run(profile, func(t *testing.T) {
				n, other := rig.Pair(t, b, append(set, "mqtt.ws.listen=127.0.0.1:0", "mqtt.ws.profile=ephemeral")...)
				rig.Versions(t, func(t *testing.T, v packet.Version) { moveToEphemeral(t, n, other, v) })
			})
		}
	})
}

// moveToEphemeral takes a session from the first listener of n to the second of other and back.
func moveToEphemeral(t *testing.T, n, other *rig.Node, v packet.Version) {
	t.Helper()
	id := rig.Prefix(t)
	kept, _ := rig.Dial(t, n, v, rig.Persistent(id))
	kept.Subscribe(id+"/t", 1)
	passing, connack := webDevice(t, other, v, rig.Persistent(id))
	if connack.SessionPresent {
		t.Error("a session is present with profile ephemeral")
	}
	if v == packet.V5 {
		if reason := mqtttest.Expect[*packet.Disconnect](kept).Reason; reason != packet.SessionTakenOver {
			t.Errorf("the other connection was told %v", reason)
		}
	}
	kept.ExpectClosed()
	passing.Publish(id+"/t", []byte("1"), 1)
	leave(passing)
	kept, connack = rig.Dial(t, n, v, rig.Persistent(id))
	if connack.SessionPresent {
		t.Error("a session is present that ended with an ephemeral connection")
	}
	leave(kept)
	kept, _ = rig.Dial(t, n, v, rig.Clean(id))
	kept.Disconnect()
}

// The Will is kept for a device of profile ephemeral, too: the one thing of it that outlives its node.
func TestEphemeralHasAWill(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b, "profile=ephemeral")
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			wills := rig.OpenBus(t, n).Queue(id + "/will")
			d, _ := rig.Dial(t, n, v, rig.Persistent(id), withWill(id+"/will"))
			d.Close()
			if m := wills.Take(); string(m.Data[0]) != "gone" {
				t.Errorf("the will is %q", m.Data)
			}
		})
	})
}
