package session

import (
	"fmt"
	"slices"
	"strconv"

	"sluice/mqtt/packet"
)

// device keeps its session state whatever happens.
type device struct {
	connected, subscribed, online bool
	got                           []int // downlink, each time a message was passed to the application
	refusals                      map[int]bool
	held                          map[packet.ID]bool // QoS 2 received, until PUBREL
	out                           []*deviceOut       // uplink, without end, in order
	nextID                        packet.ID
	sent                          int
	acked, rejected               map[int]bool
	qos2                          map[int]bool
}

type deviceOut struct {
	n       int
	id      packet.ID
	qos     packet.QoS
	pubrec  bool
	sent    bool // on this connection
	everOut bool
}

const (
	worldDown = 24
	worldUp   = 24
)

func (d *device) send(w *world, p packet.Packet) { w.toServer = append(w.toServer, p) }

func (d *device) read(w *world, p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Connack:
		d.connected = true
		if !d.subscribed {
			d.send(w, &packet.Subscribe{ID: 60000, Subscriptions: []packet.Subscription{{Filter: "#", QoS: 2}}})
		}
		for _, o := range d.out {
			d.resend(w, o)
		}
	case *packet.Suback:
		d.subscribed = true
	case *packet.Publish:
		return d.published(w, p)
	case *packet.Ack:
		return d.acknowledged(w, p)
	}
	return nil
}

func (d *device) resend(w *world, o *deviceOut) {
	if o.pubrec {
		d.send(w, &packet.Ack{Kind: packet.PUBREL, ID: o.id})
		return
	}
	o.sent = true
	d.send(w, &packet.Publish{QoS: o.qos, ID: o.id, Dup: o.everOut, Topic: "up", Payload: fmt.Append(nil, o.n)})
	o.everOut = true
}

func (d *device) published(w *world, p *packet.Publish) error {
	n, err := strconv.Atoi(string(p.Payload))
	if err != nil {
		return fmt.Errorf("a payload that nobody has sent: %w", err)
	}
	if p.QoS == 1 {
		a := &packet.Ack{Kind: packet.PUBACK, ID: p.ID}
		if w.version == packet.V5 && w.rng.IntN(20) == 0 {
			a.Reason = packet.ImplementationSpecificError
			d.refusals[n] = true
		}
		d.got = append(d.got, n)
		d.send(w, a)
		return nil
	}
	if !d.held[p.ID] {
		d.held[p.ID] = true
		d.got = append(d.got, n)
	}
	d.send(w, &packet.Ack{Kind: packet.PUBREC, ID: p.ID})
	return nil
}

func (d *device) acknowledged(w *world, p *packet.Ack) error {
	if p.Kind == packet.PUBREL {
		a := &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}
		if !d.held[p.ID] && w.version == packet.V5 {
			a.Reason = packet.PacketIDNotFound
		}
		delete(d.held, p.ID)
		d.send(w, a)
		return nil
	}
	i := slices.IndexFunc(d.out, func(o *deviceOut) bool { return o.id == p.ID })
	if i < 0 {
		return fmt.Errorf("the device has nothing under way for %s", formatPacket(p))
	}
	o := d.out[i]
	switch {
	case p.Kind == packet.PUBREC && !p.Reason.Failed():
		d.acked[o.n] = true
		o.pubrec = true
		d.send(w, &packet.Ack{Kind: packet.PUBREL, ID: p.ID})
		return nil
	case p.Reason.Failed() && p.Kind != packet.PUBCOMP:
		d.rejected[o.n] = true
	default:
		d.acked[o.n] = true
	}
	d.out = slices.Delete(d.out, i, i+1)
	return nil
}
