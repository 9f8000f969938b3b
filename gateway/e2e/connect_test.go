package e2e

import (
	"slices"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A device without an identifier is given one, which is told to it and good for coming back [MQTT-3.1.3-6, MQTT-3.2.2-16].
func TestAssignedClientIdentifier(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		var given []string
		for range 2 {
			d, connack := rig.Dial(t, first, packet.V5, rig.Persistent(""))
			id := connack.Properties.AssignedClientID
			if id == "" || slices.Contains(given, id) {
				t.Fatalf("the assigned identifier is %q, others are %q", id, given)
			}
			given = append(given, id)
			leave(d)
			d, connack = rig.Dial(t, second, packet.V5, rig.Persistent(id))
			if !connack.SessionPresent || connack.Properties.Has(packet.PropAssignedClientID) {
				t.Errorf("coming back as %q: %s, assigned %q", id, mqtttest.Describe(connack), connack.Properties.AssignedClientID)
			}
			leave(d)
			d, _ = rig.Dial(t, first, packet.V5, rig.Clean(id))
			d.Disconnect()
		}
		d, _ := rig.Dial(t, first, packet.V311, rig.Clean(""))
		topic := rig.Prefix(t)
		d.Subscribe(topic, 1)
		d.Publish(topic, []byte("1"), 1)
		d.Collect(1)
		d.Disconnect()
		// [3.1.1 MQTT-3.1.3-8]: without an identifier there is no session to come back to.
		d = mqtttest.Dial(t, first.TCP, packet.V311)
		if connack := d.Connect(rig.Persistent("")); connack.Reason != packet.ClientIDNotValid {
			t.Errorf("CONNACK: %v", connack.Reason)
		}
		d.ExpectClosed()
	})
}

// A device that says nothing for one and a half times its keep-alive is disconnected and its Will published; one that pings stays.
func TestKeepAlive(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			wills := bus.Queue(id + "/will")
			every := func(seconds uint16) func(*packet.Connect) {
				return func(p *packet.Connect) { p.KeepAlive = seconds }
			}
			silent, _ := rig.Dial(t, n, v, rig.Clean(id), withWill(id+"/will"), every(1))
			pinging, _ := rig.Dial(t, n, v, every(4)) // a loaded machine may keep it from its pings for almost six seconds
			for began := time.Now(); time.Since(began) < 6500*time.Millisecond; {
				pinging.Send(&packet.Pingreq{})
				mqtttest.Expect[*packet.Pingresp](pinging)
				pinging.ExpectNothing(500 * time.Millisecond)
			}
			if v == packet.V5 {
				if reason := mqtttest.Expect[*packet.Disconnect](silent).Reason; reason != packet.KeepAliveTimeout {
					t.Errorf("the silent device gets %v", reason)
				}
			}
			silent.ExpectClosed()
			if m := wills.Take(); string(m.Data[0]) != "gone" {
				t.Errorf("the will is %q", m.Data)
			}
			pinging.Disconnect()
		})
	})
}

// The Will is published when the connection is lost and when the device asks for it, and not after a normal DISCONNECT [MQTT-3.1.2-8,
// MQTT-3.14.4-3].
func TestWill(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			topic := id + "/will"
			wills := bus.Queue(topic)
			other, _ := rig.Dial(t, n, v)
			other.Subscribe(topic, 1)
			properties := func(p *packet.Connect) {
				if v == packet.V5 {
					p.Will.Properties.SetContentType("text/x-will")
				}
			}
			d, _ := rig.Dial(t, n, v, rig.Clean(id), withWill(topic), properties)
			leave(d) // no Will
			bus.Send(bus.Message(topic, []byte("none yet"), 1))
			d, _ = rig.Dial(t, n, v, rig.Clean(id), withWill(topic), properties)
			d.Close()
			want := []string{"none yet", "gone"}
			if v == packet.V5 {
				d, _ = rig.Dial(t, n, v, rig.Clean(id+"-2"), withWill(topic), properties)
				d.Send(&packet.Disconnect{Reason: packet.DisconnectWithWill})
				d.ExpectClosed()
				want = append(want, "gone")
			}
			for i, payload := range want {
				m, copied := wills.Take(), other.Collect(1)[0]
				if string(m.Data[0]) != payload || string(copied.Payload) != payload || copied.QoS != 1 {
					t.Errorf("message %d: the backend has %q, the other device %q", i, m.Data[0], copied.Payload)
				}
				if v == packet.V5 && payload == "gone" && (m.Properties.ContentType != "text/x-will" || copied.Properties.ContentType != "text/x-will") {
					t.Errorf("the will has content type %q and %q", m.Properties.ContentType, copied.Properties.ContentType)
				}
			}
			other.Disconnect()
		})
	})
}

// Each filter of a SUBSCRIBE has its own answer, in order [MQTT-3.9.3-1], and the good ones hold.
func TestSubackForEachFilter(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b, "limits.subscriptions=4")
		bus := rig.OpenBus(t, n)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			d, _ := rig.Dial(t, n, v, rig.Clean(id))
			d.Send(&packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{
				{Filter: id + "/0", QoS: 0}, {Filter: id + "/a#", QoS: 1}, {Filter: id + "/1", QoS: 1}, {Filter: "$share//" + id, QoS: 1},
				{Filter: id + "/2", QoS: 2}, {Filter: id + "/4th", QoS: 1}, {Filter: id + "/5th", QoS: 1}, {Filter: id + "/1", QoS: 2},
			}})
			want := []packet.ReasonCode{0, packet.TopicFilterInvalid, 1, packet.TopicFilterInvalid, 2, 1, packet.QuotaExceeded, 2}
			if v == packet.V311 {
				for i, r := range want {
					if r.Failed() {
						want[i] = packet.UnspecifiedError
					}
				}
			}
			if got := mqtttest.Expect[*packet.Suback](d).Reasons; !slices.Equal(got, want) {
				t.Errorf("SUBACK has %v, want %v", got, want)
			}
			// A replaced subscription has the new QoS [MQTT-3.8.4-3].
			for name, qos := range map[string]packet.QoS{"/0": 0, "/1": 2, "/2": 2, "/4th": 1} {
				bus.Send(bus.Message(id+name, []byte(name), 2))
				if m := d.Collect(1)[0]; m.Topic != id+name || m.QoS != qos {
					t.Errorf("got %s, want %s at QoS %d", mqtttest.Describe(m), id+name, qos)
				}
			}
			bus.ExpectNobody(id + "/5th")
			bus.ExpectNobody(id + "/a")
			d.Disconnect()
			bus.ExpectNobody(id + "/4th")
		})
	})
}

// After UNSUBACK nothing more comes, the bus has no binding left, and other subscriptions go on [MQTT-3.10.4-2].
func TestUnsubscribe(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for qos := range packet.QoS(3) {
				id := rig.Prefix(t)
				d, _ := rig.Dial(t, n, v, rig.Clean(id))
				d.Subscribe(id+"/gone", qos)
				d.Subscribe(id+"/kept", qos)
				d.Send(&packet.Unsubscribe{ID: d.NextID(), Filters: []string{id + "/gone", id + "/never"}})
				want := []packet.ReasonCode{packet.Success, packet.NoSubscriptionExisted}
				if v == packet.V311 {
					want = nil // 3.1.1 has no reasons
				}
				if got := mqtttest.Expect[*packet.Unsuback](d).Reasons; !slices.Equal(got, want) {
					t.Errorf("UNSUBACK has %v, want %v", got, want)
				}
				bus.ExpectNobody(id + "/gone")
				bus.Send(bus.Message(id+"/kept", []byte("1"), 2))
				if m := d.Collect(1)[0]; m.Topic != id+"/kept" || m.QoS != qos {
					t.Errorf("got %s", mqtttest.Describe(m))
				}
				d.Disconnect()
			}
		})
	})
}
