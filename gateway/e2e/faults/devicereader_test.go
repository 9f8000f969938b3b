package faults

import (
	"fmt"
	"slices"
	"time"

	"sluice/mqtt/packet"
)

// read handles what comes until the connection ends.
func (d *device) read() {
	defer close(d.done)
	r := packet.NewReader(d.conn, packet.MaxPacketSize)
	r.SetVersion(d.v)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			d.mu.Lock()
			d.end = err
			d.changed.Broadcast()
			d.mu.Unlock()
			_ = d.conn.Close()
			return
		}
		for _, reply := range d.handle(p) {
			_ = d.write(reply) // a failure shows at the next read
		}
	}
}

// handle notes a packet and gives what is to be sent for it.
func (d *device) handle(p packet.Packet) []packet.Packet {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.changed.Broadcast()
	switch p := p.(type) {
	case *packet.Connack:
		d.connack = p
	case *packet.Suback:
		d.suback = p
	case *packet.Disconnect:
		d.left = p
	case *packet.Pingresp:
		d.pings++
		d.slowest = max(d.slowest, time.Since(d.pinged))
		d.pinged = time.Time{}
	case *packet.Publish:
		return d.arrived(p)
	case *packet.Ack:
		return d.acknowledged(p)
	}
	return nil
}

// arrived takes a message. One of QoS 2 that comes again before its PUBREL is the same message.
func (d *device) arrived(p *packet.Publish) []packet.Packet {
	switch p.QoS {
	case 1:
		d.received = append(d.received, p)
		return []packet.Packet{&packet.Ack{Kind: packet.PUBACK, ID: p.ID}}
	case 2:
		if !d.holding[p.ID] {
			d.holding[p.ID] = true
			d.received = append(d.received, p)
		}
		return []packet.Packet{&packet.Ack{Kind: packet.PUBREC, ID: p.ID}}
	}
	d.received = append(d.received, p)
	return nil
}

func (d *device) acknowledged(p *packet.Ack) []packet.Packet {
	if p.Kind == packet.PUBREL {
		delete(d.holding, p.ID)
		return []packet.Packet{&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}}
	}
	i := slices.IndexFunc(d.open, func(e *exchange) bool { return e.publish.ID == p.ID })
	if i < 0 {
		d.lies = append(d.lies, fmt.Sprintf("%s %d belongs to nothing", p.Kind, p.ID))
		return nil
	}
	e := d.open[i]
	if p.Kind == packet.PUBCOMP {
		d.open = slices.Delete(d.open, i, i+1)
		return nil
	}
	if !e.taken {
		d.note(answer{payload: e.payload, qos: e.publish.QoS, reason: p.Reason})
	}
	if p.Kind == packet.PUBACK || p.Reason.Failed() {
		d.open = slices.Delete(d.open, i, i+1)
		return nil
	}
	e.taken = true
	return []packet.Packet{&packet.Ack{Kind: packet.PUBREL, ID: p.ID}}
}

func (d *device) note(a answer) {
	d.answers = append(d.answers, a)
	if d.judge == nil {
		return
	}
	if lie := d.judge(d, a); lie != "" {
		d.lies = append(d.lies, lie)
	}
}
