package bridge

import (
	"sluice/amqp/message"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// shared knows the deliveries of shared lanes that have not been settled. The machine names a delivery by one number over all lanes, receivers
// number theirs by themselves. Their count is bounded by the credit that the machine gives.
type shared struct {
	deliveries map[uint64]sharedDelivery
	last       uint64
}

type sharedDelivery struct {
	lane string
	tag  uint64
	// For HandOver: the message as it came, its topic and its identity.
	message         *message.Message
	topic, identity string
	qos             packet.QoS
	span            *Span // nil: none is to be told
}

// sharedBit keeps the numbers of shared lanes apart from the tags of the session lane.
const sharedBit = 1 << 63

func (s *shared) add(d sharedDelivery) uint64 {
	if s.deliveries == nil {
		s.deliveries = map[uint64]sharedDelivery{}
	}
	s.last++
	number := s.last | sharedBit
	s.deliveries[number] = d
	return number
}

// take gives a delivery that is to be settled, and forgets it.
func (s *shared) take(number uint64) (sharedDelivery, bool) {
	d, ok := s.deliveries[number]
	delete(s.deliveries, number)
	return d, ok
}

// detached forgets what went back to the group with its lane.
func (s *shared) detached(lane string) {
	for number, d := range s.deliveries {
		if d.lane == lane {
			delete(s.deliveries, number)
		}
	}
}

func (b *Bridge) handOver(e session.HandOver, out []Effect) []Effect {
	d, ok := b.shared.deliveries[e.Delivery]
	if !ok {
		return out // its lane is gone
	}
	return append(out, HandOver{Delivery: e.Delivery, Lane: d.lane, Message: d.message, Topic: d.topic, Identity: d.identity})
}

// handedOver settles what was handed over. A lane that was detached meanwhile has taken the delivery back to the group; who gets it next finds out
// that it is taken.
func (b *Bridge) handedOver(ev HandedOver, out []Effect) []Effect {
	d, ok := b.shared.take(ev.Delivery)
	if !ok {
		return out
	}
	b.tell(session.HandedOver{Delivery: ev.Delivery, OK: ev.OK, Elsewhere: ev.Elsewhere})
	kind := message.Accepted
	if !ev.OK {
		kind = message.Released
	}
	return append(out, SettleDelivery{Lane: d.lane, Tag: d.tag, Outcome: message.Outcome{Kind: kind}})
}
