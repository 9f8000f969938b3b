package session

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// walk feeds a machine events that bytes choose: mostly sensible ones, so that it gets far, and at any time senseless ones, as a device or a
// shell with a bug would.
type walk struct {
	choices []byte
	now     time.Time
	m       *Machine
	watch   *watcher

	polite       bool    // breaks few rules, and so gets far
	access       *rights // nil: none
	deadline     time.Time
	asked        bool
	attached     bool
	shared       []string // lanes attached
	handing      []uint64
	recall       bool
	lastDelivery uint64
	pubs         []uint64
	stores       []uint64
	subs         []Subscribe
	unsubs       []packet.ID
	sent         []*packet.Publish
	stored       State
	log          []string
}

// pick chooses one of n; zero once the bytes are used up.
func (w *walk) pick(n int) int {
	if len(w.choices) == 0 {
		return 0
	}
	c := w.choices[0]
	w.choices = w.choices[1:]
	return int(c) % n
}

func (w *walk) chance(oneIn int) bool { return w.pick(oneIn) == 1 }

func (w *walk) run() error {
	w.polite = !w.chance(4)
	cfg := testConfig()
	if w.chance(4) {
		cfg.AuthMethods = []string{"SCRAM"}
	}
	cfg.MaximumQoS = byte(2 - w.pick(6)/5)
	cfg.RetainAvailable = !w.chance(5)
	var hooks Hooks
	if w.chance(3) {
		w.access = &rights{most: 2}
		hooks.Access = w.access
	}
	w.m = New(&cfg, hooks)
	w.watch = newWatcher(w.m)
	for len(w.choices) > 0 && !w.watch.finished {
		if err := w.step(w.event()); err != nil {
			return err
		}
	}
	// However it went, it ends.
	if err := w.step(ConnectionLost{}); err != nil {
		return err
	}
	if w.asked {
		if err := w.step(SessionRefused{Reason: packet.ServerBusy}); err != nil {
			return err
		}
	}
	w.now = w.now.Add(time.Hour)
	if err := w.step(DeadlineReached{}); err != nil {
		return err
	}
	if !w.watch.finished {
		return errNoFinish
	}
	return nil
}

var errNoFinish = errors.New("no Finish after the connection was lost and all deadlines have passed")

func (w *walk) step(ev Event) error {
	w.log = append(w.log, formatEvent(ev))
	effects := w.m.Step(w.now, ev, nil)
	for _, e := range effects {
		w.log = append(w.log, "\t"+formatEffect(e, scriptStart))
		switch e := e.(type) {
		case OpenSession:
			w.asked = true
		case Publish:
			w.pubs = append(w.pubs, e.Token)
		case Store:
			if e.ID != 0 {
				w.stores = append(w.stores, e.ID)
			}
			for _, op := range e.Ops {
				w.stored.apply(op)
			}
		case Subscribe:
			w.subs = append(w.subs, e)
		case Unsubscribe:
			w.unsubs = append(w.unsubs, e.ID)
		case Recall:
			if w.recall {
				return errors.New("a Recall while one is under way")
			}
			w.recall = true
		case HandOver:
			w.handing = append(w.handing, e.Delivery)
		case SetDeadline:
			w.deadline = e.At
		case SendPacket:
			if p, ok := e.Packet.(*packet.Publish); ok && p.QoS > 0 {
				w.sent = append(w.sent, p)
			}
		}
	}
	return w.watch.step(w.now, ev, effects)
}

func formatEvent(ev Event) string {
	if p, ok := ev.(PacketReceived); ok {
		return "< " + formatPacket(p.Packet)
	}
	return formatAny(ev)
}

func (w *walk) event() Event {
	w.now = w.now.Add(time.Duration(w.pick(50)) * 10 * time.Millisecond)
	switch w.m.phase {
	case phaseNew:
		if !w.chance(20) {
			return ConnectionOpened{AssignedClientID: "x"}
		}
	case phaseConnect:
		if !w.chance(10) {
			return PacketReceived{Packet: w.connect()}
		}
	case phaseAuthenticating:
		if w.m.auth.asked && !w.chance(5) || w.chance(3) {
			return w.authAnswer()
		}
		if !w.chance(10) {
			return PacketReceived{Packet: w.auth()}
		}
	case phaseOpening:
		if !w.chance(3) {
			return w.opened()
		}
	}
	switch w.pick(13) {
	case 12:
		if len(w.shared) == 0 {
			return w.lane()
		}
		return w.message()
	case 0, 1:
		return PacketReceived{Packet: w.publish()}
	case 2, 3:
		return PacketReceived{Packet: w.answer()}
	case 4, 5:
		return w.busAnswer()
	case 6, 7:
		return w.storeAnswer()
	case 8, 9:
		return w.message()
	case 10:
		return PacketReceived{Packet: w.request()}
	}
	return w.rare()
}

var (
	identities = []string{"i0", "i1", "i2", "i3", "i4", "i5", "i6", ""}
	topics     = []string{"a", "a/b", "b", "$SYS/x", "a/b/c"}
	filters    = []string{"#", "a/#", "+", "a/b", "$share/g/a", "$share/h/#", "b", "a#", "$SYS/#"}
)

// TestRandomWalk: no events, in whatever order, break a promise.
func TestRandomWalk(t *testing.T) {
	reached, handedOver, ofGroups := 0, 0, 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		choices := make([]byte, 200+rng.IntN(3000))
		for i := range choices {
			choices[i] = byte(rng.Uint32())
		}
		w := &walk{choices: choices, now: scriptStart}
		if err := w.run(); err != nil {
			for _, l := range w.log {
				t.Log(l)
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
		reached += len(w.log)
		handedOver += w.watch.handovers
		ofGroups += w.watch.ofGroups
	}
	if handedOver < 50 || ofGroups < 200 {
		t.Errorf("only %d messages of groups handed over and %d sent: the walks prove little about them", handedOver, ofGroups)
	}
	if reached < 60000 {
		t.Errorf("only %d events and effects: the walks end too early to prove anything", reached)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte("a session of its own"))
	f.Fuzz(func(t *testing.T, choices []byte) {
		w := &walk{choices: choices, now: scriptStart}
		if err := w.run(); err != nil {
			for _, l := range w.log {
				t.Log(l)
			}
			t.Fatal(err)
		}
	})
}
