package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// topicLengths are around the limits that a bus may have: AMQP 0-9-1's short strings, a frame, and MQTT's own.
var topicLengths = []int{255, 256, 4096, 32_768, 65_535}

// longTopic is a topic of n bytes in levels of ten, with a character in each that an address has to escape.
func longTopic(prefix string, n int) string {
	s := prefix + strings.Repeat("/lé.vel7", n/9+1)
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
		for _, length := range topicLengths {
			t.Run(fmt.Sprint(length), func(t *testing.T) {
				rig.Versions(t, func(t *testing.T, v packet.Version) { longTopicTruth(t, n, app, v, length) })
			})
		}
	})
}

func longTopicTruth(t *testing.T, n *rig.Node, app *backend, v packet.Version, length int) {
	prefix := rig.Prefix(t)
	topic := longTopic(prefix, length)
	app = &backend{t: t, client: app.client}
	queue := app.queue(prefix + "/#")
	up, _ := rig.Dial(t, n, v, rig.Clean(prefix+"-up"))
	down, _ := rig.Dial(t, n, v, rig.Clean(prefix+"-down"))
	if r := down.Subscribe(prefix+"/#", 1); r != packet.GrantedQoS1 {
		t.Fatalf("SUBACK 0x%02X", byte(r))
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

// The same for filters: a SUBACK that grants means that messages come; what the bus cannot bind is refused.
func TestLongFilters(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		for _, length := range topicLengths {
			for _, qos := range []packet.QoS{0, 1} {
				t.Run(fmt.Sprintf("%d at QoS %d", length, qos), func(t *testing.T) {
					rig.Versions(t, func(t *testing.T, v packet.Version) { longFilterTruth(t, n, v, length, qos) })
				})
			}
		}
	})
}

func longFilterTruth(t *testing.T, n *rig.Node, v packet.Version, length int, qos packet.QoS) {
	prefix := rig.Prefix(t)
	topic := longTopic(prefix, length)
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
		rig.Versions(t, func(t *testing.T, v packet.Version) { largePayloadTruth(t, n, app, v) })
	})
}

func largePayloadTruth(t *testing.T, n *rig.Node, app *backend, v packet.Version) {
	prefix := rig.Prefix(t)
	app = &backend{t: t, client: app.client}
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
