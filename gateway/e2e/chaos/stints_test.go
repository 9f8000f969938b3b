package chaos

import (
	"fmt"
	"slices"
	"time"

	"sluice/mqtt/packet"
)

// cause is why a connection ended.
type cause uint8

const (
	causeNone    cause = iota // nothing explains it
	causeKill                 // its node was killed
	causeDrain                // its node stopped in good order
	causeSilence              // the device gave up a node that did not answer
	causeDevice               // the device went, roamed, or died
	causeLate                 // a node worked off a CONNECT that the device had given up
)

// judgeStints looks at every connection that has ended: who ended it, and whether its Will has been published.
func judgeStints(book *ledger, devices []*device, nodes []*node, outages []span) (f connectionFigures) {
	for _, d := range devices {
		stints := d.history()
		f.connections += len(stints)
		for i, s := range stints {
			why := explain(s, nodes)
			if why == causeNone && s.attempt > i+1 && late(s, nodes, outages) {
				why = causeLate
				f.late++
			}
			if why == causeNone {
				f.unexplained++
				book.violation("disconnected", "device %d by node %d, reason %v, at %s", d.number, s.node, s.reason, s.ended.Format("15:04:05.000"))
			}
			var back time.Duration // how long the device was away; zero: for ever
			if i+1 < len(stints) {
				back = stints[i+1].established.Sub(s.ended)
				f.takeovers = append(f.takeovers, takeover{stints[i+1].established.Sub(stints[i+1].dialled), d.number, s, stints[i+1]})
			}
			judgeWill(book, d, s, why, back)
		}
	}
	book.mu.Lock()
	for _, a := range book.wills {
		f.wills += len(a)
	}
	book.mu.Unlock()
	return f
}

type connectionFigures struct {
	connections, unexplained int
	late, wills              int
	takeovers                []takeover
}

// takeover is the way of a device from one connection to the next.
type takeover struct {
	took       time.Duration // dialling, CONNECT, CONNACK
	device     int
	from, next stint
}

func (t takeover) String() string {
	return fmt.Sprintf("device %d from node %d (%v) to node %d at %s: %s", t.device, t.from.node, t.from.how, t.next.node, t.next.dialled.Format("15:04:05.000"), seconds(t.took))
}

// during reports whether the takeover was under way in one of the spans.
func (t takeover) during(spans []span) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from.Before(t.next.established) && t.next.dialled.Before(s.to.Add(settle)) })
}

// late reports whether a connection was taken over just after a paused node went on, or the store could be reached again. A CONNECT that waited
// for that is as good as any other [MQTT-3.1.4-3]; the device, which had given up that attempt, comes back once more.
func late(s stint, nodes []*node, outages []span) bool {
	if s.reason != packet.SessionTakenOver && s.reason != packet.Success {
		return false
	}
	if slices.ContainsFunc(outages, func(o span) bool { return s.ended.After(o.from) && s.ended.Before(o.to.Add(settle)) }) {
		return true
	}
	for _, n := range nodes {
		for _, p := range n.pauses() {
			if s.ended.After(p.to) && s.ended.Before(p.to.Add(lossMargin)) {
				return true
			}
		}
	}
	return false
}

// explain finds what ended a connection.
func explain(s stint, nodes []*node) cause {
	switch {
	case s.how == bySilence:
		return causeSilence
	case s.how != byNode:
		return causeDevice
	case s.reason == packet.ServerShuttingDown || s.reason == packet.UseAnotherServer:
		return causeDrain
	case s.node < 0:
		return causeSilence // it ended before anybody could look where it was
	}
	// A device may read its CONNACK when the process that sent it is gone already, and another one is in its place.
	for _, l := range nodes[s.node].between(s.dialled, s.established) {
		if why := l.ending(s.ended.Add(50 * time.Millisecond)); why != causeNone { // the device may have seen it before we wrote down the time
			return why
		}
	}
	return causeNone
}

// ending says what was done to the process before late that ends its connections.
func (l *life) ending(late time.Time) cause {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.killed.IsZero() && l.killed.Before(late):
		return causeKill
	case !l.terminated.IsZero() && l.terminated.Before(late):
		return causeDrain
	case !l.paused.IsZero() && l.paused.Before(late):
		return causeSilence
	}
	return causeNone
}

// judgeWill says how often the Will of a connection may have been published.
//
// When its node dies, the Will of a device that stays away is due exactly once, from another node, and not before the grace is over; of one that is back
// within the grace it is not due at all. In between it depends on when the node was taken for dead.
func judgeWill(book *ledger, d *device, s stint, why cause, away time.Duration) {
	if _, has := d.willDelay(); !has {
		return
	}
	w := willID{d.number, s.attempt}
	book.mu.Lock()
	arrivals := slices.Clone(book.wills[w])
	book.mu.Unlock()
	unflagged := 0
	for _, a := range arrivals {
		if !a.flagged {
			unflagged++
		}
	}
	switch {
	case unflagged > 1:
		book.violation("will twice", "the will of device %d, connection %d, came %d times without a flag", d.number, s.attempt, unflagged)
	case len(arrivals) == 0:
		if s.how == byDeath || s.how == byDeathWithNode {
			book.violation("will missing", "device %d, connection %d, %v and its will did not come", d.number, s.attempt, s.how)
		} else if why == causeKill && away > willDue {
			book.violation("will missing", "device %d was away for %v after its node died and its will did not come", d.number, away)
		}
	case s.how == byDeathWithNode && arrivals[0].at.Before(s.ended.Add(grace)):
		book.violation("will early", "the will of device %d came %v after its node died: it could have come back", d.number, arrivals[0].at.Sub(s.ended))
	case why == causeDrain:
		book.violation("will stray", "the will of device %d came though its node stopped in good order", d.number)
	case why == causeKill && away > 0 && away < grace:
		book.violation("will stray", "the will of device %d came though it was back %v after its node died", d.number, away)
	case why == causeDevice && s.how == byDevice:
		book.violation("will stray", "the will of device %d came though it disconnected in good order", d.number)
	}
}

// serveAgain gives, for each connection that a node took with it when it was killed, how long its device was without.
func serveAgain(devices []*device, nodes []*node) (gaps []time.Duration) {
	for _, d := range devices {
		stints := d.history()
		for i, s := range stints {
			if i+1 < len(stints) && explain(s, nodes) == causeKill {
				gaps = append(gaps, stints[i+1].established.Sub(s.ended))
			}
		}
	}
	slices.Sort(gaps)
	return gaps
}

// quantile of sorted values; zero without any.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
