package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// retain publishes with RETAIN, as QoS 1 so that it is stored when it returns, and fails the test unless that succeeds.
func retain(t *testing.T, d *mqtttest.Device, topic, payload string, set ...func(*packet.Publish)) {
	t.Helper()
	p := &packet.Publish{ID: d.NextID(), QoS: 1, Retain: true, Topic: topic, Payload: []byte(payload)}
	for _, f := range set {
		f(p)
	}
	d.Send(p)
	if a := d.ExpectAck(packet.PUBACK, p.ID); a.Reason.Failed() {
		t.Fatalf("PUBACK %v", a.Reason)
	}
}

// clear removes retained messages, so that the next run of the tests does not meet them.
func clear(t *testing.T, d *mqtttest.Device, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		retain(t, d, topic, "")
	}
}

func text(p *packet.Publish) string {
	return fmt.Sprintf("%s=%s retain=%t qos=%d", p.Topic, p.Payload, p.Retain, p.QoS)
}

// What one node retains every node has, for subscriptions of any QoS; who has subscribed before gets it as any other message.
func TestRetainedMessagesAreThereOnAnyNode(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			publisher, _ := rig.Dial(t, first, v, rig.Clean(id+"-p"))
			live, _ := rig.Dial(t, second, v, rig.Clean(id+"-l"))
			live.Subscribe(id+"/#", 1)
			for i, payload := range []string{"old", "new"} {
				retain(t, publisher, id+"/a", payload)
				if got, want := text(live.Collect(1)[0]), fmt.Sprintf("%s/a=%s retain=false qos=1", id, payload); got != want {
					t.Errorf("message %d to the live subscription: %s, want %s", i, got, want)
				}
			}
			for qos := packet.QoS(0); qos <= 2; qos++ {
				d, _ := rig.Dial(t, second, v, rig.Clean(fmt.Sprint(id, "-s", qos)))
				d.Subscribe(id+"/a", qos)
				if got, want := text(d.Collect(1)[0]), fmt.Sprintf("%s/a=new retain=true qos=%d", id, min(qos, 1)); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				d.Disconnect()
			}
			clear(t, publisher, id+"/a")
			if got := text(live.Collect(1)[0]); got != id+"/a= retain=false qos=1" {
				t.Errorf("the removal is a message too: got %s", got)
			}
			d, _ := rig.Dial(t, second, v, rig.Clean(id+"-gone"))
			d.Subscribe(id+"/a", 1)
			publisher.Publish(id+"/a", []byte("live"), 1)
			if got := text(d.Collect(1)[0]); got != id+"/a=live retain=false qos=1" {
				t.Errorf("after the removal: %s", got)
			}
			d.Disconnect()
			live.Disconnect()
			publisher.Disconnect()
		})
	})
}

func TestRetainedMessagesOfWildcards(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		id := rig.Prefix(t)
		publisher, _ := rig.Dial(t, first, packet.V5, rig.Clean(id+"-p"))
		topics := []string{id, id + "/a", id + "/a/b", id + "/a.b/c", id + "/c/b", id + "-/a"}
		for _, topic := range topics {
			retain(t, publisher, topic, "x")
		}
		d, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-s"))
		for _, c := range []struct {
			filter string
			want   []string
		}{
			{id + "/#", []string{"", "/a", "/a/b", "/a.b/c", "/c/b"}},
			{id + "/+", []string{"/a"}},
			{id + "/+/b", []string{"/a/b", "/c/b"}},
			{id + "/a/#", []string{"/a", "/a/b"}},
			{"+/a", []string{"/a", "-/a"}},
		} {
			for qos := packet.QoS(0); qos <= 1; qos++ {
				var want []string
				for _, w := range c.want {
					want = append(want, fmt.Sprintf("%s%s=x retain=true qos=%d", id, w, qos))
				}
				slices.Sort(want)
				d.Subscribe(c.filter, qos)
				got := collectOf(d, id, len(want))
				if !slices.Equal(got, want) {
					t.Errorf("%s at QoS %d: got %v, want %v", c.filter, qos, got, want)
				}
				unsubscribe(t, d, id, c.filter)
			}
		}
		clear(t, publisher, topics...)
		d.Disconnect()
		publisher.Disconnect()
	})
}

// collectOf collects n messages whose topic begins with prefix: others may retain things on the same bus meanwhile.
func collectOf(d *mqtttest.Device, prefix string, n int) (out []string) {
	for len(out) < n {
		for _, p := range d.Collect(1) {
			if strings.HasPrefix(p.Topic, prefix) {
				out = append(out, text(p))
			}
		}
	}
	slices.Sort(out)
	return out
}

// unsubscribe fails the test if one more message on a topic with this prefix comes before the answer.
func unsubscribe(t *testing.T, d *mqtttest.Device, prefix, filter string) {
	t.Helper()
	id := d.NextID()
	d.Send(&packet.Unsubscribe{ID: id, Filters: []string{filter}})
	for {
		switch p := d.Recv().(type) {
		case *packet.Unsuback:
			if p.ID != id || len(p.Reasons) > 0 && p.Reasons[0].Failed() {
				t.Fatalf("got %s", mqtttest.Describe(p))
			}
			return
		case *packet.Publish:
			if strings.HasPrefix(p.Topic, prefix) {
				t.Fatalf("one more: %s", text(p))
			}
		}
	}
}

// Thousands of retained messages come as fast as the device takes them, and never more at a time than it allows; the rest waits on the bus, where a
// node that dies cannot take it along.
func TestManyRetainedMessagesRespectTheWindow(t *testing.T) {
	const topics, window = 1500, 5
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		id := rig.Prefix(t)
		publisher, _ := rig.Dial(t, first, packet.V5, rig.Clean(id+"-p"))
		names := make([]string, topics)
		for i := range names {
			names[i] = fmt.Sprintf("%s/%d/state", id, i)
		}
		publishAll(t, publisher, names, "x")
		persistent := func(p *packet.Connect) {
			rig.Persistent(id + "-s")(p)
			p.Properties.SetReceiveMaximum(window)
		}
		d, _ := rig.Dial(t, second, packet.V5, persistent)
		d.Subscribe(id+"/+/state", 1)
		seen := map[string]bool{}
		take := func(d *mqtttest.Device) packet.ID {
			p := mqtttest.Expect[*packet.Publish](d)
			if !p.Retain || p.QoS != 1 {
				t.Fatalf("got %s", text(p))
			}
			seen[p.Topic] = true
			return p.ID
		}
		for range window {
			take(d)
		}
		d.Send(&packet.Pingreq{})
		if p := d.Recv(); p.Type() != packet.PINGRESP {
			t.Fatalf("one more than the window allows: %s", mqtttest.Describe(p))
		}
		d.Close()
		d, connack := rig.Dial(t, first, packet.V5, persistent)
		if !connack.SessionPresent {
			t.Fatal("no session")
		}
		for len(seen) < topics {
			d.Send(&packet.Ack{Kind: packet.PUBACK, ID: take(d)})
		}
		d.Disconnect()
		d, _ = rig.Dial(t, first, packet.V5, rig.Clean(id+"-s"))
		d.Disconnect()
		publishAll(t, publisher, names, "")
		publisher.Disconnect()
	})
}

// publishAll retains payload on each topic, as fast as the node's window allows.
func publishAll(t *testing.T, d *mqtttest.Device, topics []string, payload string) {
	t.Helper()
	const window = 50
	for len(topics) > 0 {
		part := topics[:min(window, len(topics))]
		topics = topics[len(part):]
		for _, topic := range part {
			d.Send(&packet.Publish{ID: d.NextID(), QoS: 1, Retain: true, Topic: topic, Payload: []byte(payload)})
		}
		for range part {
			if a := mqtttest.Expect[*packet.Ack](d); a.Kind != packet.PUBACK || a.Reason.Failed() {
				t.Fatalf("got %s", mqtttest.Describe(a))
			}
		}
	}
}

// A device that reads slowly gets every retained message all the same: they wait in the store.
func TestASlowQoS0ReaderGetsEveryRetainedMessage(t *testing.T) {
	const topics, size = 300, 8 << 10 // more than fits into what may wait for a device
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		id := rig.Prefix(t)
		publisher, _ := rig.Dial(t, first, packet.V5, rig.Clean(id+"-p"))
		names := make([]string, topics)
		for i := range names {
			names[i] = fmt.Sprintf("%s/%d", id, i)
		}
		publishAll(t, publisher, names, string(make([]byte, size)))
		d, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-s"))
		d.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: id + "/#"}}})
		// Other subscriptions are served meanwhile.
		other, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-o"))
		other.Subscribe(id+"-other/x", 0)
		publisher.Publish(id+"-other/x", []byte("y"), 1)
		other.Collect(1)
		seen := map[string]bool{}
		mqtttest.Expect[*packet.Suback](d)
		for len(seen) < topics {
			seen[mqtttest.Expect[*packet.Publish](d).Topic] = true
		}
		d.Disconnect()
		other.Disconnect()
		publishAll(t, publisher, names, "")
		publisher.Disconnect()
	})
}

// A backend sets a retained message by sending it to the queue for that, and removes it with an empty body.
func TestABackendRetains(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		id := rig.Prefix(t)
		queue := id + "-retained"
		first, second := rig.Pair(t, b, "retained.queue="+queue)
		bus := rig.OpenBus(t, first)
		bus.Remove(queue)
		live, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-l"))
		live.Subscribe(id+"/#", 1)
		send := func(payload string) {
			t.Helper()
			m := bus.Message(id+"/a", []byte(payload), 1)
			m.Properties.To, m.Properties.Subject, m.Properties.ContentType = bus.InboxAddress(queue), id+"/a", "text/plain"
			bus.Send(m)
			if got, want := text(live.Collect(1)[0]), fmt.Sprintf("%s/a=%s retain=false qos=1", id, payload); got != want {
				t.Errorf("to the live subscription: %s, want %s", got, want)
			}
		}
		send("1")
		send("2")
		// Published comes before retained.
		rig.Eventually(t, "the message is retained", func() error {
			d, _ := rig.Dial(t, first, packet.V5, rig.Clean(id+"-s"))
			defer d.Disconnect()
			d.Subscribe(id+"/a", 1)
			live.Publish(id+"/a", []byte("end"), 1)
			live.Collect(1)
			p := d.Collect(1)[0]
			if text(p) != id+"/a=2 retain=true qos=1" {
				return fmt.Errorf("got %s", text(p))
			}
			if p.Properties.ContentType != "text/plain" {
				t.Errorf("content type %q", p.Properties.ContentType)
			}
			return nil
		})
		live.Disconnect()
		live, _ = rig.Dial(t, second, packet.V5, rig.Clean(id+"-l"))
		live.Subscribe(id+"/a", 1)
		live.Collect(1)
		send("")
		live.Disconnect()
	})
}

func TestARetainedMessageExpires(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		id := rig.Prefix(t)
		publisher, _ := rig.Dial(t, first, packet.V5, rig.Clean(id+"-p"))
		retain(t, publisher, id+"/short", "x", func(p *packet.Publish) { p.Properties.SetMessageExpiry(1) })
		retain(t, publisher, id+"/long", "x", func(p *packet.Publish) { p.Properties.SetMessageExpiry(1000) })
		rig.Eventually(t, "the short one is gone", func() error {
			d, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-s"))
			defer d.Disconnect()
			d.Subscribe(id+"/#", 1)
			publisher.Publish(id+"/end", nil, 1)
			short := false
			for {
				p := d.Collect(1)[0]
				switch p.Topic {
				case id + "/short":
					short = true
				case id + "/long":
					if left := p.Properties.MessageExpiry; left == 0 || left > 1000 {
						t.Errorf("%d seconds left of 1000", left)
					}
				case id + "/end":
					if short {
						return fmt.Errorf("still there")
					}
					return nil
				}
			}
		})
		clear(t, publisher, id+"/long")
		publisher.Disconnect()
	})
}
