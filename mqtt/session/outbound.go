package session

import (
	"time"

	"sluice/mqtt/packet"
)

// downlink is what is under way to the device.
type downlink struct {
	window  int // QoS 1 and 2 PUBLISH packets without answer: ours or the device's Receive Maximum, whichever is less
	session lane
	shared  []*lane // attached, in the order they were
	gens    uint64  // attachments counted, of all lanes
	slots   int     // exchanges that take up the window, or wait for it: those of all lanes, gone ones among them
	unasked int     // messages to be settled without the device, of all lanes
	flying  int     // exchanges whose PUBLISH is without its last answer

	exchanges map[packet.ID]*outbound
	queue     []*outbound // not sent yet, in order
	suspect   *outbound   // the oldest that an earlier connection sent and did not end; see poison.go
	stale     int         // exchanges that have lost their delivery with its lane; the message may come again
	owed      int         // QoS 2 exchanges of earlier connections that the device has not ended
	answered  answeredRing
	completed completed
	lastID    packet.ID
	lastOrder uint64
	aliases   map[string]uint16
}

// outbound is a QoS 1 or 2 exchange with the device as receiver. It goes
//
//	queued -> sent: PUBLISH ... PUBACK: done
//	                            PUBREC -> releasing -> released: settle, PUBREL ... PUBCOMP: done
//
// where queued (QoS 2) and releasing wait for a Store. One that came from the store starts at kept, until its message comes again, or at
// released.
type outbound struct {
	rec   Outbound
	lane  *lane // that brought the message; the session lane for one that came from the store
	state outboundState
	// delivery is what is to be settled; zero while the message is back on the bus, or once it is settled.
	delivery uint64
	settled  bool
	slot     bool // takes up the window, or waits for it: its PUBLISH was, or will be, sent on this connection
	flying   bool // its PUBLISH was sent on this connection
	stale    bool
	owed     bool
	orphan   bool // closed with PUBREL because its message did not come again

	ready   bool            // queued: the record is stored
	again   bool            // sent on an earlier connection: DUP
	pub     *packet.Publish // queued
	expires time.Time
}

type outboundState uint8

const (
	outKept outboundState = iota
	outQueued
	outSent
	outReleasing
	outReleased
	outDone // complete, but never settled: it waits for its message so that it can be
)

func (m *Machine) messageArrived(ev MessageArrived) {
	if m.phase != phaseOpen {
		return // unsettled: it goes back to the bus with its lane
	}
	if ev.Delivery == 0 {
		m.fanOut(ev.Message)
		return
	}
	l := m.down.lane(ev.Lane)
	if l == nil || l.credit == 0 {
		// Nobody asked for it.
		m.emit(Settle{Delivery: ev.Delivery, Outcome: SettleReleased})
		return
	}
	l.credit--
	if l.shared() {
		m.sharedArrived(l, ev)
		return
	}
	m.copyArrived(ev.Message.For)
	switch {
	case m.cameAgain(ev):
	case ev.Message.Seen:
		m.settleUnasked(l, ev, accepted)
	default:
		m.deliver(l, ev)
	}
}

// fanOut sends a message of the node lane, which serves QoS 0 subscriptions only: what a subscription with a higher QoS matches comes on
// the session lane too.
func (m *Machine) fanOut(msg Message) {
	r := m.route(msg, fromNode)
	if !r.matched || r.granted > 0 || m.expired(msg.Expires) {
		return
	}
	if _, ok := m.hears(msg.Publish.Topic, 0); !ok {
		return
	}
	if m.fits(msg, r) {
		if _, ok := m.writable(msg.Prepared); ok {
			m.emit(SendPacket{Packet: msg.Prepared})
		}
		return
	}
	p := m.newPublish(msg, r, 0)
	m.setExpiry(p, msg.Expires)
	if _, ok := m.writable(p); ok {
		m.shorten(p)
		m.emit(SendPacket{Packet: p})
	}
}

// Prepare encodes a message once for Message.Prepared, with the Message Expiry Interval that it has.
func Prepare(p *packet.Publish) *packet.Prepared {
	if p.QoS == 0 && !p.Retain && !p.Properties.Has(packet.PropTopicAlias) && p.Properties.SubscriptionIDs == nil {
		return packet.Prepare(p)
	}
	plain := *p
	plain.QoS, plain.Retain = 0, false // [MQTT-3.3.1-12]
	plain.Properties.Set &^= packet.PropTopicAlias
	plain.Properties.SubscriptionIDs = nil
	return packet.Prepare(&plain)
}

// fits reports whether the device is to get a message of the node lane as most do: then thousands share one packet, encoded once.
func (m *Machine) fits(msg Message, r route) bool {
	if msg.Prepared == nil || r.retain || m.conn.aliasMax > 0 {
		return false
	}
	// MQTT 3.1.1 has no properties, so none are written.
	return !m.v5() || len(r.ids) == 0 && m.saysLife(&msg.Prepared.Publish().Properties, msg.Expires)
}

// saysLife reports whether properties say how much is left of a message's life: true for those that were prepared within this second.
func (m *Machine) saysLife(p *packet.Properties, expires time.Time) bool {
	if expires.IsZero() {
		return !p.Has(packet.PropMessageExpiry)
	}
	return p.Has(packet.PropMessageExpiry) && p.MessageExpiry == m.left(expires)
}

// deliver sends a message, or says why not.
func (m *Machine) deliver(l *lane, ev MessageArrived) {
	msg := ev.Message
	if l.shared() {
		msg.For, msg.Retained = l.filter, false
	}
	r := m.route(msg, fromInbox)
	if r.withheld {
		m.settleUnasked(l, ev, accepted)
		return
	}
	qos, ok := m.hears(msg.Publish.Topic, min(msg.Publish.QoS, r.granted))
	switch {
	case !ok:
		m.holdBack(l, ev)
		return
	case !r.matched:
		m.settleUnasked(l, ev, rejected(Unmatched, packet.ImplementationSpecificError, "no subscription of the device matches the topic"))
		return
	case m.expired(msg.Expires):
		m.settle(l, ev.Delivery, msg.Identity, rejectedExpired)
		return
	case l.shared() && qos == 2:
		m.moveToInbox(l, ev.Delivery)
		return
	}
	p := m.newPublish(msg, r, qos)
	if p.QoS > 0 {
		p.ID = m.allocateID()
	}
	// A QoS 1 record is not waited for, so another owner may have sent the message and left no word of it. At QoS 2 no record means not sent. What
	// a group has got back is sent as a new message, whoever had it before: the exchange has ended with its connection.
	p.Dup = p.QoS == 1 && msg.Redelivered && !l.shared() // [MQTT-3.3.1-1]
	m.setExpiry(p, msg.Expires)
	if v, ok := m.writable(p); !ok {
		m.settleUnasked(l, ev, v)
		return
	}
	if p.QoS == 0 {
		m.shorten(p)
		m.emit(SendPacket{Packet: p})
		m.settleUnasked(l, ev, accepted)
		return
	}
	m.begin(l, ev, p)
}

// settleUnasked settles a message by what we know of the session, without an answer of the device. A connection that was taken over and has
// not heard of it may know too little: the bus can still bring it messages for subscriptions that its successor made. So the store must
// confirm first that the session is ours. At QoS 0 that would cost more than it saves.
func (m *Machine) settleUnasked(l *lane, ev MessageArrived, v verdict) {
	if ev.Message.Publish.QoS == 0 {
		m.settle(l, ev.Delivery, ev.Message.Identity, v)
		return
	}
	l.unasked++
	m.down.unasked++
	held := &heldVerdict{lane: l, delivery: ev.Delivery, identity: ev.Message.Identity, gen: l.gen, verdict: v}
	// Any write asks the question; this one changes nothing.
	m.store(pendingStore{then: thenSettle, held: held}, SetExpiry{Seconds: m.conn.expiry})
}

// heldVerdict is a settlement that waits for the store.
type heldVerdict struct {
	lane     *lane
	delivery uint64
	identity string
	gen      uint64 // of the lane when it brought the delivery
	verdict  verdict
}

func (m *Machine) settleHeld(h *heldVerdict) {
	h.lane.unasked--
	m.down.unasked--
	if h.gen == h.lane.gen {
		m.settle(h.lane, h.delivery, h.identity, h.verdict)
	} // else it is back on the bus, and will come again
}

// begin opens an exchange. Its PUBLISH leaves when all before it have left: one order for QoS 1 and 2 [MQTT-4.6.0-5].
func (m *Machine) begin(l *lane, ev MessageArrived, p *packet.Publish) {
	d := &m.down
	d.lastOrder++
	o := &outbound{
		rec:      Outbound{ID: p.ID, Identity: ev.Message.Identity, QoS: p.QoS, Order: d.lastOrder},
		lane:     l,
		state:    outQueued,
		delivery: ev.Delivery,
		slot:     true,
		pub:      p,
		expires:  ev.Message.Expires,
	}
	if d.exchanges == nil {
		d.exchanges = make(map[packet.ID]*outbound)
	}
	d.exchanges[p.ID] = o
	l.slots++
	d.slots++
	if p.QoS == 2 {
		d.queue = append(d.queue, o)
		// Without the record a resumed session would send the message as a new one: twice.
		m.store(pendingStore{then: thenSend, out: o}, PutOutbound{Record: o.rec})
		return
	}
	if !l.shared() {
		m.noteOutbound(o.rec)
	}
	m.enqueue(o)
}

// enqueue sends an exchange that is ready, behind those that are not.
func (m *Machine) enqueue(o *outbound) {
	o.ready = true
	if len(m.down.queue) == 0 && m.down.flying < m.down.window {
		m.sendExchange(o)
		return
	}
	m.down.queue = append(m.down.queue, o)
}

// sendQueued sends what is ready, as far as the window allows and nothing before it waits for its record.
func (m *Machine) sendQueued() {
	d := &m.down
	for m.phase == phaseOpen && len(d.queue) > 0 && d.queue[0].ready && d.flying < d.window {
		o := d.queue[0]
		d.queue[0] = nil
		d.queue = d.queue[1:]
		m.sendExchange(o)
	}
	if len(d.queue) == 0 {
		d.queue = nil
	}
}

func (m *Machine) sendExchange(o *outbound) {
	p := o.pub
	o.pub = nil
	if !o.again && m.expired(o.expires) {
		m.end(o, rejectedExpired)
		return
	}
	if _, ok := m.hears(p.Topic, p.QoS); !ok {
		m.giveBack(o) // it was taken before that was so; should it come again, it is held back
		return
	}
	m.setExpiry(p, o.expires)
	m.shorten(p)
	o.state, o.flying = outSent, true
	m.down.flying++
	m.emit(SendPacket{Packet: p})
}

// end closes an exchange and settles its message.
func (m *Machine) end(o *outbound, v verdict) {
	if o.delivery != 0 {
		m.settle(o.lane, o.delivery, o.rec.Identity, v)
	} else if !o.settled && !o.lane.shared() {
		m.down.answered.add(m.answeredMax(), answered{identity: o.rec.Identity, verdict: v})
	}
	m.remove(o)
	if o.lane.shared() {
		return
	}
	if o.rec.QoS == 2 && v.outcome == SettleAccepted {
		m.complete(o.rec)
		return
	}
	m.noteOutboundGone(o.rec.ID)
}

// giveBack closes an exchange whose message goes back to the bus, to come again as a new one.
func (m *Machine) giveBack(o *outbound) {
	if o.delivery != 0 {
		m.emit(Settle{Delivery: o.delivery, Outcome: SettleReleased})
	}
	m.remove(o)
	if !o.lane.shared() {
		m.noteOutboundGone(o.rec.ID)
	}
}

func (m *Machine) remove(o *outbound) {
	m.freeSlot(o)
	m.setStale(o, false)
	delete(m.down.exchanges, o.rec.ID)
}

// freeSlot: the device has done with the exchange.
func (m *Machine) freeSlot(o *outbound) {
	if o.slot {
		o.slot = false
		o.lane.slots--
		m.down.slots--
	}
	if o.flying {
		o.flying = false
		m.down.flying--
	}
	if o.owed {
		o.owed = false
		m.down.owed--
	}
}

// newPublish makes the device's copy of a message. What belongs to the connection is set anew [MQTT-3.3.1-3, MQTT-3.3.4-3].
func (m *Machine) newPublish(msg Message, r route, qos packet.QoS) *packet.Publish {
	t := msg.Publish
	p := &packet.Publish{QoS: qos, Retain: r.retain, Topic: t.Topic, Payload: t.Payload}
	if m.v5() {
		p.Properties = t.Properties
		p.Properties.Set &^= packet.PropTopicAlias | packet.PropMessageExpiry
		p.Properties.SubscriptionIDs = r.ids
	}
	return p
}

func (m *Machine) expired(at time.Time) bool { return !at.IsZero() && !m.now.Before(at) }

// setExpiry says how much is left of the message's life.
func (m *Machine) setExpiry(p *packet.Publish, at time.Time) {
	if !at.IsZero() && m.v5() {
		p.Properties.SetMessageExpiry(m.left(at))
	}
}

// left is the Message Expiry Interval of a message that expires at a time [MQTT-3.3.2-6]. An exchange that was begun in time is completed in any case, so
// the least is one second.
func (m *Machine) left(at time.Time) uint32 {
	seconds := (at.Sub(m.now) + time.Second - 1) / time.Second
	return uint32(min(max(seconds, 1), 1<<32-1))
}
