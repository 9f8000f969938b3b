package failover

import (
	"fmt"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// stuck is for how long an answer that must not come is waited for: some times the wait of a node for its replicas.
const stuck = 3 * time.Second

// connect opens a persistent session, which may be refused.
func connect(t *testing.T, n *rig.Node, v packet.Version, id string) (*mqtttest.Device, *packet.Connack) {
	t.Helper()
	d := mqtttest.Dial(t, n.TCP, v)
	d.SetTimeout(rig.Patience)
	return d, d.Connect(rig.Persistent(id))
}

// comeBack connects until the node takes the device.
func comeBack(t *testing.T, n *rig.Node, v packet.Version, id string) (d *mqtttest.Device, present bool) {
	t.Helper()
	rig.Eventually(t, "the device is taken", func() error {
		var connack *packet.Connack
		if d, connack = connect(t, n, v, id); connack.Reason != packet.Success {
			return fmt.Errorf("CONNACK %v", connack.Reason)
		}
		present = connack.SessionPresent
		return nil
	})
	return d, present
}

// leave disconnects and waits until the node has taken note.
func leave(d *mqtttest.Device) {
	d.Send(&packet.Disconnect{})
	d.ExpectClosed()
}

// join opens a session that subscribes to its own topic, which is its name.
func join(t *testing.T, n *rig.Node, v packet.Version, id string) *mqtttest.Device {
	t.Helper()
	d, present := comeBack(t, n, v, id)
	if present {
		t.Errorf("%s: a session is present before there was any", id)
	}
	if reason := d.Subscribe(id, 2); reason != packet.GrantedQoS2 {
		t.Fatalf("%s: SUBACK %v", id, reason)
	}
	return d
}

// expectServed sends a device a message.
func expectServed(t *testing.T, bus *rig.Bus, d *mqtttest.Device, id string) {
	t.Helper()
	bus.Send(bus.Message(id, []byte(id), 2))
	if got := d.Collect(1); string(got[0].Payload) != id {
		t.Errorf("%s got %q", id, got[0].Payload)
	}
}

// Profile standard: what the replica had is there after the fail-over. What it did not have is lost, and each device is told: one that comes back by
// Session Present 0, one that stayed by the end of its connection.
func TestStandardLosesWhatTheReplicaLacks(t *testing.T) {
	p := startPair(t)
	n := rig.Start(t, rig.Real(t), "sessions.url="+p.url())
	bus := rig.OpenBus(t, n)
	type devices struct {
		known, unknown string
		stays          *mqtttest.Device
	}
	of := map[packet.Version]devices{}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		d := devices{known: rig.Prefix(t), unknown: rig.Prefix(t)}
		leave(join(t, n, v, d.known))
		of[v] = d
	}
	p.Synced()
	p.Lag()
	for v, d := range of {
		leave(join(t, n, v, d.unknown)) // it was answered
		d.stays = join(t, n, v, rig.Prefix(t))
		of[v] = d
	}
	p.failOver()
	for v, d := range of {
		known, present := comeBack(t, n, v, d.known)
		if !present {
			t.Errorf("%v: the replica had the session, and it is not there", v)
		}
		expectServed(t, bus, known, d.known)
		unknown, present := comeBack(t, n, v, d.unknown)
		if present {
			t.Errorf("%v: a session is present that the replica cannot know", v)
		}
		if reason := unknown.Subscribe(d.unknown, 2); reason != packet.GrantedQoS2 {
			t.Errorf("%v: SUBACK %v", v, reason)
		}
		expectServed(t, bus, unknown, d.unknown)
		expectToldOff(t, d.stays, v)
	}
}

// expectToldOff has a device whose session is lost publish at QoS 2: there is no PUBREC, but the end of the connection.
func expectToldOff(t *testing.T, d *mqtttest.Device, v packet.Version) {
	t.Helper()
	d.Send(&packet.Publish{Topic: "failover/x", QoS: 2, ID: d.NextID(), Payload: []byte("x")})
	if v == packet.V5 {
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.SessionTakenOver {
			t.Errorf("DISCONNECT %v", p.Reason)
		}
	}
	d.ExpectClosed()
}

// Profile durable: with its replica away a node answers nothing that it could lose. After the fail-over everything that was answered is there, and
// what was asked meanwhile is answered when there is a replica again.
func TestDurableKeepsWhatItAnswered(t *testing.T) {
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		p := startPair(t)
		// The outage is shorter than the grace, whatever a loaded machine takes to start a Redis.
		n := rig.Start(t, rig.Real(t), "sessions.url="+p.url(), "profile=durable", "bus.grace=2m")
		bus := rig.OpenBus(t, n)
		away, stays, topic := rig.Prefix(t), rig.Prefix(t), rig.Prefix(t)+"/up"
		queue := bus.Queue(topic)
		d := join(t, n, v, away)
		first := &packet.Publish{Topic: topic, QoS: 2, ID: d.NextID(), Payload: []byte("answered before")}
		d.Send(first)
		d.ExpectAck(packet.PUBREC, first.ID)
		leave(d)
		connected := join(t, n, v, stays)

		p.Lag()
		rig.Eventually(t, "a device is refused", func() error {
			d, connack := connect(t, n, v, rig.Prefix(t))
			defer d.Close()
			if connack.Reason != packet.ServerUnavailable || connack.SessionPresent {
				return fmt.Errorf("CONNACK %v, session present %v", connack.Reason, connack.SessionPresent)
			}
			return nil
		})
		second := &packet.Publish{Topic: topic, QoS: 2, ID: connected.NextID(), Payload: []byte("asked meanwhile")}
		connected.Send(second)
		connected.ExpectNothing(stuck)
		p.failOver()
		connected.ExpectNothing(stuck)
		p.Rejoin()

		connected.ExpectAck(packet.PUBREC, second.ID)
		connected.Send(&packet.Ack{Kind: packet.PUBREL, ID: second.ID})
		connected.ExpectAck(packet.PUBCOMP, second.ID)
		expectServed(t, bus, connected, stays)
		d, present := comeBack(t, n, v, away)
		if !present {
			t.Error("a session that was answered is not there")
		}
		first.Dup = true
		d.Send(first)
		d.ExpectAck(packet.PUBREC, first.ID)
		d.Send(&packet.Ack{Kind: packet.PUBREL, ID: first.ID})
		d.ExpectAck(packet.PUBCOMP, first.ID)
		expectServed(t, bus, d, away)
		bus.Send(bus.Message(topic, []byte("the end"), 1))
		for _, want := range []string{"answered before", "asked meanwhile", "the end"} {
			if got := string(queue.Take().Data[0]); got != want {
				t.Fatalf("the backend got %q, want %q, once", got, want)
			}
		}
	})
}
