package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// topicLengths are around the limits that a bus may have: AMQP 0-9-1's short strings, a frame, and MQTT's own.
var topicLengths = []int{255, 256, 4096, 32_768, 65_535}

// longTopic is a topic of n bytes in levels of ten, or in a hundred levels if the bus does not bear that many, with characters in each that an address
// has to escape.
func longTopic(b rig.Backend, prefix string, n int) string {
	level := "/lé.vel7"
	if s := prefix + strings.Repeat(level, n/9+1); !b.Carries(s) {
		level = "/" + strings.Repeat("lé:.*vel7", n/900+1)
	}
	s := prefix + strings.Repeat(level, n/len(level)+1)
	s = s[:n]
	for !strings.HasSuffix(s, "7") { // end neither within a character nor with a separator
		s = s[:len(s)-1]
	}
	return s + strings.Repeat("x", n-len(s))
}

// However long a topic is, the device is told the truth: what is acknowledged is on the bus, under its topic, and comes back to who
// subscribed to it.
func TestLongTopics(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		app := openBackend(t, n.BusURL)
		app.dialect = b.Dialect
		for _, length := range topicLengths {
			t.Run(fmt.Sprint(length), func(t *testing.T) {
				rig.Versions(t, func(t *testing.T, v packet.Version) { longTopicTruth(t, b, n, app, v, length) })
			})
		}
	})
}

func longTopicTruth(t *testing.T, b rig.Backend, n *rig.Node, app *backend, v packet.Version, length int) {
	prefix := rig.Prefix(t)
	topic := longTopic(b, prefix, length)
	app = &backend{t: t, dialect: app.dialect, client: app.client}
	queue := app.queue(prefix + "/#")
	up, _ := rig.Dial(t, n, v, rig.Clean(prefix+"-up"))
	down, _ := rig.Dial(t, n, v, rig.Clean(prefix+"-down"))
	if r := down.Subscribe(prefix+"/#", 1); r != packet.GrantedQoS1 {
		t.Fatalf("SUBACK 0x%02X", byte(r))
	}
	if b.MaxTopic > 0 && length > b.MaxTopic {
		up.Send(&packet.Publish{Topic: topic, QoS: 1, ID: up.NextID()})
		if v == packet.V311 {
			up.ExpectClosed()
		} else if ack := mqtttest.Expect[*packet.Ack](up); !ack.Reason.Failed() {
			t.Errorf("acknowledged with 0x%02X", byte(ack.Reason))
		}
		return
	}
	var payloads []string
	for _, qos := range []packet.QoS{0, 1, 2} {
		payload := fmt.Sprintf("%s at QoS %d", prefix, qos)
		if r := up.Publish(topic, []byte(payload), qos); r != packet.Success {
			t.Fatalf("QoS %d: acknowledged with 0x%02X", qos, byte(r))
		}
		payloads = append(payloads, payload)
	}
	app.consume(queue).expect(t, payloads)
	var came []string
	for _, p := range down.Collect(len(payloads)) {
		if p.Topic != topic {
			t.Errorf("the topic came back with %d bytes, sent were %d", len(p.Topic), len(topic))
		}
		came = append(came, string(p.Payload))
	}
	if slices.Sort(came); !slices.Equal(came, payloads) {
		t.Errorf("got %q", came)
	}
}

// A topic with more levels than the bus bears is refused, to the device that publishes and to the one that subscribes; the bus is none the worse.
func TestDeepTopics(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		prefix := rig.Prefix(t)
		deep := prefix + strings.Repeat("/x", 5000)
		for granted := range packet.QoS(2) {
			d, _ := rig.Dial(t, n, packet.V5, rig.Clean(fmt.Sprint(prefix, granted)))
			if r := d.Subscribe(deep, granted); !r.Failed() && !b.Carries(deep) {
				t.Errorf("subscribed at QoS %d: 0x%02X", granted, byte(r))
			}
			d.Subscribe(prefix+"/x", granted)
			for qos := packet.QoS(1); qos < 3; qos++ {
				if r := d.Publish(deep, []byte("deep"), qos); b.Carries(deep) && r.Failed() || !b.Carries(deep) && r != packet.TopicNameInvalid {
					t.Errorf("published at QoS %d: 0x%02X", qos, byte(r))
				}
			}
			d.Publish(deep, []byte("deep"), 0)
			d.Publish(prefix+"/x", []byte("flat"), 1)
			for d.Collect(1)[0].Topic != prefix+"/x" {
			}
			d.Disconnect()
		}
	})
}

// The same for filters: a SUBACK that grants means that messages come; what the bus cannot bind is refused.
func TestLongFilters(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		for _, length := range topicLengths {
			for _, qos := range []packet.QoS{0, 1} {
				t.Run(fmt.Sprintf("%d at QoS %d", length, qos), func(t *testing.T) {
					rig.Versions(t, func(t *testing.T, v packet.Version) { longFilterTruth(t, b, n, v, length, qos) })
				})
			}
		}
	})
}

func longFilterTruth(t *testing.T, b rig.Backend, n *rig.Node, v packet.Version, length int, qos packet.QoS) {
	prefix := rig.Prefix(t)
	topic := longTopic(b, prefix, length)
	d, _ := rig.Dial(t, n, v, rig.Clean(prefix))
	r := d.Subscribe(topic, qos)
	t.Logf("SUBACK 0x%02X", byte(r))
	if r.Failed() {
		if d.Subscribe(prefix+"/short", qos).Failed() {
			t.Error("and a short filter after it, too")
		}
		return
	}
	if r := d.Publish(topic, []byte("to myself"), 1); r != packet.Success {
		t.Fatalf("PUBACK 0x%02X", byte(r))
	}
	if got := d.Collect(1); got[0].Topic != topic {
		t.Errorf("the topic came back with %d bytes", len(got[0].Topic))
	}
}

// The same for payloads up to the largest packet: some take several frames on the bus, at QoS 0 too.
func TestLargePayloads(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		app := openBackend(t, n.BusURL)
		app.dialect = b.Dialect
		rig.Versions(t, func(t *testing.T, v packet.Version) { largePayloadTruth(t, n, app, v) })
	})
}

func largePayloadTruth(t *testing.T, n *rig.Node, app *backend, v packet.Version) {
	prefix := rig.Prefix(t)
	app = &backend{t: t, dialect: app.dialect, client: app.client}
	queue := app.queue(prefix + "/#")
	d, _ := rig.Dial(t, n, v, rig.Clean(prefix))
	var payloads []string
	for _, size := range []int{1000, 65_000, 131_000, 262_000} {
		for _, qos := range []packet.QoS{0, 1, 2} {
			payload := fmt.Sprintf("%s at QoS %d ", prefix, qos)
			payload += strings.Repeat("x", size-len(payload))
			if r := d.Publish(prefix+"/up", []byte(payload), qos); r != packet.Success {
				t.Fatalf("%d bytes at QoS %d: acknowledged with 0x%02X", size, qos, byte(r))
			}
			payloads = append(payloads, payload)
		}
	}
	c := app.consume(queue)
	rig.Eventually(t, "all payloads are at the backend", func() error {
		for _, p := range payloads {
			if !c.has(p) {
				return fmt.Errorf("one of %d bytes is missing: %.40s", len(p), p)
			}
		}
		return nil
	})
}
