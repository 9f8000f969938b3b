package bridge

import (
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// uplink is the ledger of what the device published and the bus has not finally answered, in the order it was published. Its length is
// bounded by the machine's windows.
//
// A transient outcome begins a hold: nothing new is sent, and one message at a time, the oldest that waits, is tried again after a
// growing pause: the probe. Its success ends the hold and sends the others, in order. Outcomes of messages sent before the hold began
// are taken as they come.
type uplink struct {
	entries   []*upEntry
	holding   bool
	holdSince time.Time
	probe     uint64 // token of the attempt under way, zero when none is
	backoff   time.Duration
	retryAt   time.Time // zero: no attempt is due
	retaining int       // entries that are to be retained before they are answered
	freed     int       // entries that have left since the quota was told
}

type upEntry struct {
	token     uint64
	topic     string
	qos       packet.QoS
	id        packet.ID
	sent      bool // the bus has it and has not answered
	storing   bool // it is on its way to being retained
	message   *message.Message
	rule      mapping.OutcomeRule // what outcomes mean for the mapping rule that made the message
	heldSince time.Time           // when it first met a transient outcome itself
	match     rules.Match
	span      *Span  // nil: none is to be told
	counted   bool   // by the quota
	text      string // for the device, in place of the failure's sentence; may be empty
	formerly  bool   // see Denial

	// A message that the bus has refused, and that goes to the quarantine: message is its copy.
	refused *mapping.Answer // what the device is told should the quarantine refuse it too
	refusal *mapping.Refusal

	// A message to be retained.
	retain   *packet.Publish // nil: it is not
	received time.Time
	answer   *session.PublishAnswered // the bus has taken it: this follows once it is stored
}

// retained reports whether the answer waits until the message is retained.
func (e *upEntry) retained() bool { return e.retain != nil && e.qos > 0 }

// waits reports whether the bus is to get the message yet.
func (e *upEntry) waits() bool { return !e.sent && e.answer == nil }

func (u *uplink) find(token uint64) int {
	for i, e := range u.entries {
		if e.token == token {
			return i
		}
	}
	return -1
}

func (u *uplink) remove(i int) {
	u.gone(u.entries[i])
	copy(u.entries[i:], u.entries[i+1:])
	u.entries[len(u.entries)-1] = nil
	u.entries = u.entries[:len(u.entries)-1]
}

// gone counts an entry that leaves.
func (u *uplink) gone(e *upEntry) {
	if e.retained() {
		u.retaining--
	}
	if e.counted {
		u.freed++
	}
}

// forget drops what was not sent, once the device is gone: at QoS 1 it will send it again, and it has not been told anything. QoS 2
// stays, since its record waits for the outcome.
func (u *uplink) forget() {
	kept := u.entries[:0]
	for _, e := range u.entries {
		if e.sent || e.answer != nil || e.qos == 2 {
			kept = append(kept, e)
		} else {
			u.gone(e)
		}
	}
	clear(u.entries[len(kept):])
	u.entries = kept
}

// abandon drops what the bus has not got, or may not have, once another connection owns the session: that one sends it now, and whoever sends beside
// it makes duplicates. What the bus has not answered yet is still told when it does (session.AcceptInbound).
func (b *Bridge) abandon(out []Effect) []Effect {
	u := &b.uplink
	for i := len(u.entries) - 1; i >= 0; i-- {
		e := u.entries[i]
		switch {
		case !e.waits():
		case e.qos == 0:
			out = b.drop(i, "another connection took the session over", out)
		default:
			u.remove(i)
			b.tell(session.PublishAbandoned{Token: e.token})
		}
	}
	u.holding, u.probe, u.retryAt = false, 0, time.Time{}
	return out
}

func (b *Bridge) publish(now time.Time, e session.Publish, out []Effect) []Effect {
	// What is denied costs what any message costs: else a device could have refusals at any rate.
	counted, refused, out := b.charge(now, e, out)
	if refused {
		return out
	}
	if why := b.denied(e.Packet); why.failure != nil {
		if counted {
			b.meter.quota.Answered(1) // it does not get under way; at once, for the next one may be in the same step
		}
		return b.refuseUnsent(now, e, why, out)
	}
	in := mapping.UplinkMessage{
		Dialect:           b.cfg.Dialect,
		Publish:           e.Packet,
		From:              b.from,
		MessageID:         e.MessageID,
		Received:          now,
		PossibleDuplicate: e.Duplicate,
	}
	var rule rules.Match
	in.Route, rule = b.routeOf(e.Packet)
	m, losses := mapping.Uplink(in)
	for _, l := range losses {
		out = append(out, Report{Kind: PublishLoss, Topic: e.Packet.Topic, QoS: e.Packet.QoS, Detail: l.String()})
	}
	entry := &upEntry{token: e.Token, topic: e.Packet.Topic, qos: e.Packet.QoS, message: m, rule: rule.Outcome, id: e.Packet.ID, match: rule,
		span: b.producerSpan(now, e.Packet, m), counted: counted}
	if e.Packet.Retain {
		entry.retain, entry.received = e.Packet, now
	}
	u := &b.uplink
	if entry.retained() {
		u.retaining++
	}
	u.entries = append(u.entries, entry)
	if !u.holding {
		return b.send(entry, out)
	}
	if entry.qos == 0 && now.Sub(u.holdSince) >= b.cfg.QoS0Hold {
		return b.drop(len(u.entries)-1, "the bus takes nothing at the moment", out)
	}
	return out
}

// unsent is why a message is refused that the bus does not get to see.
type unsent struct {
	failure *failure.Failure
	text    string // for the device; empty: the row's sentence
	detail  string // for the operator
	rule    string // that denies it; empty: the mapping rule is named
	// formerly: see Denial.
	formerly bool
}

// denied says why the device may not publish this; the failure is nil when it may.
func (b *Bridge) denied(p *packet.Publish) unsent {
	if session.OwnTopic(p.Topic) {
		return unsent{failure: failure.TopicReserved}
	}
	if b.access == nil {
		return unsent{}
	}
	d := b.access.Publish(p.Topic, p.QoS, p.Retain)
	return unsent{failure: d.Failure, detail: d.Detail, rule: d.Rule, formerly: d.Formerly}
}

// refuseUnsent refuses a message that does not reach the bus, nor the quarantine: that is for what the bus refuses. What a device of MQTT 3.1.1 sees follows
// on_error all the same.
func (b *Bridge) refuseUnsent(now time.Time, e session.Publish, why unsent, out []Effect) []Effect {
	m, _ := mapping.Uplink(mapping.UplinkMessage{Dialect: b.cfg.Dialect, Publish: e.Packet, From: b.from, MessageID: e.MessageID, Received: now})
	_, rule := b.routeOf(e.Packet)
	if why.rule != "" {
		rule.Name = why.rule
	}
	entry := &upEntry{
		token: e.Token, topic: e.Packet.Topic, qos: e.Packet.QoS, id: e.Packet.ID, message: m, match: rule, text: why.text, formerly: why.formerly,
		span: b.producerSpan(now, e.Packet, m),
	}
	told, out := b.refusePublish(entry, why.failure, why.detail, out)
	out = b.ended(entry.span, 0, why.failure, out)
	b.tell(told)
	return append(out, Report{Kind: PublishAnswered, Topic: e.Packet.Topic, QoS: e.Packet.QoS, Reason: told.Reason})
}

// routeOf applies the mapping rules to a message. The route is nil where none matches; it holds until the next call.
func (b *Bridge) routeOf(p *packet.Publish) (*mapping.Route, rules.Match) {
	if b.cfg.Rules == nil {
		return nil, rules.Match{}
	}
	if b.route == nil {
		b.route = new(mapping.Route)
	}
	match, ok := b.cfg.Rules.Route(rules.Message{Topic: p.Topic, QoS: p.QoS, Tenant: b.self.Tenant, Principal: b.self.Principal}, b.route)
	if !ok {
		return nil, rules.Match{}
	}
	return b.route, match
}

func (b *Bridge) send(e *upEntry, out []Effect) []Effect {
	e.sent = true
	// What a rule names may be missing on the bus. A settled message to it would take down the link that those of all devices share, so it is sent
	// unsettled; the device is told nothing all the same.
	settled := e.qos == 0 && !e.match.Elsewhere
	return append(out, SendMessage{Token: e.token, Message: e.message, Settled: settled, Quarantine: e.refusal != nil})
}

func (b *Bridge) outcomeArrived(now time.Time, ev OutcomeArrived, out []Effect) []Effect {
	u := &b.uplink
	i := u.find(ev.Token)
	if i < 0 || !u.entries[i].sent {
		return out // forgotten meanwhile, or a second outcome against the bus's contract
	}
	e := u.entries[i]
	e.sent = false
	wasProbe := u.holding && u.probe == e.token
	answer := mapping.Classify(ev.Outcome, e.rule)
	if e.qos == 0 && ev.Outcome.Kind == message.Lost {
		// At most once: a transfer that may have been written is not written again.
		out = b.drop(i, detail(ev.Outcome), out)
		return b.probeFailed(now, wasProbe, out)
	}
	if e.qos == 0 && answer.Class == mapping.Hold && ev.Outcome.Kind != message.Busy {
		// The bus has answered, and works: nothing else is to wait for this one.
		out = b.drop(i, detail(ev.Outcome), out)
		if wasProbe {
			return b.release(out)
		}
		return out
	}
	if answer.Class == mapping.Hold {
		return b.hold(now, i, wasProbe, ev.Outcome, out)
	}
	if answer.Class == mapping.Refused && e.refusal == nil && b.quarantines(e) {
		out = b.quarantine(now, e, answer, ev.Outcome, out)
		if wasProbe {
			return b.release(out)
		}
		return out
	}
	answer = e.unrefused(answer)
	told := session.PublishAnswered{Token: e.token, Reason: answer.Reason}
	var failed *failure.Failure
	if answer.Class == mapping.Refused {
		failed = answer.Failure
		told, out = b.refusePublish(e, failed, e.detail(ev.Outcome), out)
	}
	report := Report{Kind: PublishAnswered, Topic: e.topic, QoS: e.qos, Reason: answer.Reason, Detail: e.detail(ev.Outcome)}
	if e.refusal != nil && answer.Class == mapping.Success {
		told.Text = textQuarantined
		failed = e.refusal.Failure
		f := b.occurred(&e.refusal.Occurrence)
		f.Refusal, f.Quarantined = e.refusal, true
		out = b.tellDevice(f, out)
	}
	out = b.ended(e.span, ev.Outcome.Kind, failed, out)
	retain := e.retain != nil && answer.Class == mapping.Success
	if retain && e.qos > 0 {
		out = b.taken(i, told, out)
	} else {
		u.remove(i)
		out = append(out, report)
		b.tell(told)
		if retain {
			out = append(out, StoreRetained{Packet: e.retain, Received: e.received})
		}
		out = b.storeRetained(out) // what waited for this one
	}
	if wasProbe {
		return b.release(out)
	}
	return out
}

// hold keeps the message for another attempt, or gives up on the connection when the grace is over.
func (b *Bridge) hold(now time.Time, i int, wasProbe bool, o message.Outcome, out []Effect) []Effect {
	u := &b.uplink
	e := u.entries[i]
	if e.heldSince.IsZero() {
		e.heldSince = now
	}
	if o.Kind == message.Lost {
		// The bus may have it: the next attempt says so, under the same message-id (requirements #19).
		mapping.MarkPossibleDuplicate(e.message)
	}
	if e.qos > 0 && now.Sub(e.heldSince) >= b.cfg.Grace {
		b.tell(CloseFor(failure.BusUnavailable))
	}
	if !u.holding {
		u.holding, u.holdSince, u.probe = true, now, 0
		u.backoff = retryFirst
		u.retryAt = now.Add(u.backoff)
		return append(out, Report{Kind: PublishHeld, Topic: e.topic, QoS: e.qos, Detail: detail(o)})
	}
	if e.qos == 0 && now.Sub(u.holdSince) >= b.cfg.QoS0Hold {
		out = b.drop(i, detail(o), out)
	}
	return b.probeFailed(now, wasProbe, out)
}

// probeFailed plans the next attempt, later than the last one.
func (b *Bridge) probeFailed(now time.Time, wasProbe bool, out []Effect) []Effect {
	u := &b.uplink
	if !wasProbe {
		return out
	}
	u.probe = 0
	u.backoff = min(2*u.backoff, retryMax)
	u.retryAt = now.Add(u.backoff)
	return out
}

// drop answers a QoS 0 message that the bus did not get.
func (b *Bridge) drop(i int, why string, out []Effect) []Effect {
	e := b.uplink.entries[i]
	b.uplink.remove(i)
	b.tell(session.PublishAnswered{Token: e.token, Reason: packet.Success})
	out = b.ended(e.span, 0, failure.QoS0Dropped, out)
	return b.failed(&failure.Occurrence{
		Failure: failure.QoS0Dropped, Trace: b.traceOf(e.span, e.message), Detail: why, Topic: e.topic, Rule: e.match.Name,
	}, out)
}

// release ends the hold: the bus works, all that waits is sent in order.
func (b *Bridge) release(out []Effect) []Effect {
	u := &b.uplink
	u.holding, u.probe, u.retryAt = false, 0, time.Time{}
	out = append(out, Report{Kind: PublishResumed})
	for _, e := range u.entries {
		if e.waits() {
			out = b.send(e, out)
		}
	}
	return out
}

// retryDue tries the oldest message that waits. QoS 0 messages do not wait longer than QoS0Hold.
func (b *Bridge) retryDue(now time.Time, out []Effect) []Effect {
	u := &b.uplink
	if u.retryAt.IsZero() || now.Before(u.retryAt) {
		return out
	}
	u.retryAt = time.Time{}
	if now.Sub(u.holdSince) >= b.cfg.QoS0Hold {
		for i := len(u.entries) - 1; i >= 0; i-- {
			if e := u.entries[i]; e.qos == 0 && e.waits() {
				out = b.drop(i, "the bus takes nothing at the moment", out)
			}
		}
	}
	for _, e := range u.entries {
		if e.waits() {
			u.probe = e.token
			return b.send(e, out)
		}
	}
	return b.release(out)
}

func detail(o message.Outcome) string {
	if o.Error == nil {
		return o.Kind.String()
	}
	return o.Kind.String() + ": " + o.Error.Error()
}
