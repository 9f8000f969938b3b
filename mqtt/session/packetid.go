package session

import "sluice/mqtt/packet"

// allocateID gives a packet identifier that no exchange uses, never zero [MQTT-2.2.1-4]. Identifiers come round as late as possible, so
// that an answer which arrives late does not meet a new exchange. room leaves at least one free.
func (m *Machine) allocateID() packet.ID {
	d := &m.down
	for {
		d.lastID++
		if d.lastID == 0 {
			d.lastID = 1
		}
		if _, used := d.exchanges[d.lastID]; !used && !d.completed.has(d.lastID) {
			return d.lastID
		}
	}
}
