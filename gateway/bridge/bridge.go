package bridge

import (
	"fmt"
	"time"

	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// Bridge joins one device to its links. It is not safe for use by several goroutines.
type Bridge struct {
	cfg     *Config // shared: it is never changed
	machine *session.Machine
	access  Access // nil: everything is allowed
	from    mapping.Provenance
	self    mapping.Publisher // as our own messages come back

	uplink uplink
	meter  meter
	lanes  lanes
	shared shared
	// held are the unsettled messages of the session lane, by tag: no more than it has credit for.
	held     map[uint64]heldDelivery
	refusals refusals
	failures failures

	finished bool // Finish was given: nothing may come after it

	machineDeadline time.Time // what the machine asked for last
	toldDeadline    time.Time // what the shell was told last

	queue   []session.Event  // events for the machine that came up while its effects were being carried out
	scratch []session.Effect // reused between steps
	route   *mapping.Route   // reused between messages; nil until a rule is looked for
}

// New returns a bridge that has seen no event. The configuration may be that of any number of bridges; it must not change any more. Trace ids are made from the
// seed, which is random, another one for each connection.
func New(cfg *Config, seed [16]byte) *Bridge {
	b := &Bridge{cfg: cfg, failures: failures{traces: failure.NewTraces(seed)}}
	b.machine = session.New(&cfg.Session, session.Hooks{Explain: b.explain, Access: hearing{b}, MoreSubscriptions: b.moreSubscriptions})
	return b
}

// Machine gives the session machine, for its read-only accessors.
func (b *Bridge) Machine() *session.Machine { return b.machine }

// Step takes one event and appends the effects it has to out.
func (b *Bridge) Step(now time.Time, ev Event, out []Effect) []Effect {
	b.failures.now = now
	switch ev := ev.(type) {
	case Opened:
		out = b.opened(now, ev, out)
	case OutcomeArrived:
		out = b.outcomeArrived(now, ev, out)
	case DeliveryArrived:
		out = b.deliveryArrived(now, ev, out)
	case RetainedStored:
		out = b.retainedStored(ev, out)
	case Refused:
		out = b.refused(out)
	case HandedOver:
		out = b.handedOver(ev, out)
	case FanoutArrived:
		out = b.fanoutArrived(now, ev, out)
	case LanesChanged:
		out = b.lanesChanged(now, ev, out)
	case AccessChanged:
		b.tell(session.AccessChanged{})
	case LanesFailed:
		b.lanesFailed(ev.Result)
	case session.DeadlineReached:
		// The machine asks anew for what it still waits for.
		b.machineDeadline, b.toldDeadline = time.Time{}, time.Time{}
		out = b.retryDue(now, out)
		b.lanes.moves.trim(now)
		b.tell(ev)
	case session.ConnectionLost:
		b.uplink.forget()
		b.tell(ev)
	case session.LaneDetached:
		delete(b.refusals.withheld, ev.Lane)
		if ev.Lane != "" {
			b.shared.detached(ev.Lane)
		} else {
			clear(b.held)
		}
		b.tell(ev)
	case session.Event:
		b.tell(ev)
	default:
		panic(fmt.Sprintf("bridge: unknown event %T", ev))
	}
	out = b.drain(now, out)
	if b.machine.TakenOver() {
		out = b.drain(now, b.abandon(out))
	}
	b.settleQuota()
	return b.deadline(out)
}

func (b *Bridge) tell(ev session.Event) { b.queue = append(b.queue, ev) }

// drain runs the machine over the queued events. Its effects may queue more (a refusal that is known at once, say), which come after.
func (b *Bridge) drain(now time.Time, out []Effect) []Effect {
	for i := 0; i < len(b.queue); i++ {
		effects := b.machine.Step(now, b.queue[i], b.scratch[:0])
		for _, f := range b.failures.pending {
			out = append(out, f) // before what ends the connection
		}
		b.failures.pending = b.failures.pending[:0]
		for j, e := range effects {
			out = b.translate(now, e, out)
			effects[j] = nil
		}
		b.scratch = effects
	}
	clear(b.queue)
	b.queue = b.queue[:0]
	return out
}

func (b *Bridge) translate(now time.Time, e session.Effect, out []Effect) []Effect {
	switch e := e.(type) {
	case session.Publish:
		return b.publish(now, e, out)
	case session.Settle:
		return b.settle(now, e, out)
	case session.GrantCredit:
		return b.grant(e, out)
	case session.HandOver:
		return b.handOver(e, out)
	case session.Subscribe:
		return b.subscribe(e, out)
	case session.Unsubscribe:
		return b.unsubscribe(e, out)
	case session.SendPacket:
		if _, suback := e.Packet.(*packet.Suback); suback {
			return b.lanes.subackSent(append(out, e))
		}
	case session.SetDeadline:
		b.machineDeadline = e.At
		return out
	case session.Finish:
		b.finished = true
		return append(out, Finish{Opened: e.Opened, End: e.End, KeepWill: e.Will != nil})
	}
	return append(out, e)
}

func (b *Bridge) opened(now time.Time, ev Opened, out []Effect) []Effect {
	b.from, b.access = ev.Provenance, ev.Access
	b.self = ev.Publisher
	b.meter.quota = ev.Quota
	b.refusals.begin(ev.MessageIDPrefix)
	b.tell(session.SessionOpened{Present: ev.Present, AssignedClientID: ev.ClientID, State: ev.State, MessageIDPrefix: ev.MessageIDPrefix, Limits: ev.Limits})
	out = b.drain(now, out)
	if b.finished {
		// The device went away meanwhile. A lane attached now would have nobody to close it, and would keep the session's inbox from its next
		// connection.
		return out
	}
	if !ev.Present {
		return out
	}
	for _, s := range ev.State.Subscriptions {
		b.failures.subscription(s.Filter, s.QoS)
	}
	if b.access != nil {
		b.tell(session.AccessChanged{}) // since it was there before
	}
	return b.lanes.resume(ev.State, out)
}

// deadline tells the shell the earliest of the machine's deadline and our own, when it has changed.
func (b *Bridge) deadline(out []Effect) []Effect {
	at := b.machineDeadline
	for _, ours := range []time.Time{b.uplink.retryAt, b.lanes.moves.due()} {
		if !ours.IsZero() && (at.IsZero() || ours.Before(at)) {
			at = ours
		}
	}
	if b.finished || at.Equal(b.toldDeadline) {
		return out
	}
	b.toldDeadline = at
	return append(out, session.SetDeadline{At: at})
}
