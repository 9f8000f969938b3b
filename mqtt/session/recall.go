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
	until   time.Time // then the old node has given up, or is dead
}

// begin looks for the outcome of a message that came again.
func (c *recall) begin(m *Machine, r *inbound) {
	r.state = inRecalling
	c.waiting = append(c.waiting, r)
	c.look(m)
}

func (c *recall) look(m *Machine) {
	if !c.asked && !m.now.Before(c.at) {
		c.asked, c.at = true, time.Time{}
		m.emit(Recall{})
	}
}

// recalled takes what the store has by now. An answer that was under way when a PUBLISH came counts for it, too.
func (m *Machine) recalled(ev Recalled) {
	c := &m.up.recall
	c.asked = false
	waiting := c.waiting
	c.waiting = nil
	over := !m.now.Before(c.until)
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
		c.pause = 0
		return
	}
	c.pause = min(max(2*c.pause, recallFirst), recallMax)
	c.at = earlier(m.now.Add(c.pause), c.until)
}

func (ev Recalled) accepted(rec Inbound) bool {
	return slices.ContainsFunc(ev.Inbound, func(r Inbound) bool { return r.ID == rec.ID && r.MessageID == rec.MessageID && r.Accepted })
}
