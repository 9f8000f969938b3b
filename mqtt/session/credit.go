package session

// room is how many messages the lane may have under way towards us.
func (m *Machine) room() int {
	d := &m.down
	room := d.window - d.slots - d.unasked
	// Exchanges of earlier connections take up no window, but they are not for ever free either. One message at a time is always
	// possible: what they wait for may be just that message.
	if excess := len(d.exchanges) - d.slots - resumedWindows*int(m.cfg.OutboundWindow); excess > 0 {
		room = max(room-excess, 1-d.slots-d.unasked)
	}
	return min(room, packetIDs-1-len(d.exchanges))
}

// grant gives the lane credit: one slot, one message [MQTT-3.3.4-9, MQTT-4.9.0-2]. It is given in batches of half a window, as each costs a frame,
// but a lane without any gets what there is: a device may hold on to messages until it has its window full.
func (m *Machine) grant() {
	d := &m.down
	if m.phase != phaseOpen || !d.attached {
		return
	}
	n := m.room() - d.credit
	if n <= 0 || d.credit > 0 && 2*n < d.window {
		return
	}
	d.credit += n
	m.emit(GrantCredit{N: uint32(n)})
}
