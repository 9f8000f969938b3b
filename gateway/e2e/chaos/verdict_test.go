package chaos

import (
	"maps"
	"slices"
	"time"
)

// span is a time in which bus connections of nodes were lost, or a node did not know that they were.
type span struct{ from, to time.Time }

// lossMargin is how long after a fault its consequences still show: a reconnect that fails, a grace of the bus.
const lossMargin = 5 * time.Second

// figures are what the messages came to.
type figures struct {
	sentUp, sentDown         int
	arrivedUp, arrivedDown   int
	lost                     int
	againUp1, againUp2       int // copies beyond the first at the backend, by QoS
	againDown1, againDown2   int // at devices
	slowestUp, slowestDown   time.Duration
	transmissions, undecided int
}

// judge compares what was promised with what arrived. What it finds wrong goes to the ledger's violations.
func (l *ledger) judge(losses []span) figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f figures
	for _, id := range slices.SortedFunc(maps.Keys(l.messages), compareIdentities) {
		r := l.messages[id]
		if r.owed && len(r.arrivals) == 0 {
			f.lost++
			l.accuse("lost", "%v, acknowledged at %s", id, r.answered.Format("15:04:05.000"))
		}
		if id.direction == up {
			l.judgeUp(&f, id, r, losses)
		} else {
			l.judgeDown(&f, id, r)
		}
	}
	return f
}

func compareIdentities(a, b identity) int {
	for _, d := range []int{int(a.direction) - int(b.direction), a.device - b.device, int(a.qos) - int(b.qos)} {
		if d != 0 {
			return d
		}
	}
	return a.sequence - b.sequence
}

func (l *ledger) judgeUp(f *figures, id identity, r *record, losses []span) {
	f.sentUp++
	f.transmissions += len(r.sent)
	if !r.answered.IsZero() && !l.mortal[id.device] { // the dead may take their time
		f.slowestUp = max(f.slowestUp, r.answered.Sub(r.sent[0]))
	}
	copies := len(r.arrivals)
	if copies == 0 {
		return
	}
	f.arrivedUp++
	if copies == 1 {
		return
	}
	flagged, ids := 0, map[string]bool{}
	for _, a := range r.arrivals {
		ids[a.messageID] = true
		if a.flagged {
			flagged++
		}
	}
	if id.qos == 1 {
		f.againUp1 += copies - 1
	} else {
		f.againUp2 += copies - 1
		if len(ids) > 1 {
			l.accuse("message-id", "%v is at the backend %d times, under %v", id, copies, slices.Sorted(maps.Keys(ids)))
		}
	}
	// The copy that went to the bus first is not flagged, and need not be the one that arrives first.
	if flagged < copies-1 {
		l.accuse("unflagged", "%v is at the backend %d times, %d of them flagged", id, copies, flagged)
	}
	if most := len(r.sent) + overlapping(losses, r); copies > most {
		l.accuse("unexplained", "%v is at the backend %d times; %d transmissions and losses of bus connections explain no more than %d", id, copies, len(r.sent), most)
	}
}

func (l *ledger) judgeDown(f *figures, id identity, r *record) {
	f.sentDown++
	if !r.owed {
		f.undecided++
	}
	if len(r.arrivals) == 0 {
		return
	}
	f.arrivedDown++
	f.slowestDown = max(f.slowestDown, r.arrivals[0].at.Sub(r.sent[0]))
	again := len(r.arrivals) - 1
	if id.qos == 1 {
		f.againDown1 += again
		return
	}
	f.againDown2 += again
	if again > 0 {
		l.accuse("twice", "%v came to its device %d times", id, again+1)
	}
}

// overlapping counts the losses while a message was under way.
func overlapping(losses []span, r *record) (n int) {
	for _, s := range losses {
		if (r.answered.IsZero() || s.from.Before(r.answered)) && r.sent[0].Before(s.to.Add(lossMargin)) {
			n++
		}
	}
	return n
}
