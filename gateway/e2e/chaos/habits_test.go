package chaos

import (
	"math/rand/v2"
	"time"

	"sluice/mqtt/packet"
)

// habits are what makes devices different. Who always answers at once has almost nothing under way when its node dies.
type habits struct {
	slow  bool // takes up to slowMax for each answer
	roams bool // changes its network now and then: a new connection while the old one, half open, still has an owner
	naps  bool // disconnects in good order now and then, and comes back after a while: messages wait on the bus
}

const (
	slowMax = 300 * time.Millisecond
	// restless is the mean time between two naps or two changes of network.
	restless = 6 * time.Second
	napMax   = 3 * time.Second
	// delayedMax bounds the answers that wait: two for each message of the node's window (20), since PUBCOMP may wait behind PUBREC, and one for
	// each PUBREC of the device's own window.
	delayedMax = 2*20 + window
)

func habitsOf(number int) habits {
	return habits{slow: number%3 == 0, roams: number%8 == 1 || number%8 == 4, naps: number%8 == 3 || number%8 == 6}
}

// move gives a timer for the next nap or change of network; one that never fires for who does neither.
func (h habits) move() <-chan time.Time {
	if !h.roams && !h.naps {
		return nil
	}
	return time.After(restless/2 + rand.N(restless))
}

// delayed is a queue of answers that go out later, in order [MQTT-4.6.0-2], [MQTT-4.6.0-3].
type delayed struct {
	packets []packet.Packet
	due     []time.Time
}

func (q *delayed) add(p packet.Packet, now time.Time) {
	at := now.Add(rand.N(slowMax))
	if n := len(q.due); n > 0 && at.Before(q.due[n-1]) {
		at = q.due[n-1]
	}
	q.packets, q.due = append(q.packets, p), append(q.due, at)
}

// next gives a channel that fires when the oldest is due; nil without any.
func (q *delayed) next(now time.Time) <-chan time.Time {
	if len(q.due) == 0 {
		return nil
	}
	return time.After(q.due[0].Sub(now))
}

// take gives what is due.
func (q *delayed) take(now time.Time) (ready []packet.Packet) {
	n := 0
	for n < len(q.due) && !q.due[n].After(now) {
		n++
	}
	ready = q.packets[:n:n]
	q.packets, q.due = q.packets[n:], q.due[n:]
	return ready
}
