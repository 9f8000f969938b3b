package gateway

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/gateway/quota"
	"sluice/gateway/secure"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/mqtt/transport"
	"sluice/sessionstore"
)

// device is the shell around the bridge of one connection. It decides nothing.
//
// Events come from the connection's reader, the bus, the store and the timer, each on a goroutine of its own. Whoever posts an event to an
// idle device handles it, and all that come meanwhile, on the spot: one goroutine at a time, in order, and none for a device with nothing to do
// besides its reader (reading.go).
type device struct {
	gw       *Gateway
	conn     net.Conn
	writer   *transport.Writer
	listener *Listener
	holds    func() error // see arrival
	// certificate is whom the device's certificate names; nil without one.
	certificate *secure.Identity
	// principal is who the device is, never nil; set before the session is claimed, and again by a re-authentication.
	principal atomic.Pointer[access.Principal]
	reading   reading

	// life ends with the device; operations on the bus end with it.
	life lifetime
	// quiet is closed when no event is handled any more: what there is to record of the session is with the store, on its way at least.
	quiet chan struct{}
	// done is closed when nothing of the device is under way any more and its session is released.
	done chan struct{}

	mu        sync.Mutex
	wake      sync.Cond // for the reader
	inbox     []bridge.Event
	running   bool
	paused    bool // the machine said PauseReading
	finished  bool
	lostEpoch uint64             // the newest epoch another connection is known to have
	owned     sessionstore.Fence // ours; epoch zero before the claim
	place     *quota.Connection  // nil before the claim

	// boundFor is how long the client identifier is bound without another word; not changed once the session is claimed. Zero: it is not bound.
	boundFor time.Duration

	// renewed is when the device authenticated again last; only the exchange under way touches it.
	renewed time.Time

	// Only the goroutine that handles events touches these.
	bridge   *bridge.Bridge
	closed   bool // CloseConnection was said: why the connection ends is counted
	expired  bool // the principal has, and the connection is being closed for it
	effects  []bridge.Effect
	gathered int // packets that the writer was given to be sent together
	spare    []bridge.Event
	timer    *time.Timer
	deadline time.Time
	armed    time.Time
	fence    sessionstore.Fence // epoch zero before the claim
	// incarnation is the session's; retained numbers the copies of retained messages that this connection asked for.
	incarnation uint64
	retained    uint64
	lanes       lanes
	laneOps     opQueue
	feeds       opQueue // retained messages for new QoS 0 subscriptions
	refusals    sync.WaitGroup
	tally       *tally // nil before the claim
	records     recordBox
	shard       uint32 // one device, one link: its order is kept

	nodeFilters filterSet // what the node lane brings this device
	fanned      uint64    // which messages of the batch that fanout gathers are for this device; fanout.mu guards it
}

func newDevice(gw *Gateway, a arrival, l *Listener) *device {
	d := &device{
		gw:       gw,
		conn:     a.Conn,
		listener: l,
		holds:    a.holds,

		bridge: bridge.New(l.bridge, traceSeed()),
		quiet:  make(chan struct{}),
		done:   make(chan struct{}),
	}
	if certificate := a.identity; certificate.Name != "" {
		d.certificate = &certificate
	}
	d.principal.Store(nobody)
	d.wake.L = &d.mu
	d.records.d = d
	d.writer = transport.NewWriter(a.Conn, gw.opt.WriteTimeout, writeLow, d)
	return d
}

// log is for a line about the device, which it names as far as it is known before CONNECT. It is made for each line, since most devices never have one.
func (d *device) log() *zap.Logger {
	fields := []zap.Field{zap.Stringer("remote", d.conn.RemoteAddr())}
	if d.certificate != nil {
		fields = append(fields, zap.String("certificate", d.certificate.Name))
	}
	return d.gw.log.WithLazy(fields...)
}

// within gives a context that ends with the device, or after limit.
func (d *device) within(limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, leave := d.life.enter(d.gw.ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	return ctx, func() {
		cancel()
		leave()
	}
}

// ended reports whether the device is over, or the gateway: what fails then says nothing.
func (d *device) ended() bool { return d.life.ended() || d.gw.ctx.Err() != nil }

// writerDrained is an event of the shell alone: credit that was held back can be given.
type writerDrained struct{}

// post hands an event to the device. It may be called from any goroutine, and from the handling of an effect.
func (d *device) post(ev bridge.Event) {
	d.mu.Lock()
	if d.finished {
		d.mu.Unlock()
		return
	}
	d.enqueue(ev, false)
}

// enqueue has an event handled, unless a goroutine is at it already: by the caller, or aside. d.mu is held and is let go.
func (d *device) enqueue(ev bridge.Event, aside bool) {
	d.inbox = append(d.inbox, ev)
	if d.running {
		d.mu.Unlock()
		return
	}
	d.running = true
	d.mu.Unlock()
	if aside {
		go d.run()
		return
	}
	d.run()
}

// run handles events until there are none.
func (d *device) run() {
	defer d.recovered()
	for handled := 0; ; {
		d.mu.Lock()
		if len(d.inbox) == 0 || d.finished {
			d.running = false
			d.wake.Broadcast()
			d.mu.Unlock()
			return
		}
		if handled >= turnEvents {
			d.mu.Unlock()
			go d.run()
			return
		}
		batch := d.inbox
		d.inbox = d.spare[:0]
		d.mu.Unlock()
		for i, ev := range batch {
			batch[i] = nil
			d.handle(ev)
		}
		handled += len(batch)
		d.spare = batch[:0]
	}
}

func (d *device) handle(ev bridge.Event) {
	now := time.Now()
	switch e := ev.(type) {
	case claimed:
		d.fence, d.incarnation, d.shard = e.fence, e.incarnation, shardOf(e.fence.Key)
		d.tally = d.gw.tallies.enter(accountOf(e.fence.Key))
		d.reading.packetMax.Store(int32(e.opened.Limits.MaximumPacketSize))
		d.leaveOrphaned(e.groups, e.opened.State)
		d.lanes.claim(newSessionLane(d, inboxOf(e.fence.Key, e.incarnation), e.inboxMade))
		ev = e.opened
		d.schedule() // the principal may expire
	case authenticated:
		d.schedule()
		ev = session.AuthSucceeded{}
	case writerDrained:
		for _, l := range d.lanes.all() {
			l.grantHeld()
		}
		return
	case timerFired:
		if ev = d.timeIsUp(now); ev == nil {
			return
		}
	}
	effects := d.bridge.Step(now, ev, d.effects[:0])
	for i, e := range effects {
		effects[i] = nil
		d.perform(e)
	}
	d.effects = effects[:0]
	d.sendGathered()
}

// recovered keeps a broken invariant of one device from ending the node: that device is closed and counted.
func (d *device) recovered() {
	cause := recover()
	if cause == nil {
		return
	}
	d.gw.metrics.devicePanics.Inc()
	o := occurred(failure.Internal, fmt.Sprint(cause))
	d.log().Error("a bug: the device's state machine failed; its connection is closed", zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))
	d.gw.failed(d.log(), d.key(), o)
	d.ends(o.Code().String())
	m := d.bridge.Machine()
	if p := m.LastWords(o.Code(), session.Explanation{Text: o.Message(), User: o.Properties()}); p != nil {
		_ = d.writer.Append(p, m.Version())
	}
	if d.bridge.KeepsRecords() {
		d.records.keep(o)
	}
	d.setPaused(false)
	d.finish(bridge.Finish{Opened: d.fence.Epoch != 0, KeepWill: true})
}

// lost tells the device that a connection with a higher epoch owns its session.
func (d *device) lost(epoch uint64) {
	d.mu.Lock()
	d.lostEpoch = max(d.lostEpoch, epoch)
	taken := d.owned.Epoch != 0 && d.lostEpoch > d.owned.Epoch
	d.mu.Unlock()
	if taken {
		d.post(takenOver)
	}
}

// owns gives the fence of a session that the device believes to own.
func (d *device) owns() (f sessionstore.Fence, owns bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owned, d.owned.Epoch != 0 && !d.finished
}

// takenOver ends a connection whose session another one has.
var takenOver = bridge.CloseFor(failure.SessionTaken)
