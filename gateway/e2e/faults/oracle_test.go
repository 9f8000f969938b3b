package faults

import (
	"fmt"
	"sync"

	"sluice/amqp/embedded"
	"sluice/mqtt/packet"
)

// oracle compares every PUBACK and PUBREC, in the moment it is seen, with the outcomes that the broker has given so far by its own count. A
// positive one for which there is no outcome is a lie (P1). It counts for all devices of a bus; the backend publishes nothing meanwhile.
type oracle struct {
	bus  *bus
	base embedded.Stats

	mu              sync.Mutex
	success, nobody uint64
}

func newOracle(b *bus) *oracle { return &oracle{bus: b, base: b.Stats()} }

func (o *oracle) judge(d *device, a answer) string {
	if a.reason.Failed() {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.bus.Stats()
	accepted, released := now.Accepted-o.base.Accepted, now.Released-o.base.Released
	if a.reason == packet.NoMatchingSubscribers {
		o.nobody++
	} else {
		o.success++
	}
	switch {
	case d.v == packet.V311 && o.success > accepted+released,
		d.v == packet.V5 && (o.success > accepted || o.nobody > released):
		return fmt.Sprintf("%q was answered with %v; %d and %d (nobody) are acknowledged, the bus has given %d accepted and %d released",
			a.payload, a.reason, o.success, o.nobody, accepted, released)
	}
	return ""
}
