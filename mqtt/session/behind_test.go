package session

import (
	"testing"

	"sluice/mqtt/packet"
)

// TestReadingStopsWhileTheBusIsBehind: at QoS 0 nothing but that we do not read holds a device back. It stops at a window of messages that the bus has not answered,
// and goes on when half of them are.
func TestReadingStopsWhileTheBusIsBehind(t *testing.T) {
	for _, c := range []struct {
		receiveMaximum uint16
		window         int
	}{{100, qos0Window}, {10, 10}, {2, 2}, {1, 1}} {
		cfg := testConfig()
		cfg.ReceiveMaximum = c.receiveMaximum
		m := opened(t, cfg)
		var tokens []uint64
		paused := false
		step := func(ev Event) {
			for _, e := range m.Step(scriptStart, ev, nil) {
				switch e := e.(type) {
				case Publish:
					tokens = append(tokens, e.Token)
				case PauseReading:
					paused = true
				case ResumeReading:
					paused = false
				}
			}
		}
		publish := func() {
			step(PacketReceived{Packet: &packet.Publish{Topic: "a", Payload: []byte("x")}})
		}
		for range c.window {
			publish()
		}
		if len(tokens) != c.window || paused {
			t.Errorf("Receive Maximum %d: %d messages handed over, reading paused: %v; want %d and false", c.receiveMaximum, len(tokens), paused, c.window)
		}
		publish()
		if len(tokens) != c.window || !paused {
			t.Errorf("Receive Maximum %d: one more: %d messages handed over, reading paused: %v", c.receiveMaximum, len(tokens), paused)
		}
		answered := 0
		for ; paused && answered < c.window; answered++ {
			step(PublishAnswered{Token: tokens[answered]})
		}
		if want := c.window - max(1, c.window/2) + 1; answered != want || paused || len(tokens) != c.window+1 {
			t.Errorf("Receive Maximum %d: reading goes on after %d answers, want %d; %d messages handed over", c.receiveMaximum, answered, want, len(tokens))
		}
	}
}
