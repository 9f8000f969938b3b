package session

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"sluice/mqtt/packet"
)

type inboxMessage struct {
	n        int
	delivery uint64
	again    bool
	done     bool
}

type member struct {
	w       *groupWorld
	name    string
	version packet.Version

	m                              *Machine
	watch                          *watcher
	asked, open, closing, paused   bool
	sessionLane, groupLane         bool
	credit                         map[string]int
	last                           uint64
	inbox                          []*inboxMessage
	stored                         State
	exists                         bool
	writes                         []Store
	requests                       []Effect
	handing                        []uint64
	toDevice, toServer             []packet.Packet
	wants, member, asking, stalled bool // of the device; stalled: it reads nothing
	online, connected              bool
	held                           map[packet.ID]bool
	got                            []int
	refused                        map[int]bool
	nextID                         packet.ID
}

func (b *member) step(ev Event) error {
	w := b.w
	w.now = w.now.Add(time.Millisecond)
	w.log("%s %s", b.name, formatEvent(ev))
	effects := b.m.Step(w.now, ev, nil)
	for _, e := range effects {
		w.log("\t%s %s", b.name, formatEffect(e, scriptStart))
	}
	if err := b.watch.step(w.now, ev, effects); err != nil {
		return err
	}
	for _, e := range effects {
		if err := b.perform(e); err != nil {
			return err
		}
	}
	return nil
}

func (b *member) perform(e Effect) error {
	switch e := e.(type) {
	case SendPacket:
		b.toDevice = append(b.toDevice, e.Packet)
	case OpenSession:
		b.asked = true
	case Subscribe, Unsubscribe:
		b.requests = append(b.requests, e)
	case Store:
		b.writes = append(b.writes, e)
	case HandOver:
		b.handing = append(b.handing, e.Delivery)
	case Settle:
		return b.settle(e)
	case GrantCredit:
		b.credit[e.Lane] += int(e.N)
	case PauseReading:
		b.paused = true
	case ResumeReading:
		b.paused = false
	case CloseConnection:
		b.closing = true
		return fmt.Errorf("%s closed: 0x%02X %s", b.name, byte(e.Reason), e.Text)
	case Finish:
		b.apply(len(b.writes))
		b.end()
	}
	return nil
}

func (b *member) settle(e Settle) error {
	for _, g := range b.w.queue {
		if g.by != b || g.delivery != e.Delivery {
			continue
		}
		if g.qos == 2 {
			if e.Outcome != SettleReleased {
				return fmt.Errorf("message %d of QoS 2 was settled, and not handed over", g.n)
			}
		} else if e.Outcome == SettleRejected && !b.refused[g.n] {
			return fmt.Errorf("message %d rejected, the device did not: %s", g.n, e.Text)
		}
		g.done = e.Outcome != SettleReleased
		g.by, g.delivery = nil, 0
		return nil
	}
	for _, c := range b.inbox {
		if c.delivery == e.Delivery {
			c.delivery, c.done = 0, true
			if e.Outcome != SettleAccepted {
				return fmt.Errorf("copy of %d was settled with %d: %s", c.n, e.Outcome, e.Text)
			}
			return nil
		}
	}
	return fmt.Errorf("%s has no delivery %d", b.name, e.Delivery)
}

func (b *member) apply(n int) []Store {
	done := b.writes[:n]
	b.writes = b.writes[n:]
	for _, s := range done {
		for _, op := range s.Ops {
			b.stored.apply(op)
		}
	}
	return done
}

func (b *member) detachGroup() {
	b.groupLane, b.credit[groupFilter], b.handing = false, 0, nil
	for _, g := range b.w.queue {
		if g.by == b {
			g.by, g.delivery = nil, 0
		}
	}
}

func (b *member) detachSession() {
	b.sessionLane, b.credit[""] = false, 0
	for _, c := range b.inbox {
		c.delivery = 0
	}
}

// end: the connection is gone, with or without its node.
func (b *member) end() {
	b.detachGroup()
	b.detachSession()
	b.m, b.watch, b.asked, b.open, b.closing, b.paused = nil, nil, false, false, false, false
	b.requests, b.toDevice, b.toServer = nil, nil, nil
	b.online, b.connected, b.asking = false, false, false
}

func (b *member) connect() error {
	cfg := testConfig()
	cfg.KeepAliveMax = 0
	b.m = New(&cfg, Hooks{})
	b.watch = newWatcher(b.m)
	b.online, b.credit = true, map[string]int{}
	if err := b.step(ConnectionOpened{AssignedClientID: "x"}); err != nil {
		return err
	}
	c := &packet.Connect{Version: b.version, ClientID: b.name}
	if b.version == packet.V5 {
		c.Properties.SetSessionExpiry(3600)
		c.Properties.SetReceiveMaximum(3)
	}
	return b.step(PacketReceived{Packet: c})
}

func (b *member) actions() (a []func() error) {
	add := func(on bool, f func() error) {
		if on {
			a = append(a, f)
		}
	}
	subscribed := slices.ContainsFunc(b.stored.Subscriptions, func(s Subscription) bool { return s.Filter == groupFilter })
	add(b.asked, b.openSession)
	add(len(b.toDevice) > 0 && b.online && !b.stalled, b.deviceReads)
	add(len(b.toServer) > 0 && !b.paused, b.serverReads)
	add(b.connected && b.wants != b.member && !b.asking, b.deviceAsks)
	add(b.open && !b.sessionLane && b.online, func() error { b.sessionLane = true; return b.step(LaneAttached{}) })
	add(b.open && !b.groupLane && b.online && subscribed, func() error { b.groupLane = true; return b.step(LaneAttached{Lane: groupFilter}) })
	add(b.groupLane && b.credit[groupFilter] > 0, b.groupDelivers)
	add(b.sessionLane && b.credit[""] > 0, b.inboxDelivers)
	add(len(b.handing) > 0, b.handsOver)
	add(len(b.requests) > 0, b.busAnswers)
	add(len(b.writes) > 0, b.storeAnswers)
	return a
}

func (b *member) openSession() error {
	b.asked = false
	ev := SessionOpened{Present: b.exists, MessageIDPrefix: "e-"}
	if b.exists {
		ev.State = State{slices.Clone(b.stored.Subscriptions), nil, slices.Clone(b.stored.Outbound)}
	}
	b.exists, b.open = true, true
	return b.step(ev)
}

func (b *member) message(n int, qos packet.QoS) *packet.Publish {
	return &packet.Publish{QoS: qos, Topic: "t", Payload: fmt.Append(nil, n)}
}

func (b *member) groupDelivers() error {
	i := slices.IndexFunc(b.w.queue, func(g *groupMessage) bool { return !g.done && g.delivery == 0 })
	if i < 0 {
		return nil
	}
	g := b.w.queue[i]
	b.last++
	g.by, g.delivery = b, b.last
	b.credit[groupFilter]--
	again := g.again
	g.again = true
	return b.step(MessageArrived{Delivery: g.delivery, Lane: groupFilter, Message: Message{Publish: b.message(g.n, g.qos), Identity: fmt.Sprintf("g%d", g.n), Unique: true, Redelivered: again}})
}

func (b *member) inboxDelivers() error {
	i := slices.IndexFunc(b.inbox, func(c *inboxMessage) bool { return !c.done && c.delivery == 0 })
	if i < 0 {
		return nil
	}
	c := b.inbox[i]
	b.last++
	c.delivery = b.last
	b.credit[""]--
	again := c.again
	c.again = true
	return b.step(MessageArrived{Delivery: c.delivery, Message: Message{Publish: b.message(c.n, 2), Identity: fmt.Sprintf("c%d", c.n), Unique: true, Redelivered: again, For: groupFilter}})
}

// handsOver is what a gateway does, which may lose its node or its lane after the copy and before the settlement.
func (b *member) handsOver() error {
	w := b.w
	delivery := b.handing[0]
	b.handing = b.handing[1:]
	g := w.queue[slices.IndexFunc(w.queue, func(g *groupMessage) bool { return g.by == b && g.delivery == delivery })]
	if w.faults && w.rng.IntN(10) == 0 {
		g.by, g.delivery = nil, 0
		return b.step(HandedOver{Delivery: delivery})
	}
	t, taken := w.takers[g.n]
	if !taken {
		t.by = b
	}
	if !t.done {
		t.by.inbox = append(t.by.inbox, &inboxMessage{n: g.n})
	}
	if w.faults && w.rng.IntN(10) == 0 {
		w.log("%s loses its lane between the copy of %d and the settlement", b.name, g.n)
		t.done = w.rng.IntN(2) == 0
		w.takers[g.n] = t
		b.detachGroup()
		return b.step(LaneDetached{Lane: groupFilter})
	}
	t.done = true
	w.takers[g.n] = t
	g.by, g.delivery, g.done = nil, 0, true
	return b.step(HandedOver{Delivery: delivery, OK: true, Elsewhere: taken})
}

func (b *member) busAnswers() error {
	e := b.requests[0]
	b.requests = b.requests[1:]
	if s, ok := e.(Subscribe); ok {
		return b.step(Subscribed{ID: s.ID, Reasons: make([]packet.ReasonCode, len(s.Subscriptions))})
	}
	if b.groupLane {
		b.detachGroup()
		if err := b.step(LaneDetached{Lane: groupFilter}); err != nil {
			return err
		}
	}
	return b.step(Unsubscribed{ID: e.(Unsubscribe).ID})
}

func (b *member) storeAnswers() error {
	s := b.apply(1)[0]
	if s.ID == 0 {
		return nil
	}
	return b.step(Stored{ID: s.ID})
}

func (b *member) serverReads() error {
	p := b.toServer[0]
	b.toServer = b.toServer[1:]
	return b.step(PacketReceived{Packet: p})
}

func (b *member) deviceAsks() error {
	b.asking = true
	b.nextID++
	if b.wants {
		b.toServer = append(b.toServer, &packet.Subscribe{ID: b.nextID, Subscriptions: []packet.Subscription{{Filter: groupFilter, QoS: 2}}})
	} else {
		b.toServer = append(b.toServer, &packet.Unsubscribe{ID: b.nextID, Filters: []string{groupFilter}})
	}
	return nil
}

func (b *member) deviceReads() error {
	p := b.toDevice[0]
	b.toDevice = b.toDevice[1:]
	b.w.log("%s reads %s", b.name, formatPacket(p))
	answer := func(a *packet.Ack) { b.toServer = append(b.toServer, a) }
	switch p := p.(type) {
	case *packet.Connack:
		b.connected, b.member = true, !b.wants // it cannot know whether its last request arrived
	case *packet.Suback:
		b.asking, b.member = false, true
	case *packet.Unsuback:
		b.asking, b.member = false, false
	case *packet.Publish:
		n, err := strconv.Atoi(string(p.Payload))
		if err != nil {
			return fmt.Errorf("a payload that nobody has sent: %w", err)
		}
		if p.QoS == 1 {
			a := &packet.Ack{Kind: packet.PUBACK, ID: p.ID}
			if b.version == packet.V5 && b.w.rng.IntN(20) == 0 {
				a.Reason = packet.ImplementationSpecificError
				b.refused[n] = true
			}
			b.got = append(b.got, n)
			answer(a)
			return nil
		}
		if !b.held[p.ID] {
			b.held[p.ID] = true
			b.got = append(b.got, n)
		}
		answer(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
	case *packet.Ack:
		a := &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}
		if !b.held[p.ID] && b.version == packet.V5 {
			a.Reason = packet.PacketIDNotFound
		}
		delete(b.held, p.ID)
		answer(a)
	}
	return nil
}

// bounded: what a member has taken and not done with does not grow, whatever its device does and however often it comes back. A copy that the
// inbox holds twice counts once.
func (b *member) bounded() error {
	open := map[int]bool{}
	for _, c := range b.inbox {
		if !c.done {
			open[c.n] = true
		}
	}
	if most := 3 * int(testConfig().OutboundWindow); len(open) > most {
		return fmt.Errorf("the inbox of %s holds %d messages, more than %d", b.name, len(open), most)
	}
	return nil
}

// owesCopies: its inbox has something for the session lane to bring, so that nobody may wait for it in vain.
func (b *member) owesCopies() bool {
	return b.m != nil && slices.ContainsFunc(b.inbox, func(c *inboxMessage) bool { return !c.done && c.delivery == 0 }) && (!b.sessionLane || b.credit[""] > 0)
}
