package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one thing that is done to the system.
type fault struct {
	at   time.Duration // since the storm began
	kind faultKind
	node int // everyNode for all
}

const everyNode = -1

type faultKind uint8

const (
	killNode     faultKind = iota // SIGKILL
	startNode                     // a new process in the same place, with a new node id
	pauseNode                     // SIGSTOP
	resumeNode                    // SIGCONT
	cutBus                        // connections to RabbitMQ are reset; new ones get through
	holdBus                       // connections to RabbitMQ carry nothing any more
	freeBus                       // and do again
	downStore                     // Redis is out of reach: connections are reset, new ones refused
	holdStore                     // connections to Redis carry nothing any more
	freeStore                     // and all is well again
	lagStore                      // the replica of Redis has no connection to its primary any more
	killStore                     // the primary of Redis is killed (SIGKILL)
	promoteStore                  // the replica is a primary; it has no replica, which profile durable does not answer without
	moveStore                     // the node hears of that
	rejoinStore                   // the old primary is back as the replica
)

var faultNames = [...]string{"kill -9", "start", "SIGSTOP", "SIGCONT", "bus cut", "bus held", "bus free", "store down", "store held", "store free",
	"replica of Redis cut off", "primary of Redis killed", "replica of Redis promoted", "new primary of Redis for",
	"old primary of Redis back as a replica"}

func (k faultKind) String() string { return faultNames[k] }

func (f fault) String() string {
	who := fmt.Sprintf(" node %d", f.node)
	switch {
	case f.kind >= lagStore && f.kind != moveStore:
		who = "" // no matter of nodes
	case f.node == everyNode:
		who = " all nodes"
	}
	return fmt.Sprintf("%6.2fs %s%s", f.at.Seconds(), f.kind, who)
}

// impairedMax is how many nodes may be dead or paused at a time: two of six, as two fault domains of three would lose.
const impairedMax = 2

// plan makes the schedule of a storm. It is the same for the same arguments.
func plan(seed uint64, storm time.Duration, kills, failovers int) []fault {
	p := &planner{r: rand.New(rand.NewPCG(seed, seed)), storm: storm, split: seed%2 == 0}
	// Pauses first, since they are long: one per minute, the first one early so that the short storm has it.
	for at, long := p.between(500*time.Millisecond, time.Second), pauseFor; at+long < storm; at, long = at+time.Minute, p.between(pauseFor, pauseMax) {
		p.impair(at, long, pauseNode, resumeNode)
	}
	for i := range kills {
		slot := float64(storm) * 0.92 / float64(kills)
		p.impair(time.Duration((float64(i)+0.2+0.6*p.r.Float64())*slot), p.between(700*time.Millisecond, 3500*time.Millisecond), killNode, startNode)
	}
	for at := p.between(time.Second, 3*time.Second); at < storm; at += p.between(2*time.Second, 6*time.Second) {
		p.disturbBus(at)
	}
	p.failOver(failovers)
	p.storeAway()
	slices.SortStableFunc(p.faults, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return p.faults
}

// failOver lets the replica of Redis take the primary's place and gives the old primary back as a replica, once in each of so many equal times. In each
// second one the old primary lives on for a while, and nodes use it that have not heard: nobody confirms what it is told. Like the outages, it
// stays below bus.grace (30 s), within which nobody is to be disconnected.
func (p *planner) failOver(times int) {
	for i := range times {
		slot := float64(p.storm) / float64(times)
		at := time.Duration((float64(i) + 0.55 + 0.15*p.r.Float64()) * slot)
		lag := p.between(200*time.Millisecond, 1500*time.Millisecond)
		p.add(at-lag, lagStore, everyNode)
		killed, promoted, moved := at, at+p.between(200*time.Millisecond, 2*time.Second), 200*time.Millisecond
		if p.split = !p.split; p.split {
			promoted, moved = at, 1500*time.Millisecond
			killed = promoted + moved
		}
		p.add(killed, killStore, everyNode)
		p.add(promoted, promoteStore, everyNode)
		for node := range nodeCount {
			p.add(promoted+p.between(time.Millisecond, moved), moveStore, node)
		}
		rejoined := max(killed, promoted+moved) + p.between(500*time.Millisecond, 3*time.Second)
		p.add(rejoined, rejoinStore, everyNode)
		p.failovers = append(p.failovers, impairment{everyNode, at - lag, rejoined + time.Second})
	}
}

// storeAway puts Redis out of reach now and then, but not while it fails over.
func (p *planner) storeAway() {
	for at := min(p.storm*35/100, 30*time.Second); at < p.storm; at += p.between(25*time.Second, 40*time.Second) {
		long := p.between(1500*time.Millisecond, 4*time.Second)
		for _, f := range p.failovers {
			if f.from < at+long && at < f.to {
				at = f.to
			}
		}
		p.add(at, []faultKind{downStore, holdStore}[p.r.IntN(2)], everyNode)
		p.add(at+long, freeStore, everyNode)
	}
}

type planner struct {
	r         *rand.Rand
	storm     time.Duration
	faults    []fault
	impaired  []impairment
	failovers []impairment
	split     bool // the latest fail-over left the old primary alive for a while
}

type impairment struct {
	node     int
	from, to time.Duration
}

// startup is how long a process that was just started is left alone: killing it before it serves anybody proves little.
const startup = 800 * time.Millisecond

func (p *planner) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.r.Int64N(int64(most-least)))
}

func (p *planner) add(at time.Duration, kind faultKind, node int) {
	p.faults = append(p.faults, fault{at, kind, node})
}

// impair takes a random node that is well away for a while, later if too many are away at that time.
func (p *planner) impair(at, long time.Duration, begin, end faultKind) {
	for ; ; at += 50 * time.Millisecond {
		free := []int{}
		away := 0
		for n := range nodeCount {
			busy := slices.ContainsFunc(p.impaired, func(i impairment) bool { return i.node == n && i.from < at+long && at < i.to })
			if busy {
				away++
			} else {
				free = append(free, n)
			}
		}
		if away >= impairedMax {
			continue
		}
		node := free[p.r.IntN(len(free))]
		p.impaired = append(p.impaired, impairment{node, at, at + long + startup})
		p.add(at, begin, node)
		p.add(at+long, end, node)
		return
	}
}

// disturbBus cuts one node off RabbitMQ, or all of them, or lets a node's connections go dead for a while.
func (p *planner) disturbBus(at time.Duration) {
	node := p.r.IntN(nodeCount)
	switch p.r.IntN(5) {
	case 0, 1:
		p.add(at, cutBus, node)
	case 2:
		p.add(at, cutBus, everyNode)
	default:
		p.add(at, holdBus, node)
		p.add(min(at+p.between(time.Second, 13*time.Second), p.storm), freeBus, node)
	}
}
