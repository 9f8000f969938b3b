package session

// quota is how many messages of a lane may be outstanding. With shared lanes the window is divided, half for the session lane and half for
// all of them, but each gets at least one; what then exceeds the window waits in the machine. Messages that a lane had before others
// came may exceed its quota.
func (m *Machine) quota(l *lane) int {
	d := &m.down
	switch n := len(d.shared); {
	case n == 0:
		return d.window
	case l.shared():
		return max(1, d.window/2/n)
	}
	return max(1, d.window/2)
}

// room is how many messages a lane may have under way towards us.
func (m *Machine) room(l *lane) int {
	d := &m.down
	room := m.quota(l) - l.underWay()
	// Exchanges of earlier connections take up no window, but they are not for ever free either. One message at a time is always
	// possible: what they wait for may be just that message.
	if excess := len(d.exchanges) - d.slots - resumedWindows*int(m.window); !l.shared() && excess > 0 {
		room = max(room-excess, 1-l.underWay())
	}
	return min(room, d.freeIDs()+l.credit)
}

// freeIDs is how many packet identifiers are left when all that was granted has come.
func (d *downlink) freeIDs() int {
	free := packetIDs - 1 - len(d.exchanges) - len(d.completed) - d.session.credit
	for _, l := range d.shared {
		free -= l.credit
	}
	return free
}

// grant gives the lanes credit: one slot, one message [MQTT-3.3.4-9, MQTT-4.9.0-2].
func (m *Machine) grant() {
	d := &m.down
	if m.phase != phaseOpen {
		return
	}
	m.grantLane(&d.session)
	for _, l := range d.shared {
		if l.wanted && m.mayShare() {
			m.grantLane(l)
		}
	}
}

// mayShare reports whether the device may take from its groups: it has a free slot, and has done with what earlier connections began at QoS 2.
// Otherwise a member that never acknowledges would draw the messages of its group into its inbox, a window's worth with each connection.
func (m *Machine) mayShare() bool {
	d := &m.down
	return d.owed == 0 && len(d.queue)+d.flying+d.unasked < d.window
}

// grantLane gives credit in batches of half a quota, as each costs a frame. But a lane without any gets what there is: a device may hold on
// to messages until it has its window full.
func (m *Machine) grantLane(l *lane) {
	n := m.room(l) - l.credit
	if !l.attached || n <= 0 || l.credit > 0 && 2*n < m.quota(l) {
		return
	}
	l.credit += n
	m.emit(GrantCredit{Lane: l.filter, N: uint32(n)})
}
