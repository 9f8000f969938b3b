package sim

import (
	"time"

	"sluice/mqtt/packet"
)

// receive takes a packet from the node.
func (d *device) receive(c *conn, p packet.Packet) {
	if d.conn != c {
		return // the device has another connection, or none
	}
	d.heard = d.w.now
	switch p := p.(type) {
	case *packet.Connack:
		d.connack(p)
	case *packet.Publish:
		d.delivery(p)
	case *packet.Ack:
		d.acknowledged(p)
	case *packet.Suback:
		d.suback(p.ID, p.Reasons)
	case *packet.Unsuback:
		d.unsuback(p.ID)
	case *packet.Disconnect:
		c.closeByDevice()
		d.connectionLost(c)
	}
}

// connack begins the connection: what has no end is sent again in order [MQTT-4.4.0-1].
func (d *device) connack(p *packet.Connack) {
	if p.Reason.Failed() {
		d.disconnectAbruptly()
		return
	}
	if d.known && !p.SessionPresent {
		d.w.fail("P3: the session of %s is gone, CONNACK says that there is none", d.id)
		return
	}
	begunAnew := d.began && d.persistent
	d.online, d.window = true, receiveMaximum
	d.clean = d.clean && !d.began
	if begunAnew && d.version == packet.V311 {
		// 3.1.1 has no clean start of a session that is to stay: Clean Session ends with its connection.
		d.disconnect()
		return
	}
	d.requests = map[packet.ID]*request{}
	if d.persistent {
		d.known = true
	}
	if !p.SessionPresent {
		d.forget() // the session is new; what was begun in the old one is of no use to it
		d.known = d.persistent
	}
	for _, o := range d.sending {
		d.send(o)
	}
	d.subscribeMissing()
	d.flush()
}

// answer sends an acknowledgement after a while, behind those before it [MQTT-4.6.0-2].
func (d *device) answer(p *packet.Ack) { d.answerAnd(p, func() {}) }

// answerAnd does something more when the answer is sent.
func (d *device) answerAnd(p *packet.Ack, and func()) {
	at := d.w.now.Add(d.w.between(0, d.thinks))
	if at.Before(d.answerAt) {
		at = d.answerAt
	}
	d.answerAt = at
	serial := d.serial
	d.w.after(at.Sub(d.w.now), func() {
		if d.serial == serial && d.online {
			and()
			d.conn.toNode(p)
		}
	})
}

func (d *device) delivery(p *packet.Publish) {
	w, key := d.w, d.keyOf(p)
	refused := packet.Success
	answers := func() { w.oracle.answers(d, key, refused.Failed()) }
	if d.version == packet.V5 && p.QoS > 0 && !w.healed && w.chance(d.refuses) {
		refused = packet.QuotaExceeded
	}
	switch p.QoS {
	case 0:
		w.oracle.delivered(d, p, key, true)
	case 1:
		w.oracle.delivered(d, p, key, !refused.Failed())
		d.answerAnd(&packet.Ack{Kind: packet.PUBACK, ID: p.ID, Reason: refused}, answers)
	case 2:
		held, again := d.holding[p.ID]
		if again {
			if held != key {
				w.fail("exactly once: %s holds %s under identifier %d, and gets %s under it before PUBREL", d.id, held, p.ID, key)
			}
			d.answerAnd(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}, answers)
			return
		}
		w.oracle.delivered(d, p, key, !refused.Failed())
		if !refused.Failed() {
			d.holding[p.ID] = key
			d.holds++
		}
		d.answerAnd(&packet.Ack{Kind: packet.PUBREC, ID: p.ID, Reason: refused}, answers)
	}
}

func (d *device) acknowledged(p *packet.Ack) {
	if p.Kind == packet.PUBREL {
		d.released(p.ID)
		return
	}
	o := d.find(p.ID)
	if o == nil {
		return // of an exchange that has ended
	}
	switch {
	case p.Kind == packet.PUBACK && o.qos == 1, p.Kind == packet.PUBREC && o.qos == 2 && !o.pubrec:
		d.w.oracle.acknowledged(d, o.appMessage, p)
		switch {
		case p.Reason.Failed() || o.qos == 1:
			d.end(o)
		default:
			o.pubrec = true
			d.send(o)
		}
	case p.Kind == packet.PUBREC && o.qos == 2:
		d.send(o)
	case p.Kind == packet.PUBCOMP && o.qos == 2 && o.pubrec:
		d.end(o)
	default:
		d.w.fail("%s got %s for its QoS %d PUBLISH", d.id, packetText(p), o.qos)
	}
}

// released answers PUBREL. A device that does not know the identifier says so, if it can.
func (d *device) released(id packet.ID) {
	key, held := d.holding[id]
	if !held {
		p := &packet.Ack{Kind: packet.PUBCOMP, ID: id}
		if d.version == packet.V5 {
			p.Reason = packet.PacketIDNotFound
		}
		d.answer(p)
		return
	}
	delete(d.holding, id)
	d.holds--
	d.completed++
	if g := d.w.oracle.gotBy(d, key); g.completed == 0 {
		g.completed = d.completed
	}
	d.answerAnd(&packet.Ack{Kind: packet.PUBCOMP, ID: id}, func() { d.w.oracle.answers(d, key, false) })
}

func (d *device) suback(id packet.ID, reasons []packet.ReasonCode) {
	r := d.requests[id]
	if r == nil || !r.subscribe {
		return
	}
	delete(d.requests, id)
	failed := false
	for i, k := range r.index {
		f := &d.filters[k]
		if reasons[i].Failed() {
			failed, f.confirmed = true, false
			continue
		}
		f.confirmed = f.wanted
	}
	if failed {
		serial := d.serial
		d.w.after(time.Second, func() {
			if d.serial == serial {
				d.subscribeMissing()
			}
		})
	}
}

func (d *device) unsuback(id packet.ID) {
	r := d.requests[id]
	if r == nil || r.subscribe {
		return
	}
	delete(d.requests, id)
	for _, i := range r.index {
		d.filters[i].ended = true
	}
}

// change takes a volatile filter in or out, or asks for it at another QoS.
func (d *device) change() {
	if !d.online || len(d.requests) > 0 {
		return
	}
	var volatile []int
	for i, f := range d.filters {
		if f.volatile {
			volatile = append(volatile, i)
		}
	}
	if len(volatile) == 0 {
		return
	}
	i := volatile[d.w.rng.IntN(len(volatile))]
	f := &d.filters[i]
	if f.wanted && d.w.chance(0.5) {
		f.wanted = false
		d.request(false, []int{i})
		return
	}
	qos := packet.QoS(d.w.rng.IntN(3))
	f.confirmed = f.confirmed && f.qos > 0 && qos > 0 // what is replaced by a like of it owes the messages of both [MQTT-3.8.4-4]
	f.wanted, f.qos = true, qos
	d.request(true, []int{i})
}
