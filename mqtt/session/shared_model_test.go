package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// groupWorld is a shared subscription with two members: the queue of the group, an inbox and a store for each session, and who took which QoS 2
// message. Connections, lanes and nodes are lost at any step; members leave the group and join it again; now and then a device reads nothing
// for a while. Which member gets a message is chosen by the seed.
type groupWorld struct {
	rng     *rand.Rand
	now     time.Time
	queue   []*groupMessage
	takers  map[int]taker
	members []*member
	faults  bool
	trace   []string
}

type groupMessage struct {
	n        int
	qos      packet.QoS
	by       *member
	delivery uint64 // zero is ready
	again    bool
	done     bool
}

// taker is the record of who has begun with a message.
type taker struct {
	by   *member
	done bool // the copy is known to be in the inbox
}

const (
	groupFilter   = "$share/g/t"
	groupMessages = 60
)

func newGroupWorld(seed uint64) *groupWorld {
	w := &groupWorld{rng: rand.New(rand.NewPCG(seed, 77)), now: scriptStart, takers: map[int]taker{}, faults: true}
	for n := range groupMessages {
		w.queue = append(w.queue, &groupMessage{n: n, qos: packet.QoS(1 + w.rng.IntN(2))})
	}
	for i, v := range []packet.Version{packet.V5, packet.V311} {
		w.members = append(w.members, &member{w: w, name: fmt.Sprintf("m%d", i), version: v, wants: true, held: map[packet.ID]bool{}, refused: map[int]bool{}})
	}
	return w
}

func (w *groupWorld) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *groupWorld) act() error {
	b := w.members[w.rng.IntN(len(w.members))]
	if b.m == nil {
		return b.connect()
	}
	if w.faults {
		switch n := w.rng.IntN(200); {
		case n < 1:
			w.log("%s crash", b.name)
			b.apply(w.rng.IntN(len(b.writes) + 1))
			b.writes = nil
			b.end()
			return nil
		case n < 3 && !b.asked:
			b.toDevice, b.toServer = nil, nil
			b.online, b.connected = false, false
			return b.step(ConnectionLost{})
		case n < 5 && b.groupLane:
			b.detachGroup()
			return b.step(LaneDetached{Lane: groupFilter})
		case n < 7 && b.sessionLane:
			b.detachSession()
			return b.step(LaneDetached{})
		case n < 8:
			b.wants = !b.wants
		case n < 10:
			b.stalled = !b.stalled
		}
	}
	actions := b.actions()
	if len(actions) == 0 {
		return nil
	}
	return actions[w.rng.IntN(len(actions))]()
}

func (w *groupWorld) done() bool {
	for _, g := range w.queue {
		if !g.done {
			return false
		}
	}
	for _, b := range w.members {
		idle := b.m != nil && b.sessionLane && len(b.writes)+len(b.toServer)+len(b.toDevice)+len(b.held) == 0
		if !idle || slices.ContainsFunc(b.inbox, func(c *inboxMessage) bool { return !c.done }) {
			return false
		}
	}
	return true
}

func (w *groupWorld) run() error {
	act := func() error {
		if err := w.act(); err != nil {
			return err
		}
		for _, b := range w.members {
			if err := b.bounded(); err != nil {
				return err
			}
		}
		return nil
	}
	for range 3000 {
		if err := act(); err != nil {
			return err
		}
	}
	w.log("healed")
	w.faults = false
	for _, b := range w.members {
		b.wants, b.stalled = true, false
	}
	for range 20000 {
		if w.done() {
			// Exchanges that an earlier connection has settled wait in vain for their message.
			if err := w.orphanTime(); err != nil {
				return err
			}
			return w.verify()
		}
		if w.rng.IntN(200) == 0 && !slices.ContainsFunc(w.members, (*member).owesCopies) {
			if err := w.orphanTime(); err != nil {
				return err
			}
		}
		if err := act(); err != nil {
			return err
		}
	}
	return fmt.Errorf("no end in sight")
}

// orphanTime passes, and with it nothing else.
func (w *groupWorld) orphanTime() error {
	w.now = w.now.Add(testConfig().OrphanTime)
	for _, b := range w.members {
		if b.m == nil {
			continue
		}
		if err := b.step(DeadlineReached{}); err != nil {
			return err
		}
		for len(b.writes) > 0 {
			if err := b.storeAnswers(); err != nil {
				return err
			}
		}
	}
	return nil
}

// verify: QoS 1 came to a member at least once, QoS 2 to one member once; and nothing of it is left.
func (w *groupWorld) verify() error {
	times := map[int]int{}
	for _, b := range w.members {
		for _, n := range b.got {
			times[n]++
		}
	}
	for _, g := range w.queue {
		if times[g.n] == 0 || g.qos == 2 && times[g.n] != 1 {
			return fmt.Errorf("message %d of QoS %d came %d times: %v, %v", g.n, g.qos, times[g.n], w.members[0].got, w.members[1].got)
		}
	}
	for _, b := range w.members {
		for _, s := range []State{b.m.State(), b.stored} {
			if err := nothingUnderWay(s); err != nil {
				return fmt.Errorf("%s leaves behind %w", b.name, err)
			}
		}
	}
	return nil
}

// TestModelGroup: whatever is lost, a group's QoS 2 message comes to one member exactly once and a QoS 1 message to one at least, and no member
// draws its group empty.
func TestModelGroup(t *testing.T) {
	for seed := range uint64(150) {
		w := newGroupWorld(seed)
		if err := w.run(); err != nil {
			for _, l := range w.trace[max(0, len(w.trace)-300):] {
				t.Log(l)
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
