package faults

import (
	"fmt"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// streamed are messages that a device publishes by itself.
type streamed struct {
	payloads []string
	done     chan error // the result, once
}

// streamPrefix begins the payloads of one device at one QoS.
func streamPrefix(name string, qos packet.QoS) string { return fmt.Sprintf("%s qos%d ", name, qos) }

func streamPayload(name string, qos packet.QoS, n int) string {
	return fmt.Sprintf("%s%06d", streamPrefix(name, qos), n)
}

// stream has d publish n messages at QoS 1 and as many at QoS 2, in turn, numbered from first.
func stream(t *testing.T, d *device, topic string, first, n int) *streamed {
	s := &streamed{done: make(chan error, 1)}
	for i := first; i < first+n; i++ {
		s.payloads = append(s.payloads, streamPayload(topic, 1, i), streamPayload(topic, 2, i))
	}
	go func() {
		for i, p := range s.payloads {
			if err := d.publish(topic+"/up", p, packet.QoS(1+i%2)); err != nil {
				s.done <- err
				return
			}
		}
		s.done <- nil
	}()
	t.Cleanup(d.close) // ends the publishing too
	return s
}

// expectStuck waits until the device's window is full and then for a few pings more.
func (d *device) expectStuck(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "the device's window is full", func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.open) < d.window {
			return fmt.Errorf("%d of %d are open", len(d.open), d.window)
		}
		return nil
	})
	d.expectPings(t, 3)
}

// expectPings waits until so many more pings were answered.
func (d *device) expectPings(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.pings
	}
	until := count() + n
	rig.Eventually(t, "pings are answered", func() error {
		if got := count(); got < until {
			return fmt.Errorf("%d of %d", got, until)
		}
		return nil
	})
}

// expectAnswersInOrder: PUBACKs, and PUBRECs, come in the order of their PUBLISH packets [MQTT-4.6.0-2, MQTT-4.6.0-3], each once.
func (d *device) expectAnswersInOrder(t *testing.T) {
	t.Helper()
	last := map[packet.QoS]string{}
	for _, a := range d.allAnswers() {
		if a.payload <= last[a.qos] {
			t.Errorf("%q was answered after %q", a.payload, last[a.qos])
			return
		}
		last[a.qos] = a.payload
	}
}
