package node

import (
	"context"
	"net"
	"testing"
	"time"

	"sluice/amqp/embedded/queues"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

func device(t *testing.T, n *Node, v packet.Version) *mqtttest.Device {
	t.Helper()
	conn, err := net.Dial("tcp", n.TCP)
	if err != nil {
		t.Fatal(err)
	}
	return mqtttest.New(t, conn, v)
}

// connect with an identifier, an expiry and perhaps a Will.
func connect(d *mqtttest.Device, id string, expiry uint32, clean bool, will *packet.Will) *packet.Connack {
	c := &packet.Connect{Version: packet.V5, ClientID: id, CleanStart: clean, Will: will}
	c.Properties.SetSessionExpiry(expiry)
	d.Send(c)
	return mqtttest.Expect[*packet.Connack](d)
}

func will(topic string, delay uint32) *packet.Will {
	w := &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: 1}
	w.Properties.SetWillDelay(delay)
	return w
}

func TestAWillIsPublishedWhenTheDeviceVanishes(t *testing.T) {
	n := start(t, alone(t))
	watcher := device(t, n, packet.V5)
	watcher.Connect()
	watcher.Subscribe("wills/#", 1)

	vanishes := device(t, n, packet.V5)
	connect(vanishes, "vanishes", 0, true, will("wills/now", 0))
	vanishes.Close()
	if got := watcher.Collect(1); got[0].Topic != "wills/now" || string(got[0].Payload) != "gone" {
		t.Errorf("got %v", got)
	}

	leaves := device(t, n, packet.V5)
	connect(leaves, "leaves", 0, true, will("wills/never", 0))
	leaves.Disconnect()
	returns := device(t, n, packet.V5)
	connect(returns, "returns", 600, true, will("wills/cancelled", 2))
	returns.Close()
	returns = device(t, n, packet.V5)
	if !connect(returns, "returns", 600, false, nil).SessionPresent {
		t.Error("the session is gone")
	}
	delayed := device(t, n, packet.V5)
	connect(delayed, "delayed", 600, true, will("wills/later", 3))
	delayed.Close()
	// The delayed one comes last; by then the others would have come.
	if got := watcher.Collect(1); got[0].Topic != "wills/later" {
		t.Errorf("got %v, want wills/later alone", got)
	}
	returns.Disconnect()
	watcher.Disconnect()
}

func TestAnExpiredSessionLeavesNothingOnTheBus(t *testing.T) {
	n := start(t, alone(t))
	for _, c := range []struct {
		id     string
		expiry uint32
	}{{"ends-at-once", 0}, {"ends-later", 1}} {
		d := device(t, n, packet.V5)
		connect(d, c.id, c.expiry, true, nil)
		d.Subscribe("some/topic", 1)
		if !hasQueue(n, c.id) {
			t.Errorf("%s has no queue although it subscribed", c.id)
		}
		d.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for hasQueue(n, c.id) {
			select {
			case <-ctx.Done():
				t.Fatalf("the queue of %s is still there", c.id)
			case <-time.After(10 * time.Millisecond):
			}
		}
		cancel()
	}
}

func hasQueue(n *Node, id string) bool {
	for _, q := range n.embedded.broker.Snapshot().Queues {
		if containsID(q, id) {
			return true
		}
	}
	return false
}

func containsID(q queues.QueueInfo, id string) bool {
	const prefix = "sluice.session."
	return len(q.Name) > len(prefix+id) && q.Name[:len(prefix+id)] == prefix+id
}
