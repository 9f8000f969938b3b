package session

import "sluice/mqtt/packet"

// ledger keeps the PUBLISH packets of one QoS from the device until they are answered, in the order they came: answers leave in that
// order [MQTT-4.6.0-2, MQTT-4.6.0-3], whatever the order in which the bus decides.
type ledger struct {
	entries []ledgerEntry
	head    int
}

type ledgerEntry struct {
	token    uint64 // ascending
	id       packet.ID
	answered bool
	reason   packet.ReasonCode
	text     string
	user     []packet.UserProperty
	report   *packet.Publish
}

// answer notes the answer of the bus.
func (e *ledgerEntry) answer(ev PublishAnswered) {
	e.reason, e.text, e.user, e.report = ev.Reason, ev.Text, ev.User, ev.Report
}

func (l *ledger) len() int { return len(l.entries) - l.head }

func (l *ledger) push(e ledgerEntry) {
	if l.head > 0 && len(l.entries) == cap(l.entries) {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
	l.entries = append(l.entries, e)
}

// find returns the entry of a token, or nil.
func (l *ledger) find(token uint64) *ledgerEntry {
	lo, hi := l.head, len(l.entries)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); l.entries[mid].token < token {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(l.entries) || l.entries[lo].token != token {
		return nil
	}
	return &l.entries[lo]
}

// popAnswered removes the oldest entry if it has its answer.
func (l *ledger) popAnswered() (ledgerEntry, bool) {
	if l.len() == 0 || !l.entries[l.head].answered {
		return ledgerEntry{}, false
	}
	e := l.entries[l.head]
	l.entries[l.head] = ledgerEntry{}
	l.head++
	if l.head == len(l.entries) {
		l.entries, l.head = l.entries[:0], 0
	}
	return e, true
}
