package chaos

import (
	"slices"
	"time"

	"sluice/mqtt/packet"
)

// clientSession is the client's half of an MQTT session: what has been sent and is not complete, and the packet identifiers of QoS 2
// messages that came and are not released (MQTT 5, 4.1; 3.1.1, 4.1). It outlives connections.
type clientSession struct {
	version packet.Version
	book    *ledger
	nextID  packet.ID
	open    []*exchange            // oldest first
	holding map[packet.ID]identity // PUBREC sent, PUBREL awaited
}

type exchange struct {
	id       identity
	publish  packet.Publish
	received bool // PUBREC came; PUBREL was sent
}

func newClientSession(v packet.Version, book *ledger) *clientSession {
	return &clientSession{version: v, book: book, holding: map[packet.ID]identity{}}
}

// begin starts an exchange.
func (s *clientSession) begin(id identity, topic string, now time.Time) *packet.Publish {
	e := &exchange{id: id, publish: packet.Publish{Topic: topic, QoS: packet.QoS(id.qos), ID: s.freeID(), Payload: id.payload()}}
	s.open = append(s.open, e)
	s.book.sent(id, now)
	return &e.publish
}

func (s *clientSession) freeID() packet.ID {
	for {
		if s.nextID++; s.nextID == 0 {
			s.nextID = 1
		}
		if !slices.ContainsFunc(s.open, func(e *exchange) bool { return e.publish.ID == s.nextID }) {
			return s.nextID
		}
	}
}

// resume gives what is sent again on a new connection: each PUBLISH that has no PUBACK or PUBREC with DUP, each PUBREL that has no
// PUBCOMP, in their original order [MQTT-4.4.0-1], [MQTT-4.6.0-1].
func (s *clientSession) resume(now time.Time) (again []packet.Packet) {
	for _, e := range s.open {
		if e.received {
			again = append(again, &packet.Ack{Kind: packet.PUBREL, ID: e.publish.ID})
			continue
		}
		e.publish.Dup = true
		s.book.sent(e.id, now)
		again = append(again, &e.publish)
	}
	return again
}

// handle takes a packet of an established connection and gives the answer to it, nil for none.
func (s *clientSession) handle(p packet.Packet, now time.Time) packet.Packet {
	switch p := p.(type) {
	case *packet.Publish:
		return s.arrived(p, now)
	case *packet.Ack:
		if p.Kind == packet.PUBREL {
			return s.released(p)
		}
		return s.answered(p, now)
	}
	return nil
}

// arrived takes a message. At QoS 2 one whose identifier is still held is the same message again, whatever is in it [MQTT-4.3.3-10]: if it is
// another one, it is lost here.
func (s *clientSession) arrived(p *packet.Publish, now time.Time) packet.Packet {
	id, err := parseIdentity(p.Payload)
	if err != nil {
		s.book.violation("unknown", "a device got %v", err)
	} else if uint8(p.QoS) != id.qos {
		s.book.violation("quality", "%v came at QoS %d", id, p.QoS)
	}
	if p.QoS == 1 {
		if !s.book.arrived(id, arrival{at: now}) {
			s.book.repeat(p.Dup)
		}
		return &packet.Ack{Kind: packet.PUBACK, ID: p.ID}
	}
	if held, ok := s.holding[p.ID]; !ok {
		s.holding[p.ID] = id
		s.book.arrived(id, arrival{at: now})
	} else if held != id {
		s.book.violation("swallowed", "%v came under packet identifier %d, which %v still has", id, p.ID, held)
	}
	return &packet.Ack{Kind: packet.PUBREC, ID: p.ID}
}

// released completes a QoS 2 message from the node. An identifier that is not held has been completed before.
func (s *clientSession) released(p *packet.Ack) packet.Packet {
	_, held := s.holding[p.ID]
	delete(s.holding, p.ID)
	answer := &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}
	if !held && s.version == packet.V5 {
		answer.Reason = packet.PacketIDNotFound
	}
	return answer
}

// answered takes PUBACK, PUBREC and PUBCOMP.
func (s *clientSession) answered(p *packet.Ack, now time.Time) packet.Packet {
	i := slices.IndexFunc(s.open, func(e *exchange) bool { return e.publish.ID == p.ID })
	if i < 0 {
		s.book.violation("stray", "%v for packet identifier %d, which is not in use", p.Kind, p.ID)
		return nil
	}
	e := s.open[i]
	switch {
	case p.Kind == packet.PUBCOMP && e.received:
		s.open = slices.Delete(s.open, i, i+1)
		return nil
	case p.Kind == packet.PUBACK && e.id.qos == 1, p.Kind == packet.PUBREC && e.id.qos == 2:
	default:
		s.book.violation("stray", "%v for %v", p.Kind, e.id)
		return nil
	}
	if !e.received {
		s.book.acknowledged(e.id, p.Reason, now)
	}
	if p.Kind == packet.PUBACK || p.Reason.Failed() {
		s.open = slices.Delete(s.open, i, i+1)
		return nil
	}
	e.received = true
	return &packet.Ack{Kind: packet.PUBREL, ID: p.ID}
}
