package embedded

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// Faults are switches with which a test makes the broker misbehave. They act on messages, links and connections that come after
// the call, unless said otherwise, and may be called from any goroutine.
type Faults struct {
	broker *Broker

	mu      sync.Mutex
	answers []*Answer
	decide  func(Arrival) *Answer
	held    []heldOutcome // under a gate or for ever
	timers  map[*time.Timer]struct{}
	stall   bool
	windows bool
	refuse  bool
	pause   bool
	closed  bool
}

// Answer changes what publishers are told.
type Answer struct {
	// Address is a prefix of the address a message was sent to (properties.to or the link's target); empty fits all.
	Address string
	// Count is how many messages it holds for; zero: until Clear.
	Count int
	// Outcome replaces the true one, and the message is not routed. The zero Outcome leaves both alone.
	Outcome message.Outcome
	// Delay answers that much later, Gated not until OpenGate, Never not at all. The message itself is routed at once.
	Delay time.Duration
	Gated bool
	Never bool
	// Stray sends a delayed outcome also when its link has ended meanwhile, as long as the session stands: the peer has to know that it means nothing.
	Stray bool
	// Loss is what ends behind the message, and behind its outcome unless that is withheld.
	Loss Loss
}

// Loss is what Answer ends.
type Loss uint8

// The losses.
const (
	LoseNothing    Loss = iota
	LoseLink            // the link is detached, with an error
	LoseSession         // its session is ended, with an error
	LoseConnection      // the connection is closed, with an error
	LoseTransport       // the transport is cut without a word
)

// Arrival is a message that a publisher has sent.
type Arrival struct {
	Address string // as Answer.Address
	Message []byte // as it came, encoded; only for the time of the call
}

// heldOutcome is an answer that waits.
type heldOutcome struct {
	conn     *connection
	link     *endpoint.Link
	delivery uint32
	state    frame.DeliveryState
	stray    bool
}

func newFaults(b *Broker) *Faults {
	return &Faults{broker: b, timers: make(map[*time.Timer]struct{})}
}

// Answer adds a rule. The first rule that fits a message counts.
func (f *Faults) Answer(a Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Count == 0 {
		a.Count = -1
	}
	f.answers = append(f.answers, &a)
}

// Decide asks for an answer to each message that no rule of Answer fits; nil asks no more. A nil Answer leaves the message alone. The function may
// not block, nor call the Faults.
func (f *Faults) Decide(answer func(Arrival) *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decide = answer
}

// next finds the answer for a message, nil for none.
func (f *Faults) next(address string, message []byte) *Answer {
	a, decide := f.rule(address)
	if a == nil && decide != nil {
		return decide(Arrival{Address: address, Message: message})
	}
	return a
}

// rule finds the rule for a message, nil for none, and counts it down.
func (f *Faults) rule(address string) (*Answer, func(Arrival) *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.answers {
		if !strings.HasPrefix(address, a.Address) {
			continue
		}
		if a.Count > 0 {
			if a.Count--; a.Count == 0 {
				f.answers = slices.Delete(f.answers, i, i+1)
			}
		}
		return a, f.decide
	}
	return nil, f.decide
}

func (a *Answer) replaces() bool  { return a != nil && a.Outcome.Kind != 0 }
func (a *Answer) withholds() bool { return a != nil && (a.Never || a.Gated || a.Delay > 0) }

func (a *Answer) state() frame.DeliveryState {
	switch a.Outcome.Kind {
	case message.Rejected:
		return &frame.Rejected{Error: amqpError(a.Outcome.Error)}
	case message.Released:
		return &frame.Released{}
	case message.Modified:
		return &frame.Modified{DeliveryFailed: a.Outcome.DeliveryFailed, UndeliverableHere: a.Outcome.UndeliverableHere}
	}
	return &frame.Accepted{}
}

// hold keeps an answer back. Beyond maxHeld it is given at once: a test that needs more would not learn more.
func (f *Faults) hold(a *Answer, o heldOutcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case a.Never || f.closed:
	case a.Gated:
		if len(f.held) < maxHeld {
			f.held = append(f.held, o)
		}
	default:
		var timer *time.Timer
		timer = time.AfterFunc(a.Delay, func() {
			f.mu.Lock()
			delete(f.timers, timer)
			f.mu.Unlock()
			o.give()
		})
		f.timers[timer] = struct{}{}
	}
}

// give answers after all. A link that has gone meanwhile ignores it.
func (o heldOutcome) give() {
	o.conn.mu.Lock()
	defer o.conn.mu.Unlock()
	if o.conn.over {
		return
	}
	if o.stray && !o.link.Attached() {
		o.conn.engine.SettleStray(o.link, o.delivery, o.state)
	} else {
		o.conn.settle(o.link, o.delivery, o.state)
	}
	o.conn.process()
	o.conn.signal()
}

// OpenGate gives the outcomes that Gated rules hold, in order, and tells how many they were. The rules stay.
func (f *Faults) OpenGate() int {
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	for _, o := range held {
		o.give()
	}
	return len(held)
}

// StallPublishers takes the credit of all publishers away, present and future, or gives it back. What is on its way is still taken.
func (f *Faults) StallPublishers(on bool) {
	f.set(&f.stall, on)
	for _, c := range f.broker.connections() {
		c.applyStall()
	}
}

// HoldWindows sets the incoming window of all sessions to zero, as RabbitMQ does during an alarm, or opens it again.
func (f *Faults) HoldWindows(on bool) {
	f.set(&f.windows, on)
	f.each(func(c *connection) { c.engine.HoldWindows(on) })
}

// PauseDelivery stops handing messages to consumers, or goes on.
func (f *Faults) PauseDelivery(on bool) {
	f.set(&f.pause, on)
	f.each(func(*connection) {})
}

// RefuseConnections closes new connections as soon as they are accepted, or takes them again.
func (f *Faults) RefuseConnections(on bool) { f.set(&f.refuse, on) }

// DetachPublishers ends all links on which clients publish, with an error, and tells how many.
func (f *Faults) DetachPublishers(e *message.Error) int {
	return f.detach(e, func(l *endpoint.Link) bool { _, ok := l.Owner.(*publisher); return ok })
}

// DetachConsumers ends all links on which clients consume, with an error, and tells how many.
func (f *Faults) DetachConsumers(e *message.Error) int {
	return f.detach(e, func(l *endpoint.Link) bool { _, ok := l.Owner.(*subscription); return ok })
}

func (f *Faults) detach(e *message.Error, which func(*endpoint.Link) bool) int {
	n := 0
	f.each(func(c *connection) {
		for _, link := range slices.Collect(maps.Keys(c.links)) {
			if which(link) {
				c.engine.DetachLink(link, amqpError(e))
				n++
			}
		}
	})
	return n
}

// EndSessions ends all sessions with an error and tells how many.
func (f *Faults) EndSessions(e *message.Error) int {
	n := 0
	f.each(func(c *connection) {
		for _, s := range c.engine.Sessions() {
			s.End(amqpError(e))
			n++
		}
	})
	return n
}

// CloseConnections closes all connections by the protocol, with an error, and tells how many.
func (f *Faults) CloseConnections(e *message.Error) int {
	n := 0
	f.each(func(c *connection) {
		c.engine.Close(amqpError(e))
		n++
	})
	return n
}

// Cut closes the transport of all connections without a word and tells how many.
func (f *Faults) Cut() int {
	all := f.broker.connections()
	for _, c := range all {
		c.closeNow()
	}
	return len(all)
}

// Clear turns all switches off, forgets all rules, and gives the outcomes behind the gate.
func (f *Faults) Clear() {
	f.mu.Lock()
	f.answers, f.decide = nil, nil
	f.refuse = false
	f.mu.Unlock()
	f.OpenGate()
	f.StallPublishers(false)
	f.HoldWindows(false)
	f.PauseDelivery(false)
}

// each runs do on each live connection, under its mutex.
func (f *Faults) each(do func(*connection)) {
	for _, c := range f.broker.connections() {
		c.mu.Lock()
		if !c.over {
			do(c)
			c.process()
		}
		c.mu.Unlock()
		c.signal()
	}
}

func (f *Faults) set(flag *bool, on bool) {
	f.mu.Lock()
	*flag = on
	f.mu.Unlock()
}

func (f *Faults) get(flag *bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *flag
}

func (f *Faults) stalls() bool         { return f.get(&f.stall) }
func (f *Faults) holdsWindows() bool   { return f.get(&f.windows) }
func (f *Faults) refuses() bool        { return f.get(&f.refuse) }
func (f *Faults) pausesDelivery() bool { return f.get(&f.pause) }

// close stops the timers and drops what is held.
func (f *Faults) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.held, f.answers, f.decide = true, nil, nil, nil
	for timer := range f.timers {
		timer.Stop()
	}
}
