package chaos

import (
	"fmt"
	"sync"
	"time"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// ledger is what everybody has seen. It notes, and judges at once only what is wrong whatever comes later; verdict_test.go does the rest.
type ledger struct {
	mu       sync.Mutex
	messages map[identity]*record
	last     map[stream]int // sequence of the latest first arrival
	wills    map[willID][]arrival
	wrong    map[string][]string // kind of violation -> examples, all of them counted
	served   time.Time           // the latest arrival or acknowledgement of anything
	gap      time.Duration       // the longest time without one while load was on
	loaded   bool
	mortal   map[int]bool // devices that die with their node

	repeated, unmarked int // QoS 1 at devices again, and of them without DUP
	redelivered        int // seen twice by the backend because its own acknowledgement got lost
}

// stream is what order is promised for.
type stream struct {
	direction direction
	device    int
	qos       uint8
}

// record is the story of a message.
type record struct {
	sent     []time.Time // up: each transmission by the device; down: the one by the backend
	answered time.Time   // up: PUBACK or PUBREC; down: the outcome
	owed     bool        // somebody was told that it is safe: it has to arrive
	arrivals []arrival
}

type arrival struct {
	at        time.Time
	messageID string
	flagged   bool // x-opt-sluice-possible-duplicate
}

// willID is the Will of one connection of a device.
type willID struct{ device, attempt int }

func newLedger() *ledger {
	return &ledger{messages: map[identity]*record{}, last: map[stream]int{}, wills: map[willID][]arrival{}, wrong: map[string][]string{}, mortal: map[int]bool{}}
}

// violation notes what must not be. kind is one of the kinds of the report.
func (l *ledger) violation(kind, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accuse(kind, format, args...)
}

func (l *ledger) accuse(kind, format string, args ...any) {
	l.wrong[kind] = append(l.wrong[kind], time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (l *ledger) record(id identity) *record {
	r := l.messages[id]
	if r == nil {
		r = &record{}
		l.messages[id] = r
	}
	return r
}

// sent notes a transmission.
func (l *ledger) sent(id identity, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.record(id)
	r.sent = append(r.sent, now)
}

// load says whether messages are being sent, so that the longest gap means something.
func (l *ledger) load(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress(time.Now())
	l.loaded = on
}

func (l *ledger) progress(now time.Time) {
	if l.loaded {
		l.gap = max(l.gap, now.Sub(l.served))
	}
	l.served = now
}

// acknowledged notes PUBACK or PUBREC.
func (l *ledger) acknowledged(id identity, reason packet.ReasonCode, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.record(id)
	if reason != packet.Success {
		// The backend's queue has room, is bound, and nobody is forbidden anything.
		l.accuse("refused", "%v was answered with %v", id, reason)
	}
	if !reason.Failed() {
		r.owed = true
	}
	r.answered = now
	l.progress(now)
}

// decided notes the bus's outcome for a message to a device.
func (l *ledger) decided(id identity, o message.Outcome, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.record(id)
	r.answered = now
	switch o.Kind {
	case message.Accepted:
		r.owed = true
	case message.Lost, message.Busy: // it may arrive or not
	default:
		l.accuse("unroutable", "%v was %v though its session exists: %v", id, o.Kind, o.Error)
	}
}

// arrived notes a message at its destination and reports whether it is the first time.
func (l *ledger) arrived(id identity, a arrival) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.messages[id]
	if r == nil {
		l.accuse("unknown", "%v arrived and was never sent", id)
		return false
	}
	l.progress(a.at)
	r.arrivals = append(r.arrivals, a)
	if len(r.arrivals) > 1 {
		return false
	}
	s := stream{id.direction, id.device, id.qos}
	if before := l.last[s]; id.sequence < before {
		l.accuse("disorder", "%v came first after #%d", id, before)
	} else {
		l.last[s] = id.sequence
	}
	return true
}

// seen reports whether the backend has had this very transfer already.
func (l *ledger) seen(id identity, messageID string, flagged bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.messages[id]
	if r == nil {
		return false
	}
	for _, a := range r.arrivals {
		if a.messageID == messageID && a.flagged == flagged {
			l.redelivered++
			return true
		}
	}
	return false
}

// repeat notes a QoS 1 message that a device got again. DUP should say so [MQTT-3.3.1-1], but a node that died need not have recorded it.
func (l *ledger) repeat(dup bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.repeated++
	if !dup {
		l.unmarked++
	}
}

func (l *ledger) willArrived(w willID, a arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wills[w] = append(l.wills[w], a)
}

// willsOf gives how often the Will of a connection has arrived.
func (l *ledger) willsOf(w willID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wills[w])
}

// outstanding gives what is owed and has not arrived.
func (l *ledger) outstanding() (ids []identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, r := range l.messages {
		if r.owed && len(r.arrivals) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// unanswered counts what the backend has sent and has no outcome for.
func (l *ledger) unanswered() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, r := range l.messages {
		if id.direction == down && r.answered.IsZero() {
			n++
		}
	}
	return n
}
