package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// retainAt publishes a retained message and waits until it is answered.
func retainAt(d *mqtttest.Device, topic, payload string, qos packet.QoS) {
	p := &packet.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: true}
	send(d, p)
	if qos == 0 {
		// A message at QoS 1 behind it: when that is answered, the one before it is done with.
		send(d, &packet.Publish{Topic: topic + "/behind", QoS: 1})
	}
}

// quiet is how long a device that must get nothing is watched. What would come, comes within milliseconds of SUBACK.
const quiet = 300 * time.Millisecond

// expectRetainedOn subscribes as a new device of n and demands these retained messages on the topic, as "payload@QoS". Another topic has one
// too, so that something comes in any case.
func expectRetainedOn(t *testing.T, n *rig.Node, v packet.Version, witness, filter string, qos packet.QoS, want ...string) {
	t.Helper()
	d, _ := rig.Dial(t, n, v)
	defer d.Disconnect()
	d.Send(&packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}, {Filter: witness, QoS: qos}}})
	var got []string
	for _, m := range d.Collect(len(want) + 1) {
		if !m.Retain || m.Dup {
			t.Errorf("for a new subscription %s came as %s, retain %t", m.Topic, mqtttest.Describe(m), m.Retain)
		}
		if m.Topic != witness {
			got = append(got, fmt.Sprintf("%s@%d", m.Payload, m.QoS))
		}
	}
	mqtttest.Expect[*packet.Suback](d)
	if !slices.Equal(got, want) {
		t.Errorf("%s at QoS %d has %q, want %q", filter, qos, got, want)
	}
	if len(want) == 0 {
		d.ExpectNothing(quiet)
	}
}

// clearRetained removes what a test has retained.
func clearRetained(t *testing.T, n *rig.Node, topics ...string) {
	t.Helper()
	d, _ := rig.Dial(t, n, packet.V5)
	for _, topic := range topics {
		retainAt(d, topic, "", 1)
	}
	d.Disconnect()
}

// A retained message is replaced by the next, with its QoS ([MQTT-3.3.1-5], [3.1.1 MQTT-3.3.1-5], [3.1.1 MQTT-3.3.1-7]), left alone by a PUBLISH
// without RETAIN ([MQTT-3.3.1-8], [3.1.1 MQTT-3.3.1-12]), and removed by an empty one, which is delivered and not retained ([MQTT-3.3.1-6],
// [MQTT-3.3.1-7], [3.1.1 MQTT-3.3.1-10], [3.1.1 MQTT-3.3.1-11]); on any node, and after its publisher's session has ended ([3.1.1 MQTT-3.1.2-7]).
func TestRetainedMessagesAreReplacedAndRemoved(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			prefix := rig.Prefix(t)
			topic := prefix + "/x"
			// expect gives the payload and the QoS of what is retained; a subscription lowers the QoS.
			expect := func(payload string, sent packet.QoS) {
				t.Helper()
				for qos := range packet.QoS(3) {
					filter := []string{topic, prefix + "/x/#", prefix + "/x"}[qos]
					expectRetainedOn(t, second, v, prefix+"/witness", filter, qos, fmt.Sprintf("%s@%d", payload, min(sent, qos)))
				}
			}
			expectNone := func() {
				t.Helper()
				expectRetainedOn(t, second, v, prefix+"/witness", prefix+"/x/#", 1)
			}
			watcher, _ := rig.Dial(t, second, v)
			watcher.Subscribe(topic, 2)
			watch := func(payload string) {
				t.Helper()
				if m := watcher.Collect(1)[0]; string(m.Payload) != payload || m.Retain {
					t.Errorf("who had subscribed before gets %q, retain %t; want %q without", m.Payload, m.Retain, payload)
				}
			}
			d, _ := rig.Dial(t, first, v)
			retainAt(d, prefix+"/witness", "w", 1)
			retainAt(d, topic, "one", 1)
			watch("one")
			expect("one", 1)
			retainAt(d, topic, "two", 2)
			watch("two")
			expect("two", 2)
			send(d, &packet.Publish{Topic: topic, Payload: []byte("three"), QoS: 1})
			watch("three")
			send(d, &packet.Publish{Topic: topic, QoS: 1})
			watch("")
			expect("two", 2)
			d.Disconnect()
			expect("two", 2)
			d, _ = rig.Dial(t, second, v)
			retainAt(d, topic, "four", 0)
			watch("four")
			expect("four", 0)
			retainAt(d, topic, "", 1)
			watch("")
			expectNone()
			retainAt(d, topic, "", 0)
			watch("")
			expectNone()
			d.Disconnect()
			clearRetained(t, first, prefix+"/witness", topic)
		})
	})
}

// Retain Handling: 0 sends at each SUBSCRIBE, 1 at the first only, 2 never ([MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4]);
// 3.1.1 has 0 ([3.1.1 MQTT-3.3.1-6], [3.1.1 MQTT-3.8.4-3]), and retained messages have RETAIN ([3.1.1 MQTT-3.3.1-8]).
func TestRetainHandling(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			prefix := rig.Prefix(t)
			p, _ := rig.Dial(t, first, v)
			for _, name := range []string{"/a", "/b"} {
				retainAt(p, prefix+name, name, 1)
			}
			handlings := []byte{0}
			if v == packet.V5 {
				handlings = []byte{0, 1, 2}
			}
			for _, handling := range handlings {
				for qos := range packet.QoS(2) { // both lanes
					d, _ := rig.Dial(t, second, v)
					for round := range 2 {
						d.Send(&packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{{Filter: prefix + "/#", QoS: qos, RetainHandling: handling}}})
						expectRetained(t, d, handling == 0 || handling == 1 && round == 0, "/a", "/b")
					}
					d.Disconnect()
				}
			}
			p.Disconnect()
			clearRetained(t, second, prefix+"/a", prefix+"/b")
		})
	})
}

// expectRetained reads SUBACK and the retained messages, or sees that none come.
func expectRetained(t *testing.T, d *mqtttest.Device, come bool, payloads ...string) {
	t.Helper()
	var got []string
	if come {
		for _, m := range d.Collect(len(payloads)) {
			if !m.Retain {
				t.Errorf("%s came without RETAIN", m.Topic)
			}
			got = append(got, string(m.Payload))
		}
		slices.Sort(got)
		if !slices.Equal(got, payloads) {
			t.Errorf("got %q, want %q", got, payloads)
		}
	}
	mqtttest.Expect[*packet.Suback](d)
	if !come {
		d.ExpectNothing(quiet)
	}
}

// A Will is retained if it says so, and only then ([MQTT-3.1.2-14], [MQTT-3.1.2-15], [3.1.1 MQTT-3.1.2-16], [3.1.1 MQTT-3.1.2-17]).
func TestRetainedWill(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			prefix := rig.Prefix(t)
			p, _ := rig.Dial(t, first, v)
			retainAt(p, prefix+"/witness", "w", 1)
			for _, keep := range []bool{false, true} {
				topic := fmt.Sprintf("%s/%t", prefix, keep)
				watcher, _ := rig.Dial(t, second, v)
				watcher.Subscribe(topic, 1)
				d, _ := rig.Dial(t, first, v, func(c *packet.Connect) {
					c.Will = &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: 1, Retain: keep}
				})
				d.Close()
				if m := watcher.Collect(1)[0]; string(m.Payload) != "gone" || m.Retain {
					t.Errorf("who had subscribed before gets %q, retain %t", m.Payload, m.Retain)
				}
				if keep {
					// A Will is retained once the bus has taken it, and nobody is told when that is done.
					rig.Eventually(t, "the Will is retained", func() error {
						probe, _ := rig.Dial(t, second, v)
						defer probe.Disconnect()
						probe.Subscribe(prefix+"/#", 1)
						if m := probe.Collect(1)[0]; m.Topic != topic {
							return fmt.Errorf("the first retained message is that of %s", m.Topic)
						}
						return nil
					})
					expectRetainedOn(t, second, v, prefix+"/witness", topic, 1, "gone@1")
				} else {
					expectRetainedOn(t, second, v, prefix+"/witness", topic, 1)
				}
				watcher.Disconnect()
				clearRetained(t, first, topic)
			}
			clearRetained(t, first, prefix+"/witness")
		})
	})
}
