package sim

import (
	"fmt"
	"time"

	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/gateway/records"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// shell is one connection of a device at its node: gateway/device.go and effects.go without goroutines. It decides nothing.
type shell struct {
	n      *node
	w      *world
	conn   *conn
	bridge *bridge.Bridge
	scope  scope // ends with the connection, and with it what it asked of the bus

	inbox    []bridge.Event
	running  bool
	paused   bool
	ahead    int // packets that the reader had already when reading was paused
	finished bool
	closing  bool
	rx       []packet.Packet // arrived and not read; nil is the end of the stream

	key   sessionstore.Key
	fence sessionstore.Fence
	// incarnation is the session's.
	incarnation uint64
	epoch       uint64 // ours; zero before the claim
	lostEpoch   uint64 // the newest another connection is known to have
	lane        *sessionLane
	shared      []*sharedLane
	ops         opQueue
	feeds       opQueue  // retained messages for new QoS 0 subscriptions
	copies      uint64   // of retained messages, counted for their message-ids
	filters     []string // on the node lane
	will        string   // key of the Will

	deadline, armed time.Time
	timer           *event

	whenQuiet []func()

	watch shellWatch // the oracle's
}

var (
	takenOver = bridge.CloseFor(failure.SessionTaken)
	goingDown = withoutWill(bridge.CloseFor(failure.ShuttingDown))
	swept     = withoutWill(bridge.CloseFor(failure.NodeFenced))
	storeGone = bridge.CloseFor(failure.StoreUnavailable)
)

func withoutWill(c session.CloseRequested) session.CloseRequested {
	c.NoWill = true
	return c
}

// scope is what context.Context is to the gateway.
type scope struct {
	ended bool
	then  []func()
}

func (s *scope) end() {
	s.ended = true
	then := s.then
	s.then = nil
	for _, f := range then {
		f()
	}
}

func newShell(n *node, c *conn) *shell {
	sh := &shell{n: n, w: n.w, conn: c, bridge: bridge.New(bridgeConfig(), [16]byte{})}
	n.shells = append(n.shells, sh)
	return sh
}

// post hands an event to the bridge. It may be called from the handling of an effect.
func (sh *shell) post(ev bridge.Event) {
	if sh.finished {
		return
	}
	sh.inbox = append(sh.inbox, ev)
	if sh.running {
		return
	}
	sh.running = true
	for len(sh.inbox) > 0 && !sh.finished && sh.w.stopped == nil {
		ev := sh.inbox[0]
		sh.inbox = sh.inbox[1:]
		sh.handle(ev)
	}
	sh.running = false
	sh.read()
}

func (sh *shell) handle(ev bridge.Event) {
	switch e := ev.(type) {
	case claimed:
		sh.fence, sh.incarnation, sh.lane = e.fence, e.incarnation, e.lane
		sh.leaveOrphaned(e.groups, e.opened.State)
		ev = e.opened
	case timerFired:
		if !sh.deadlineDue() {
			return
		}
		ev = session.DeadlineReached{}
	}
	for _, e := range sh.bridge.Step(sh.w.now, ev, nil) {
		sh.perform(e)
	}
	if err := sh.bridge.Machine().Check(); err != nil {
		sh.w.fail("P5: %s on %s: %v", sh.conn.d.id, sh.n.id, err)
	}
}

func (sh *shell) perform(e bridge.Effect) {
	switch e := e.(type) {
	case session.SendPacket:
		if ready, ok := e.Packet.(*packet.Prepared); ok {
			e.Packet = ready.Publish()
		}
		sh.w.oracle.sends(sh, e.Packet)
		sh.conn.toDevice(e.Packet)
	case session.OpenSession:
		sh.n.after(sh.w.between(0, time.Millisecond), func() { sh.open(e) })
	case bridge.SendMessage:
		token := e.Token
		sh.n.bus.publish(e.Message, e.Settled, func(o message.Outcome) {
			sh.w.oracle.outcome(e.Message, o)
			sh.post(bridge.OutcomeArrived{Token: token, Outcome: o})
		})
	case session.Store:
		sh.store(e)
	case session.Recall:
		sh.recall()
	case bridge.SettleDelivery:
		if r := sh.receiver(e.Lane); r != nil {
			r.settle(e.Tag, e.Outcome)
		}
	case session.GrantCredit:
		if r := sh.receiver(e.Lane); r != nil {
			r.issueCredit(int(e.N))
		}
	case bridge.HandOver:
		sh.handOver(e)
	case bridge.StoreRetained:
		sh.storeRetained(e)
	case bridge.SendRetained:
		sh.feeds.add(func(done func()) { sh.sendRetained(e.Filters, done) })
	case bridge.ChangeLanes:
		sh.ops.add(func(done func()) { sh.changeLanes(e, done) })
	case bridge.ResumeLanes:
		sh.resumeLanes(e)
	case session.SetDeadline:
		sh.setDeadline(e.At)
	case session.PauseReading:
		sh.paused, sh.ahead = true, sh.w.rng.IntN(readAhead+1)
	case session.ResumeReading:
		sh.paused = false
	case session.CloseConnection:
		sh.w.log("close   %s %s: 0x%02X %s", sh.n.id, sh.conn.d.id, byte(e.Reason), e.Text)
		sh.paused, sh.closing = false, true
		sh.conn.closeByNode()
	case bridge.Finish:
		sh.finish(e)
	case bridge.Report, bridge.Failed:
	default:
		panic(fmt.Sprintf("sim: unknown effect %T", e))
	}
}

func (sh *shell) store(e session.Store) {
	id := e.ID
	sh.n.store.write(sh.fence, records.Ops(e.Ops), func(err error) {
		result := records.Result(err)
		if result == session.StoreFenced {
			sh.watch.fenced = true
			sh.w.oracle.marks.fenced++
		}
		switch {
		case id != 0:
			sh.post(session.Stored{ID: id, Err: result})
		case result == session.StoreFenced:
			sh.post(takenOver)
		case result == session.StoreUnavailable:
			sh.post(storeGone)
		}
	})
}

func (sh *shell) recall() {
	sh.n.store.get(sh.key, recallWait, func(s sessionstore.Session, _ error) {
		sh.post(session.Recalled{Inbound: records.State(&s).Inbound})
	})
}

// receive takes what came from the device: a packet, or nil for the end of the stream.
func (sh *shell) receive(p packet.Packet) {
	sh.rx = append(sh.rx, p)
	sh.read()
}

func (sh *shell) read() {
	for len(sh.rx) > 0 && !sh.running && !sh.finished && (!sh.paused || sh.ahead > 0) {
		if sh.paused {
			sh.ahead--
		}
		p := sh.rx[0]
		sh.rx = sh.rx[1:]
		sh.reads(p)
		if p == nil {
			sh.post(session.ConnectionLost{})
			return
		}
		sh.post(session.PacketReceived{Packet: p})
	}
}

// setDeadline keeps one timer, as gateway/effects.go does.
func (sh *shell) setDeadline(at time.Time) {
	sh.deadline = at
	if at.IsZero() || !sh.armed.IsZero() && !at.Before(sh.armed) {
		return
	}
	sh.arm()
}

type timerFired struct{}

func (sh *shell) arm() {
	sh.armed = sh.deadline
	sh.timer.cancel()
	sh.timer = sh.n.after(sh.armed.Sub(sh.w.now), func() { sh.post(timerFired{}) })
}

func (sh *shell) deadlineDue() bool {
	sh.armed = time.Time{}
	if sh.deadline.IsZero() {
		return false
	}
	if sh.w.now.Before(sh.deadline) {
		sh.arm()
		return false
	}
	sh.deadline = time.Time{}
	return true
}

// lost tells the device that a connection with a higher epoch owns its session.
func (sh *shell) lost(epoch uint64) {
	sh.lostEpoch = max(sh.lostEpoch, epoch)
	if sh.epoch != 0 && sh.lostEpoch > sh.epoch {
		sh.post(takenOver)
	}
}
