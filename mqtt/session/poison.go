package session

import (
	"fmt"

	"sluice/mqtt/packet"
)

// A device that dies of a message does not acknowledge it, comes back, and is sent it again [MQTT-4.4.0-1]. It does so for ever, and with it all that waits
// behind. The bus cannot tell such a message: it counts the ends of our links, which have many other reasons. So the record of the exchange counts the
// connections, of the oldest message only. What is behind it may never have been looked at.

// suspect notes the exchange that the message of this identifier would be blamed on, if it is still to be sent.
func (m *Machine) suspect(id packet.ID) {
	if o := m.down.exchanges[id]; o != nil && o.state == outKept {
		m.down.suspect = o
	}
}

// poisonous counts another connection for the suspect, and reports whether they are enough.
func (m *Machine) poisonous(o *outbound) bool {
	if m.cfg.PoisonAfter == 0 || o != m.down.suspect {
		return false
	}
	m.down.suspect = nil // one connection counts once
	o.rec.Attempts = min(o.rec.Attempts+1, attemptsMax)
	if o.rec.Attempts >= m.cfg.PoisonAfter {
		return true
	}
	m.noteOutbound(o.rec)
	return false
}

func (m *Machine) poisoned() verdict {
	return rejected(Poisonous, packet.ImplementationSpecificError,
		fmt.Sprintf("the device was sent the message on %d connections and acknowledged it on none", m.cfg.PoisonAfter))
}
