package bridge

import (
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
)

// Mapping rules bind an inbox to more than its filters mean, where the key of a message does not say all of its topic (rules.Table.Bindings). So the session
// lane and those of groups bring messages that are for none of their filters: they spill over. Some of these a filter of the node lane matches, and it
// brings them as well.

// spilled reports whether a message of the session lane is for no filter there, and never was, or is for none at all: it is settled, and that is all.
func (b *Bridge) spilled(name string) bool {
	l := &b.lanes
	return b.cfg.Rules.Bind() && !l.serves(sessionLane, name) && !l.asked(name) && (!l.moves.before(name) || !l.serves(nodeLane, name))
}

// spilledInGroup is the same for the lane of a shared subscription.
func (b *Bridge) spilledInGroup(filter, name string) bool {
	_, plain, _ := topic.Shared(filter)
	return b.cfg.Rules.Bind() && !topic.Match(plain, name)
}

// serves reports whether a filter on the lane matches.
func (l *lanes) serves(on lane, name string) bool {
	for f, its := range l.on {
		if its == on && topic.Match(f, name) {
			return true
		}
	}
	return false
}

// asked reports whether a SUBSCRIBE under way has a filter that matches: the bus may bring its messages already.
func (l *lanes) asked(name string) bool {
	for _, p := range l.pending {
		for _, s := range p.subscriptions {
			if topic.Match(s.Filter, name) {
				return true
			}
		}
	}
	return false
}

// twiceBySpill reports whether a message that is for a filter of the node lane alone may be one that the session lane has from before, or that spills into
// it: there is no telling then, and the copies are told apart by their identity.
func (b *Bridge) twiceBySpill(msg *session.Message) bool {
	name := msg.Publish.Topic
	return b.cfg.Rules.Bind() && b.lanes.moves.before(name) && b.lanes.serves(nodeLane, name) && !b.lanes.serves(sessionLane, name)
}

// leave notes filters that the session lane served until now: what it still has for them is to reach the device.
func (m *moves) leave(filter string) {
	if len(m.left) < leftMax {
		m.left = append(m.left, filter)
	} else {
		m.left, m.leftAny = nil, true
	}
}

// before reports whether the session lane may have messages of this topic for a filter that it does not serve any more.
func (m *moves) before(name string) bool { return m.resumed || m.leftAny || matchesAny(m.left, name) }
