package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// kinds are the violations there are, each with the promise it breaks.
var kinds = map[string]string{
	"lost":         "what was acknowledged or accepted arrives",
	"twice":        "QoS 2 comes to a device once",
	"message-id":   "QoS 2 keeps its message-id on the bus",
	"unflagged":    "what is repeated on the bus says so",
	"unexplained":  "what is repeated on the bus has a reason",
	"disorder":     "first arrivals come in order, per device and QoS",
	"swallowed":    "a packet identifier is not used again before its exchange is complete",
	"session":      "Session Present tells the truth",
	"disconnected": "nobody is disconnected without a fault that explains it",
	"refused":      "nothing is refused that could be taken",
	"unroutable":   "the inbox of a session is there as long as the session",
	"will stray":   "no will for a node that stops in good order or a device that is back",
	"will twice":   "a will comes once",
	"will missing": "a will comes",
	"will early":   "a device has time to come back after its node died",
	"crash":        "no node ends by itself",
	"drain":        "a node stops in good order in time",
	"stray":        "an acknowledgement belongs to something",
	"malformed":    "what is sent can be read",
	"flood":        "no more is under way to a device than the window allows",
	"quality":      "a message comes at the QoS that was asked for",
	"unknown":      "what arrives was sent",
}

// table makes the report of a run.
func (r *run) table(f figures, c connectionFigures, serve, takeovers []time.Duration) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("seed", "%d", r.settings.seed)
	row("devices, nodes", "%d, %d", r.settings.devices, nodeCount)
	row("up: sent, arrived", "%d, %d (%d transmissions)", f.sentUp, f.arrivedUp, f.transmissions)
	row("down: sent, arrived", "%d, %d (%d without accepted)", f.sentDown, f.arrivedDown, f.undecided)
	row("lost", "%d", f.lost)
	row("again at the backend", "%d at QoS 1, %d at QoS 2, all flagged unless told below", f.againUp1, f.againUp2)
	row("again at devices", "%d at QoS 1 (%d without DUP), %d at QoS 2", f.againDown1, r.book.unmarked, f.againDown2)
	row("kill -9, SIGSTOP", "%d, %d", r.done[killNode], r.done[pauseNode])
	row("profile, fail-overs of Redis", "%s, %d", r.settings.profile, r.done[promoteStore])
	row("RabbitMQ restarted, killed", "%d, %d", r.busStops["restart"], r.busStops["kill"])
	row("bus cut, bus held, store outages", "%d, %d, %d", r.done[cutBus], r.done[holdBus], r.done[downStore]+r.done[holdStore])
	row("connections, refused", "%d, %d", c.connections, r.fleet.refusals.Load())
	row("disconnected without a cause", "%d", c.unexplained)
	row("taken over by a CONNECT given up before", "%d", c.late)
	after := afterDeath(r.book, r.fleet.mortals)
	slices.Sort(after)
	row("wills", "%d; %d of devices that died with their node, %s to %s later", c.wills, len(after), seconds(quantile(after, 0)), seconds(quantile(after, 1)))
	row("slowest message", "up %s, down %s", seconds(f.slowestUp), seconds(f.slowestDown))
	row("longest time without any message", "%s", seconds(r.book.gap))
	row("served again after kill -9", "p50 %s, max %s (%d devices)", seconds(quantile(serve, 0.5)), seconds(quantile(serve, 1)), len(serve))
	row("takeover between nodes", "p50 %s, p99 %s, max %s (%d, dialling to CONNACK, without those during store outages)", seconds(quantile(takeovers, 0.5)), seconds(quantile(takeovers, 0.99)), seconds(quantile(takeovers, 1)), len(takeovers))
	_ = w.Flush() // to memory
	return b.String()
}

// calmTakeovers gives the times of the takeovers from one node by another while the store could be reached, sorted. Who comes back to the same
// node may have to wait until its old connection has given back what it had.
func (r *run) calmTakeovers(c connectionFigures) (took []time.Duration) {
	for _, t := range c.takeovers {
		if t.from.node != t.next.node && !t.during(r.outages) {
			took = append(took, t.took)
		}
	}
	slices.Sort(took)
	return took
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }

// violations gives what was wrong, by kind, with examples; empty when all is well.
func (l *ledger) violations() (texts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(l.wrong)) {
		found := l.wrong[kind]
		promise, known := kinds[kind]
		if !known {
			promise = "(a kind that the report does not know)"
		}
		texts = append(texts, fmt.Sprintf("%s, %d times, against: %s\n    %s", kind, len(found), promise, strings.Join(found[:min(len(found), examplesMax)], "\n    ")))
	}
	return texts
}
