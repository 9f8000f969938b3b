package session

import (
	"slices"
	"time"
)

// recall is the search for what an earlier connection has learned of its QoS 2 messages since the session was taken over.
//
// A device that changes nodes in the middle sends again what the bus may be about to accept from the old node. That node cannot send a PUBREC any
// more, but it waits for the outcome (lingers) and notes it in the record (AcceptInbound). So a PUBLISH that comes again and whose record has no mark
// is not handed to the bus at once: the record is looked at until the mark is there, or the time in which the old node waits is
// over. A message that was handed over twice would be heard twice [MQTT-4.3.3-10].
//
// QoS 2 messages that are new wait behind it, since the bus must get them in order [MQTT-4.6.0-5]. Those of other QoS need not.
type recall struct {
	waiting []*inbound // in order
	asked   bool       // a Recall has no answer
	at      time.Time  // of the next one; zero: none is due
	pause   time.Duration
}

// beginRecall looks for the outcome of a message that came again.
func (m *Machine) beginRecall(r *inbound) {
	r.state = inRecalling
	if m.up.recall == nil {
		m.up.recall = &recall{}
	}
	c := m.up.recall
	c.waiting = append(c.waiting, r)
	c.look(m)
}

// due is when to look again; zero: there is nothing to look for, or an answer is waited for.
func (c *recall) due() time.Time {
	if c == nil {
		return time.Time{}
	}
	return c.at
}

func (c *recall) look(m *Machine) {
	if !c.asked && !m.now.Before(c.at) {
		c.asked, c.at = true, time.Time{}
		m.emit(Recall{})
	}
}

// recalled takes what the store has by now. An answer that was under way when a PUBLISH came counts for it, too.
func (m *Machine) recalled(ev Recalled) {
	c := m.up.recall
	if c == nil {
		return
	}
	c.asked = false
	waiting := c.waiting
	c.waiting = nil
	over := !m.now.Before(m.timers.phaseUntil)
	for _, r := range waiting {
		switch {
		case m.phase != phaseOpen:
			r.state, r.pub = inIdle, nil // the device will send it again
		case ev.accepted(r.rec):
			r.state, r.pub, r.rec.Accepted = inAccepted, nil, true
			m.pubrecReady(r)
		case over:
			m.record(r)
		default:
			c.waiting = append(c.waiting, r)
		}
	}
	if len(c.waiting) == 0 {
		m.up.recall = nil
		return
	}
	c.pause = min(max(2*c.pause, recallFirst), recallMax)
	c.at = earlier(m.now.Add(c.pause), m.timers.phaseUntil)
}

func (ev Recalled) accepted(rec Inbound) bool {
	return slices.ContainsFunc(ev.Inbound, func(r Inbound) bool { return r.ID == rec.ID && r.MessageID == rec.MessageID && r.Accepted })
}
