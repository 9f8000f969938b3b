package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// world is a device, a bus and a store around machines that come and go, all driven by one seed. Connections, lanes and whole nodes are
// lost at any step. The device and the bus are as simple as can be, so that they are plainly right.
type world struct {
	rng     *rand.Rand
	version packet.Version
	now     time.Time

	m       *Machine
	watch   *watcher
	open    bool // CONNACK went out
	paused  bool
	asked   bool // OpenSession has no answer
	closing bool
	trace   []string

	// The store: what is applied, and what is on its way in order.
	exists bool
	stored State
	writes []Store

	// The bus, downlink: all messages in order, and the lane.
	down         []*busMessage
	attached     bool
	credit       int
	lastDelivery uint64
	// loseSettlements makes the end of a lane, also of one that ends with its connection or its node, undo what was settled on it last.
	loseSettlements bool
	settledOnLane   []*busMessage
	// The bus, uplink: what it has by message-id, and what it has not answered.
	taken   map[string]string
	times   map[string]int // how often it got it
	refused map[string]bool
	pubs    []Publish
	subs    []Subscribe

	recall bool // Recall has no answer
	// old is the connection before, whose session this one took over; changes counts those.
	old     *displaced
	changes int
	// changing makes a device change nodes, with nothing else going wrong: no node dies, and none loses its bus.
	changing bool

	toDevice, toServer []packet.Packet
	dev                *device
	epoch              int
}

type busMessage struct {
	n        int
	qos      packet.QoS
	delivery uint64 // zero is ready
	sent     bool   // delivered at least once
	done     bool
	refused  bool
}

func newWorld(seed uint64, v packet.Version) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, uint64(v))), version: v, now: scriptStart,
		taken: map[string]string{}, times: map[string]int{}, refused: map[string]bool{},
		dev: &device{held: map[packet.ID]bool{}, acked: map[int]bool{}, rejected: map[int]bool{}, qos2: map[int]bool{}, refusals: map[int]bool{}},
	}
	for n := range worldDown {
		w.down = append(w.down, &busMessage{n: n, qos: packet.QoS(1 + w.rng.IntN(2))})
	}
	return w
}

func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *world) step(ev Event) error {
	w.now = w.now.Add(time.Millisecond)
	w.log("%s", formatEvent(ev))
	effects := w.m.Step(w.now, ev, nil)
	for _, e := range effects {
		w.log("\t%s", formatEffect(e, scriptStart))
	}
	if err := w.watch.step(w.now, ev, effects); err != nil {
		return err
	}
	for _, e := range effects {
		if err := w.perform(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) perform(e Effect) error {
	switch e := e.(type) {
	case SendPacket:
		w.toDevice = append(w.toDevice, e.Packet)
	case OpenSession:
		w.asked = true
	case Publish:
		w.pubs = append(w.pubs, e)
	case Recall:
		w.recall = true
	case Subscribe:
		w.subs = append(w.subs, e)
	case Store:
		w.writes = append(w.writes, e)
	case Settle:
		return w.settle(e)
	case GrantCredit:
		w.credit += int(e.N)
	case PauseReading:
		w.paused = true
	case ResumeReading:
		w.paused = false
	case CloseConnection:
		w.closing = true
		if e.Reason != packet.Success && e.Reason != packet.ImplementationSpecificError {
			return fmt.Errorf("closed: 0x%02X %s", byte(e.Reason), e.Text)
		}
	case Finish:
		w.applyWrites(len(w.writes)) // Release waits for earlier writes
		w.end()
	}
	return nil
}

func (w *world) settle(e Settle) error {
	for _, b := range w.down {
		if b.delivery != e.Delivery {
			continue
		}
		b.delivery = 0
		switch e.Outcome {
		case SettleAccepted:
			b.done = true
		case SettleRejected:
			b.done, b.refused = true, true
			if !w.dev.refusals[b.n] {
				return fmt.Errorf("message %d rejected, the device did not: %s", b.n, e.Text)
			}
		}
		w.settledOnLane = append(w.settledOnLane, b)
		return nil
	}
	return fmt.Errorf("no delivery %d", e.Delivery)
}

// end: the connection is gone, with or without its node.
func (w *world) end() {
	w.detach(w.loseSettlements)
	w.m, w.watch, w.open, w.paused, w.asked, w.closing = nil, nil, false, false, false, false
	w.toDevice, w.toServer, w.pubs, w.subs, w.recall = nil, nil, nil, nil, false
	w.dev.online, w.dev.connected = false, false
}

func (w *world) detach(lose bool) {
	w.attached, w.credit = false, 0
	for _, b := range w.down {
		b.delivery = 0
	}
	if lose {
		for _, b := range w.settledOnLane[max(0, len(w.settledOnLane)-w.rng.IntN(4)):] {
			b.done, b.refused = false, false
		}
	}
	w.settledOnLane = nil
}

func (w *world) applyWrites(n int) []Store {
	done := w.writes[:n]
	w.writes = w.writes[n:]
	for _, s := range done {
		for _, op := range s.Ops {
			w.stored.apply(op)
		}
	}
	return done
}

// apply is what a store does with an op.
func (s *State) apply(op Op) {
	switch op := op.(type) {
	case PutSubscription:
		s.Subscriptions = append(slices.DeleteFunc(s.Subscriptions, func(x Subscription) bool { return x.Filter == op.Subscription.Filter }), op.Subscription)
	case DeleteSubscription:
		s.Subscriptions = slices.DeleteFunc(s.Subscriptions, func(x Subscription) bool { return x.Filter == op.Filter })
	case PutInbound:
		s.apply(DeleteInbound{ID: op.Record.ID})
		s.Inbound = append(s.Inbound, op.Record)
	case AcceptInbound:
		for i, r := range s.Inbound {
			if r.ID == op.ID && r.MessageID == op.MessageID {
				s.Inbound[i].Accepted = true
			}
		}
	case DeleteInbound:
		s.Inbound = slices.DeleteFunc(s.Inbound, func(x Inbound) bool { return x.ID == op.ID })
	case PutOutbound:
		s.apply(DeleteOutbound{ID: op.Record.ID})
		s.Outbound = append(s.Outbound, op.Record)
	case DeleteOutbound:
		s.Outbound = slices.DeleteFunc(s.Outbound, func(x Outbound) bool { return x.ID == op.ID })
	}
}

// act does one thing chosen by the seed. faults allows losses.
func (w *world) act(faults bool) error {
	if w.m == nil {
		return w.connect()
	}
	if faults && w.changing {
		if w.open && !w.closing && w.rng.IntN(30) == 0 && w.old.settled() {
			return w.change()
		}
	} else if faults {
		switch n := w.rng.IntN(100); {
		case n < 1: // the node dies: of the writes under way some are applied
			w.log("crash")
			w.applyWrites(w.rng.IntN(len(w.writes) + 1))
			w.writes = nil
			w.end()
			return nil
		case n < 2 && !w.asked:
			w.toDevice, w.toServer = nil, nil
			w.dev.online, w.dev.connected = false, false
			return w.step(ConnectionLost{})
		case n < 4 && w.attached:
			w.detach(w.loseSettlements)
			return w.step(LaneDetached{})
		}
	}
	actions := w.actions()
	if len(actions) == 0 {
		return nil
	}
	return actions[w.rng.IntN(len(actions))]()
}

func (w *world) connect() error {
	cfg := testConfig()
	w.m = New(&cfg, Hooks{})
	w.watch = newWatcher(w.m)
	w.epoch++
	w.dev.online = true
	for _, o := range w.dev.out {
		o.sent = false
	}
	if err := w.step(ConnectionOpened{AssignedClientID: "x"}); err != nil {
		return err
	}
	c := &packet.Connect{Version: w.version, ClientID: "c"}
	if w.version == packet.V5 {
		c.Properties.SetSessionExpiry(3600)
		c.Properties.SetReceiveMaximum(3)
		c.Properties.SetTopicAliasMaximum(2)
	}
	return w.step(PacketReceived{Packet: c})
}

func (w *world) actions() (a []func() error) {
	add := func(on bool, f func() error) {
		if on {
			a = append(a, f)
		}
	}
	add(w.asked, w.openSession)
	add(w.closing, func() error { return w.step(ConnectionLost{}) })
	add(len(w.toDevice) > 0 && w.dev.online, w.deviceReads)
	add(len(w.toServer) > 0 && !w.paused && !w.closing, w.serverReads)
	add(w.open && !w.attached && w.dev.online && !w.closing, func() error { w.attached = true; return w.step(LaneAttached{}) })
	add(w.attached && w.credit > 0 && w.dev.subscribed && w.nextReady() != nil, w.busDelivers)
	add(len(w.pubs) > 0, w.busAnswers)
	add(len(w.subs) > 0, w.busSubscribes)
	add(w.recall, w.storeRecalls)
	add(!w.m.up.recall.due().IsZero(), w.looksAgain)
	add(!w.old.settled(), w.busAnswersOld)
	add(len(w.writes) > 0, w.storeAnswers)
	add(w.dev.connected && w.dev.subscribed && len(w.dev.out) < 3 && w.dev.sent < worldUp, w.devicePublishes)
	return a
}

func (w *world) openSession() error {
	w.asked = false
	ev := SessionOpened{Present: w.exists, MessageIDPrefix: fmt.Sprintf("e%d-", w.epoch)}
	if w.exists {
		ev.State = State{slices.Clone(w.stored.Subscriptions), slices.Clone(w.stored.Inbound), slices.Clone(w.stored.Outbound)}
	}
	w.exists, w.open = true, true
	return w.step(ev)
}

func (w *world) nextReady() *busMessage {
	for _, b := range w.down {
		if !b.done && b.delivery == 0 {
			return b
		}
	}
	return nil
}

func (w *world) busDelivers() error {
	b := w.nextReady()
	w.lastDelivery++
	b.delivery = w.lastDelivery
	w.credit--
	p := &packet.Publish{QoS: b.qos, Topic: fmt.Sprintf("t/%d", b.n%3), Payload: fmt.Append(nil, b.n)}
	again := b.sent
	b.sent = true
	return w.step(MessageArrived{Delivery: b.delivery, Message: Message{Publish: p, Identity: fmt.Sprintf("d%d", b.n), Unique: true, Redelivered: again}})
}

// busAnswers decides on any of the messages under way; what it has it knows again by its message-id.
func (w *world) busAnswers() error {
	i := w.rng.IntN(len(w.pubs))
	p := w.pubs[i]
	w.pubs = slices.Delete(w.pubs, i, i+1)
	ev := PublishAnswered{Token: p.Token}
	_, has := w.taken[p.MessageID]
	if !has && w.version == packet.V5 && w.rng.IntN(20) == 0 {
		w.refused[p.MessageID] = true
		ev.Reason = packet.QuotaExceeded
	} else {
		w.take(p)
	}
	return w.step(ev)
}

func (w *world) busSubscribes() error {
	s := w.subs[0]
	w.subs = w.subs[1:]
	return w.step(Subscribed{ID: s.ID, Reasons: make([]packet.ReasonCode, len(s.Subscriptions))})
}

func (w *world) storeAnswers() error {
	s := w.applyWrites(1)[0]
	if s.ID == 0 {
		return nil
	}
	return w.step(Stored{ID: s.ID})
}

func (w *world) serverReads() error {
	p := w.toServer[0]
	w.toServer = w.toServer[1:]
	return w.step(PacketReceived{Packet: p})
}

func (w *world) deviceReads() error {
	p := w.toDevice[0]
	w.toDevice = w.toDevice[1:]
	w.log("device reads %s", formatPacket(p))
	return w.dev.read(w, p)
}

func (w *world) devicePublishes() error {
	d := w.dev
	d.nextID = d.nextID%10 + 1
	for slices.ContainsFunc(d.out, func(o *deviceOut) bool { return o.id == d.nextID }) {
		d.nextID = d.nextID%10 + 1
	}
	o := &deviceOut{n: d.sent, id: d.nextID, qos: packet.QoS(1 + w.rng.IntN(2))}
	d.qos2[o.n] = o.qos == 2
	d.sent++
	d.out = append(d.out, o)
	d.resend(w, o)
	return nil
}

// done reports whether nothing is left to happen.
func (w *world) done() bool {
	for _, b := range w.down {
		if !b.done {
			return false
		}
	}
	return w.attached && w.dev.sent == worldUp && len(w.dev.out) == 0 && len(w.writes) == 0 && len(w.dev.held) == 0 && w.m != nil && len(w.toServer) == 0 && len(w.toDevice) == 0
}

// verify compares what was promised with what came out.
func (w *world) verify() error {
	times := map[int]int{}
	last := -1
	for _, n := range w.dev.got {
		if times[n]++; times[n] == 1 {
			if n < last {
				return fmt.Errorf("message %d first came after %d: %v", n, last, w.dev.got)
			}
			last = n
		}
	}
	for _, b := range w.down {
		if times[b.n] == 0 || b.qos == 2 && times[b.n] != 1 {
			return fmt.Errorf("message %d of QoS %d came %d times: %v", b.n, b.qos, times[b.n], w.dev.got)
		}
	}
	up := map[string]int{}
	for _, payload := range w.taken {
		up[payload]++
	}
	for n := range worldUp {
		got := up[fmt.Sprint(n)]
		if w.dev.acked[n] && got == 0 {
			return fmt.Errorf("the device was told that the bus has %d; it has not", n)
		}
		if w.dev.qos2[n] && got > 1 {
			return fmt.Errorf("the bus has %d under %d message-ids", n, got)
		}
	}
	if err := w.onceOnTheBus(); err != nil {
		return err
	}
	if err := nothingUnderWay(w.m.State()); err != nil {
		return fmt.Errorf("left behind: %w", err)
	}
	if err := nothingUnderWay(w.stored); err != nil {
		return fmt.Errorf("left in the store: %w", err)
	}
	return nil
}

// nothingUnderWay: all that is left are a window's worth of exchanges that are over.
func nothingUnderWay(s State) error {
	over := 0
	for _, r := range s.Outbound {
		if r.Done {
			over++
		}
	}
	if len(s.Inbound) > 0 || len(s.Outbound) > over || over > int(testConfig().OutboundWindow) {
		return fmt.Errorf("%+v", s)
	}
	return nil
}

func (w *world) run() error {
	for range 1500 {
		if err := w.act(true); err != nil {
			return err
		}
	}
	w.log("healed")
	for range 5000 {
		if w.done() {
			// Exchanges that an earlier connection has settled wait in vain for their message.
			w.now = w.now.Add(testConfig().OrphanTime)
			if err := w.step(DeadlineReached{}); err != nil {
				return err
			}
			w.applyWrites(len(w.writes))
			return w.verify()
		}
		if err := w.act(false); err != nil {
			return err
		}
	}
	return fmt.Errorf("no end in sight: up %d sent, %d open; held %v", w.dev.sent, len(w.dev.out), w.dev.held)
}

// TestModelDevice: whatever is lost, QoS 2 arrives exactly once and QoS 1 at least once, in order, both ways; and in the end nothing is left
// over.
func TestModelDevice(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for seed := range uint64(120) {
			newWorld(seed, v).test(t, seed)
		}
	}
}

// TestModelLostSettlements: a lane that takes settlements down with it makes no QoS 2 message come twice, on whatever connection the bus brings
// it again (verify).
func TestModelLostSettlements(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for seed := range uint64(60) {
			w := newWorld(seed, v)
			w.loseSettlements = true
			w.test(t, seed)
		}
	}
}

func (w *world) test(t *testing.T, seed uint64) {
	t.Helper()
	if err := w.run(); err != nil {
		for _, l := range w.trace[max(0, len(w.trace)-400):] {
			t.Log(l)
		}
		t.Fatalf("version %s, seed %d: %v", w.version, seed, err)
	}
}
