package gateway

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
)

const (
	// faultPublishes is how many messages the fleet publishes in every run of the tests; envFaultPublishes says otherwise, and envFaultSeed which seed
	// the bus decides by. The goroutines are free, so a seed gives the same decisions in another order.
	faultPublishes    = 6000
	envFaultPublishes = "SLUICE_FAULT_PUBLISHES"
	envFaultSeed      = "SLUICE_FAULT_SEED"
	// proversEach is how many devices there are of each version and policy.
	proversEach = 7
	// strikePause is how long the bus may be silent, in virtual time, before it loses its links: well below the grace.
	strikePause = 1700 * time.Millisecond
	// ticksLeast, and one for each message, are the strikes by which a run must be over.
	ticksLeast = 1000
)

// fleetRun is one run of the fleet.
type fleetRun struct {
	publishes int
	seed      uint64
	faults    int                     // after so many it ends
	plant     func(amqp.Bus) amqp.Bus // nil: nothing
	o         *oracle
	bus       *faultBus
	dropped   string   // records of failures that the node could not put into an inbox within the grace
	heaps     []uint64 // at a third, and at the end
}

// A bus that answers each outcome, at once, late, or never, and loses links, sessions and connections before and behind it: no device is told that a
// message was taken that was not, and every refused one is told.
func TestNoFalseAcknowledgement(t *testing.T) {
	r := &fleetRun{publishes: number(t, envFaultPublishes, faultPublishes), seed: uint64(number(t, envFaultSeed, 1)), faults: 20}
	began := time.Now()
	r.run(t)
	for _, f := range r.o.faults {
		t.Error(f)
	}
	if n := r.o.answered; n != r.publishes {
		t.Errorf("%d of %d are answered", n, r.publishes)
	}
	if dropped, err := strconv.Atoi(r.dropped); err != nil || r.o.count[countUnexplained] > dropped {
		t.Errorf("%d closes were never explained; the node counts %s records that it had to drop", r.o.count[countUnexplained], r.dropped)
	}
	t.Logf("%d publishes in %v, seed %d; heap %.1f MiB at a third, %.1f at the end", r.publishes, time.Since(began).Round(time.Millisecond), r.seed,
		float64(r.heaps[0])/(1<<20), float64(r.heaps[len(r.heaps)-1])/(1<<20))
	for _, counts := range []map[string]int{r.o.count, r.bus.did} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			t.Logf("%8d %s", counts[name], name)
		}
	}
	for _, d := range decisions {
		if r.bus.did[d.name] == 0 && r.publishes >= faultPublishes {
			t.Errorf("the bus never did: %s", d.name)
		}
	}
	if first, last := r.heaps[0], r.heaps[len(r.heaps)-1]; last > first+heapSlack {
		t.Errorf("the heap grows from %d to %d bytes", first, last)
	}
}

// heapSlack is what the heap may differ by chance: what is under way.
const heapSlack = 16 << 20

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it is to be a positive number", name, s)
	}
	return n
}

func (r *fleetRun) run(t *testing.T) {
	r.o = newOracle(r.faults)
	r.bus = newFaultBus(r.o, r.seed)
	inBubble(t, func(b *bubble) {
		b.inFront = r.plant
		b.change = fleetOptions
		n := b.start("n", b.store)
		b.broker.Faults().Decide(r.bus.decide)
		fleet := r.fleet(n)
		over := make(chan struct{})
		var running sync.WaitGroup
		for _, d := range fleet {
			running.Go(d.run)
		}
		go func() {
			running.Wait()
			close(over)
		}()
		r.strikes(b, over)
		b.broker.Faults().Clear()
		r.dropped = (&failing{node: n}).metric("sluice_error_records_dropped_total")
	})
}

// strikes takes the links away again and again until the fleet is done.
func (r *fleetRun) strikes(b *bubble, over <-chan struct{}) {
	tick := time.NewTicker(strikePause)
	defer tick.Stop()
	for ticks := 0; ; ticks++ {
		select {
		case <-tick.C:
			if ticks == ticksLeast+r.publishes {
				r.o.stop("no end after %v", strikePause*time.Duration(ticks))
			}
			r.bus.strike(b.broker.Faults())
			if len(r.heaps) == 0 && r.o.done()*3 >= r.publishes {
				r.heaps = append(r.heaps, heapNow())
			}
		case <-over:
			r.heaps = append(r.heaps, heapNow())
			return
		}
	}
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// fleet makes the devices, which share the messages.
func (r *fleetRun) fleet(n *bubbleNode) (all []*prover) {
	for i := range proversEach {
		for p := range policies {
			for _, v := range []packet.Version{packet.V311, packet.V5} {
				all = append(all, &prover{
					policy: &policies[p], o: r.o, devices: n.devices, v: v, name: fmt.Sprintf("%s-%s-%d", policies[p].name, versionName(v), i),
				})
			}
		}
	}
	for i := range r.publishes {
		all[i%len(all)].total++
	}
	return all
}

func fleetOptions(o *Options) {
	table, err := rules.Compile([]rules.Rule{
		{Topic: "close/#", OnError: "close"},
		{Topic: "report/#", OnError: "report"},
		{Topic: "silent/#", OnError: "report"},
		{Topic: "keep/#", OnError: "quarantine"},
		{Topic: "route/#", RequireRoute: true},
		{Topic: "both/#", RequireRoute: true, OnError: "quarantine"},
	}, o.Bridge.Dialect)
	if err != nil {
		panic(err)
	}
	o.Bridge.Rules = table
	o.QuarantineAddress, o.EventsAddress = quarantineSetting, "/queues/events"
	o.ConnectionsMax = 1000
}

// liar stands in front of the bus of a node and changes what the node is told.
type liar struct {
	amqp.Bus
	lie func(message.Outcome) message.Outcome
	// early: the node is told before the bus has said anything.
	early bool
}

func (l *liar) Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome)) {
	if l.early {
		l.Bus.Publish(shard, m, settled, func(message.Outcome) {})
		done(taken)
		return
	}
	l.Bus.Publish(shard, m, settled, func(o message.Outcome) { done(l.lie(o)) })
}

// The test above can fail: each of these makes the node lie, and is found.
func TestTheOracleFindsFalseAcknowledgements(t *testing.T) {
	becomes := func(which message.OutcomeKind, o message.Outcome) func(message.Outcome) message.Outcome {
		return func(told message.Outcome) message.Outcome {
			if told.Kind == which {
				return o
			}
			return told
		}
	}
	for _, planted := range []struct {
		name  string
		liar  liar
		false bool // the device is told that a message was taken which was not
	}{
		{"rejected is taken for accepted", liar{lie: becomes(message.Rejected, taken)}, true},
		{"modified is taken for accepted", liar{lie: becomes(message.Modified, taken)}, true},
		{"lost is taken for accepted", liar{lie: becomes(message.Lost, taken)}, true},
		{"released is taken for accepted", liar{lie: becomes(message.Released, taken)}, true},
		{"acknowledged before the answer", liar{early: true}, true},
		{"accepted is taken for nobody", liar{lie: becomes(message.Accepted, message.Outcome{Kind: message.Released})}, true},
		{"accepted is taken for refused", liar{lie: becomes(message.Accepted, rejectedFor("example:no", ""))}, false},
		{"accepted is taken for lost", liar{lie: becomes(message.Accepted, message.Outcome{Kind: message.Lost})}, false},
	} {
		t.Run(planted.name, func(t *testing.T) {
			r := &fleetRun{publishes: 500, seed: 1, faults: 1, plant: func(b amqp.Bus) amqp.Bus {
				l := planted.liar
				l.Bus = b
				return &l
			}}
			r.run(t)
			if len(r.o.faults) == 0 || planted.false != (r.o.count[countFalse] > 0) {
				t.Errorf("the oracle found %q, %d false acknowledgements", r.o.faults, r.o.count[countFalse])
			}
		})
	}
}
