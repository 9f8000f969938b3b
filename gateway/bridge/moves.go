package bridge

import (
	"math/bits"
	"slices"
	"time"

	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
)

// moves keeps messages apart that come by both lanes, because a subscription changes from one to the other: of the two copies the device gets one
// [MQTT-3.8.4-4, MQTT-3.3.4-2]. Which copy comes first is remembered by the message's identity. Messages without one of their own may come twice:
// of two equal messages neither must be lost.
//
// What the node lane brings counts as seen only when it was sent: it may drop what it likes, the session lane may not. What the session lane brings
// counts always, since the bus keeps it until the device has it.
type moves struct {
	filters map[string]int // whose messages may come by both lanes, and how many changes under way say so
	ending  []ending       // changes that are over, and still in filters, on a bus that routes late; those that were over first come first
	covered []string       // filters that were unsubscribed, and that the session lane still brings all messages for

	// own are filters of the session lane with No Local that overlap some of the node lane. They keep the session's own messages from themselves, but
	// the session lane brings them all the same, for the subscriptions of QoS 0, as the node lane does.
	own []string

	seen  map[string]lane // by identity: the lane that was first
	order []sighting      // of seen, oldest first

	// stale are filters of the node lane that an earlier connection may have left bound to the session's inbox, when it was lost in the middle of a
	// change: the record in the store says only what is to be. resumed: there was an earlier connection.
	stale   map[string]struct{}
	resumed bool

	left    []string // filters that this connection has taken off the session lane (spill.go)
	leftAny bool     // they are too many to be told
}

type sighting struct {
	identity string
	at       time.Time
}

// ending is a change whose late copies are watched for until then.
type ending struct {
	filters []string
	until   time.Time
}

func (m *moves) begin(filters []string) {
	if m.filters == nil && len(filters) > 0 {
		m.filters = map[string]int{}
	}
	for _, f := range filters {
		m.filters[f]++
	}
}

// end is for a change that is over: all copies that were on their way have come. Where the bus routes late, they have in general.
func (m *moves) end(now time.Time, filters []string, late bool) {
	if !late || len(filters) == 0 {
		m.release(filters)
		return
	}
	if len(m.ending) >= endingsMax {
		m.release(m.ending[0].filters)
		m.ending = m.ending[1:]
	}
	m.ending = append(m.ending, ending{filters, now.Add(endingFor)})
}

func (m *moves) release(filters []string) {
	for _, f := range filters {
		if m.filters[f]--; m.filters[f] <= 0 {
			delete(m.filters, f)
		}
	}
}

// twice reports whether a message may come by both lanes, and the machine take it from both.
func (b *Bridge) twice(msg *session.Message) bool {
	return b.lanes.moves.twice(msg) || b.twiceBySpill(msg)
}

func (m *moves) twice(msg *session.Message) bool {
	name := msg.Publish.Topic
	for f := range m.filters {
		if topic.Match(f, name) {
			return true
		}
	}
	return msg.FromSelf && matchesAny(m.own, name)
}

func matchesAny(filters []string, name string) bool {
	return slices.ContainsFunc(filters, func(f string) bool { return topic.Match(f, name) })
}

// note remembers who brought a message first.
func (m *moves) note(now time.Time, identity string, by lane) {
	if _, known := m.seen[identity]; known {
		return
	}
	if m.seen == nil {
		m.seen = map[string]lane{}
	}
	if len(m.order) >= sightingsMax {
		m.forget(1)
	}
	m.seen[identity] = by
	m.order = append(m.order, sighting{identity, now})
}

func (m *moves) forget(n int) {
	for _, s := range m.order[:n] {
		delete(m.seen, s.identity)
	}
	if m.order = m.order[n:]; len(m.order) == 0 {
		m.seen, m.order = nil, nil
	}
}

// trim forgets what is too old.
func (m *moves) trim(now time.Time) {
	n := 0
	for n < len(m.order) && now.Sub(m.order[n].at) >= sightingsFor {
		n++
	}
	if n > 0 {
		m.forget(n)
	}
	for len(m.ending) > 0 && !now.Before(m.ending[0].until) {
		m.release(m.ending[0].filters)
		m.ending = m.ending[1:]
	}
}

// due is when there is something to trim; zero is never.
func (m *moves) due() (at time.Time) {
	if len(m.order) > 0 {
		at = m.order[0].at.Add(sightingsFor)
	}
	if len(m.ending) > 0 && (at.IsZero() || m.ending[0].until.Before(at)) {
		at = m.ending[0].until
	}
	return at
}

// sessionCopy reports whether the device has been sent a message of the session lane already, by the node lane.
func (b *Bridge) sessionCopy(now time.Time, msg *session.Message) bool {
	m := &b.lanes.moves
	if len(m.filters)+len(m.own)+len(m.order) == 0 && !b.cfg.Rules.Bind() || !msg.Unique {
		return false
	}
	m.trim(now)
	if m.seen[msg.Identity] == nodeLane {
		return true
	}
	if b.twice(msg) {
		m.note(now, msg.Identity, sessionLane)
	}
	return false
}

// fanoutArrived tells the machine of messages of the node lane.
func (b *Bridge) fanoutArrived(now time.Time, ev FanoutArrived, out []Effect) []Effect {
	m := &b.lanes.moves
	watched := len(m.filters) > 0 || len(m.own) > 0 || b.cfg.Rules.Bind()
	for which := ev.Which; which != 0; which &= which - 1 {
		f := &ev.Batch.messages[bits.TrailingZeros64(which)]
		if watched && f.Source != nil {
			out = b.fannedOnce(now, f, b.drain(now, out))
		} else {
			b.tell(b.arrivalOf(f))
		}
	}
	return out
}

// fannedOnce tells of a message unless the session lane has brought it, or is sure to.
func (b *Bridge) fannedOnce(now time.Time, f *fanned, out []Effect) []Effect {
	m := &b.lanes.moves
	arrived := b.inbound(f.DownlinkMessage, false)
	if !b.twice(&arrived) {
		b.tell(b.arrivalOf(f))
		return out
	}
	if matchesAny(m.covered, arrived.Publish.Topic) {
		return out
	}
	identity := mapping.Identity(f.Source)
	if m.seen[identity] == sessionLane {
		return out
	}
	before := len(out)
	b.tell(b.arrivalOf(f))
	out = b.drain(now, out)
	if mapping.Unique(identity) && slices.ContainsFunc(out[before:], sendsPublish) {
		m.note(now, identity, nodeLane)
	}
	return out
}

func sendsPublish(e Effect) bool {
	if s, ok := e.(session.SendPacket); ok {
		return s.Packet.Type() == packet.PUBLISH
	}
	return false
}

// unbindStale has filters unbound that the session lane turns out to bring messages for although they are on the node lane: a change of an earlier
// connection was not completed. Or it is only what the inbox had from before; that does no harm. The message that shows it may come twice, since
// nobody watched before: doing so on every resumed connection would cost more than it is worth.
func (b *Bridge) unbindStale(name string, out []Effect) []Effect {
	l := &b.lanes
	if len(l.moves.stale) == 0 || len(l.pending) > 0 {
		return out // a filter that is being bound must not be unbound behind that
	}
	for f, on := range l.on {
		if on == sessionLane && topic.Match(f, name) {
			return out
		}
	}
	var stale []string
	for f := range l.moves.stale {
		if topic.Match(f, name) {
			stale = append(stale, f)
			delete(l.moves.stale, f)
		}
	}
	if len(stale) == 0 {
		return out
	}
	slices.Sort(stale)
	l.moves.begin(stale)
	return append(out, ChangeLanes{ID: l.await(pendingChange{moving: stale}), SessionRemove: stale, Flush: true})
}

// notUnbound: the bus could not be reached. What the filters still bring will have it tried again.
func (m *moves) notUnbound(filters []string) {
	for _, f := range filters {
		m.suspect(f)
	}
}

func (m *moves) suspect(filter string) {
	if m.stale == nil {
		m.stale = map[string]struct{}{}
	}
	m.stale[filter] = struct{}{}
}
