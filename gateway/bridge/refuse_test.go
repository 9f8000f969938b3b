package bridge

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

const quarantineAddress = "/queues/quarantine"

// receiving is a device with a subscription of QoS 1 and a quarantine.
func receiving(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	cfg := testConfig()
	cfg.Quarantine = quarantineAddress
	if change != nil {
		change(&cfg)
	}
	r := connectedWith(t, cfg, session.State{})
	r.changed(r.subscribe(1, sub("a/#", 1)), LaneOK, LaneOK)
	r.step(session.LaneAttached{})
	r.packets = nil
	return r
}

// quarantined is how many failures were said to be in the quarantine.
func (r *rig) quarantined() (n int) {
	for _, f := range r.failed {
		if f.Quarantined {
			n++
		}
	}
	return n
}

// refuse answers the n-th packet to the device with a failure.
func (r *rig) refuse(n int) {
	r.t.Helper()
	ack := &packet.Ack{Kind: packet.PUBACK, ID: r.packets[n].(*packet.Publish).ID, Reason: packet.PayloadFormatInvalid, Properties: &packet.Properties{}}
	ack.Properties.SetReasonString("no JSON")
	r.step(session.PacketReceived{Packet: ack})
}

// What a device refuses is copied and its sender told before the bus may forget it.
func TestARefusedMessageIsKeptAndTold(t *testing.T) {
	r := receiving(t, nil)
	m := backendMessage("a/b", true)
	m.Properties.ReplyTo = "/queues/answers"
	m.ApplicationProperties = map[string]any{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	r.step(DeliveryArrived{Tag: 5, Message: m})
	r.refuse(0)
	if len(r.settled) != 0 || len(r.refused) != 1 || r.failures(failure.DeliveryRefused) != 1 {
		t.Fatalf("settled %+v, refused %+v", r.settled, r.refused)
	}
	e := r.refused[0]
	if e.Settle.Tag != 5 || e.Settle.Outcome.Kind != message.Rejected || e.Settle.Outcome.Error.Info["mqtt-reason-string"] != "no JSON" {
		t.Errorf("to be settled: %+v", e.Settle)
	}
	q, ok := mapping.ReadQuarantined(e.Copy)
	if !ok || e.Copy.Properties.To != quarantineAddress || q.Reason != "no JSON" || q.Code != packet.PayloadFormatInvalid || q.PacketID == 0 || q.Client != "dev" || q.Topic != "a/b" || q.Address != "/exchanges/amq.topic/a.b" {
		t.Errorf("the copy: %+v", q)
	}
	if q.Trace != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %s is not the message's", q.Trace)
	}
	if e.Feedback == nil || e.Feedback.Properties.To != "/queues/answers" || e.Feedback.Properties.CorrelationID != "m1" {
		t.Errorf("the feedback: %+v", e.Feedback)
	}
}

func TestWhatCannotBeDeliveredIsKept(t *testing.T) {
	r := receiving(t, nil)
	m := backendMessage("a/b", true)
	m.Data, m.Sequence = nil, [][]any{{int32(1)}}
	r.step(DeliveryArrived{Tag: 1, Message: m})
	if len(r.refused) != 1 || r.refused[0].Refusal.Failure != failure.Undeliverable || r.refused[0].Copy == nil {
		t.Fatalf("refused %+v", r.refused)
	}
	r.step(DeliveryArrived{Tag: 2, Malformed: errors.New("bad bytes")})
	if len(r.settled) != 1 || r.settled[0].Tag != 2 {
		t.Errorf("what cannot be read cannot be kept, and is to be rejected: %+v", r.settled)
	}
}

// An expired message has ended as its sender wanted: who asked is told, and nothing is kept.
func TestAnExpiredMessageIsToldAndNotKept(t *testing.T) {
	r := receiving(t, nil)
	for tag, replyTo := range []string{"", "/queues/answers"} {
		m := backendMessage("a/b", true)
		m.Properties.AbsoluteExpiry, m.Properties.ReplyTo = r.now.Add(-time.Second), replyTo
		r.step(DeliveryArrived{Tag: uint64(tag + 1), Message: m})
	}
	if len(r.settled) != 1 || r.settled[0].Tag != 1 || len(r.refused) != 1 || r.refused[0].Copy != nil || r.refused[0].Feedback == nil {
		t.Errorf("settled %+v, refused %+v", r.settled, r.refused)
	}
}

// While many wait for the quarantine no more are asked for: a device that refuses everything must not pull the bus empty into our memory.
func TestRefusalsUnderWayAreBounded(t *testing.T) {
	r := receiving(t, nil)
	credit, n := uint32(0), 0
	take := func() {
		for _, g := range r.granted {
			credit += g.N
		}
		r.granted = nil
	}
	for take(); credit > 0; take() {
		credit--
		n++
		if n > 1000 {
			t.Fatal("credit is given for ever")
		}
		m := backendMessage("a/b", true)
		m.Properties.MessageID = fmt.Sprint("m", n)
		r.step(DeliveryArrived{Tag: uint64(n), Message: m})
		r.refuse(n - 1)
	}
	if window := int(testConfig().Session.OutboundWindow); len(r.refused) > refusalsMax+window || len(r.refused) < refusalsMax {
		t.Errorf("%d are under way, with a window of %d", len(r.refused), window)
	}
	for range r.refused {
		r.step(Refused{})
	}
	if take(); credit == 0 {
		t.Error("no credit is given once they are done")
	}
	if len(r.b.held) != 0 {
		t.Errorf("%d settled messages are kept", len(r.b.held))
	}
}

func TestRefusalsHaveIDsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{"p-", "q-"} {
		var r refusals
		r.begin(prefix)
		for range 1000 {
			seen[r.id()] = true
		}
	}
	if len(seen) != 2000 {
		t.Errorf("%d ids of 2000", len(seen))
	}
}

// quarantining is a device whose messages on q/# go to the quarantine when the bus refuses them.
func quarantining(t *testing.T) *rig {
	t.Helper()
	table, err := rules.Compile([]rules.Rule{{Name: "kept", Topic: "q/#", Exchange: "e", OnError: "quarantine"}}, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	return receiving(t, func(c *Config) { c.Rules = table })
}

var (
	refusedByBus = message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:not-found", Description: "no exchange e"}}
	tookIt       = message.Outcome{Kind: message.Accepted}
)

// The device is acknowledged once the quarantine has the message, not before; and in order.
func TestARefusedPublishIsAcknowledgedOnceItIsQuarantined(t *testing.T) {
	for _, qos := range []packet.QoS{1, 2} {
		r := quarantining(t)
		r.publish(7, qos, "q/x")
		r.publish(8, qos, "other")
		for _, s := range r.stores {
			r.step(session.Stored{ID: s.ID})
		}
		r.stores = nil
		r.answer(1, tookIt)
		r.answer(0, refusedByBus)
		if len(r.packets) != 0 || len(r.sent) != 3 || !r.sent[2].Quarantine || r.sent[2].Message.Properties.To != quarantineAddress {
			t.Fatalf("QoS %d: packets %v, sent %+v", qos, r.packets, r.sent)
		}
		q, _ := mapping.ReadQuarantined(r.sent[2].Message)
		if q.Rule != "kept" || q.Name != "address-not-found" || q.PacketID != 7 || q.Address != "/exchanges/e/q.x" || q.Topic != "q/x" || q.Client != "dev" {
			t.Errorf("QoS %d: the copy says %+v", qos, q)
		}
		r.answer(2, tookIt)
		for len(r.stores) > 0 {
			s := r.stores[0]
			r.stores = r.stores[1:]
			r.step(session.Stored{ID: s.ID})
		}
		for i, id := range []packet.ID{7, 8} {
			if a := r.puback(i); a.ID != id || a.Reason != packet.Success || (id == 7) != a.Properties.Has(packet.PropReasonString) {
				t.Errorf("QoS %d: answer %d is %+v", qos, i, a)
			}
		}
		if r.quarantined() != 1 || r.reported(PublishAnswered) != 2 {
			t.Errorf("QoS %d: reports %+v", qos, r.reports)
		}
	}
}

// A quarantine that is out of reach is no answer, and one that refuses leaves the bus's first word.
func TestAQuarantineThatDoesNotTakeIt(t *testing.T) {
	r := quarantining(t)
	r.publish(7, 1, "q/x")
	r.answer(0, refusedByBus)
	r.answer(1, message.Outcome{Kind: message.Released}) // the queue is missing
	if len(r.packets) != 0 || r.reported(PublishHeld) != 1 {
		t.Fatalf("packets %v", r.packets)
	}
	r.wait(time.Second)
	if len(r.sent) != 3 || !r.sent[2].Quarantine {
		t.Fatalf("it is not tried again: %+v", r.sent)
	}
	r.answer(2, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:resource-limit-exceeded"}})
	if a := r.puback(0); a.Reason != packet.TopicNameInvalid {
		t.Errorf("the device is told %v", a.Reason)
	}
	if r.quarantined() != 0 {
		t.Error("it is said to be in the quarantine")
	}
}

func TestAQuarantineOutOfReachEndsTheConnectionAfterTheGrace(t *testing.T) {
	r := quarantining(t)
	r.publish(7, 1, "q/x")
	r.answer(0, refusedByBus)
	for i := 1; len(r.closed) == 0; i++ {
		if i > 100 {
			t.Fatal("tried for ever")
		}
		r.answer(i, message.Outcome{Kind: message.Busy})
		r.wait(2 * time.Second)
	}
	if r.closed[0].Reason != packet.ServerBusy {
		t.Errorf("closed with %v", r.closed[0].Reason)
	}
	for _, p := range r.packets {
		if a, ok := p.(*packet.Ack); ok && !a.Reason.Failed() {
			t.Errorf("acknowledged: %+v", a)
		}
	}
}

func TestWithoutTheRuleTheDeviceIsRefused(t *testing.T) {
	r := quarantining(t)
	r.publish(7, 1, "plain")
	r.answer(0, refusedByBus)
	if a := r.puback(0); a.Reason != packet.TopicNameInvalid || len(r.sent) != 1 {
		t.Errorf("got %+v, sent %d", a, len(r.sent))
	}
}

// Whatever the bus answers at either address: a device is acknowledged only for what one of them has accepted, refused only for what both have refused, and
// once the bus works everybody is answered (P1).
func TestNoFalseAcknowledgementWithAQuarantine(t *testing.T) {
	rejected := message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:resource-limit-exceeded"}}
	outcomes := []message.Outcome{tookIt, rejected, rejected, {Kind: message.Released}, {Kind: message.Lost}, {Kind: message.Busy}}
	rapid.Check(t, func(rt *rapid.T) {
		r := quarantining(t)
		const messages = 10
		type fate struct{ accepted, nobody, refused, refusedThere bool }
		fates := map[packet.ID]*fate{}
		answered := 0
		answer := func(o message.Outcome) {
			s := r.sent[answered]
			answered++
			f := fates[messageNumber(s.Message.Properties.MessageID.(string))]
			switch {
			case o.Kind == message.Accepted:
				f.accepted = true
			case o.Kind == message.Released:
				f.nobody = f.nobody || !s.Quarantine
			case o.Kind == message.Rejected && s.Quarantine:
				f.refusedThere = true
			case o.Kind == message.Rejected:
				f.refused = true
			}
			r.step(OutcomeArrived{Token: s.Token, Outcome: o})
		}
		for id := packet.ID(1); id <= messages; id++ {
			fates[id] = &fate{}
			r.publish(id, 1, "q/x")
			for answered < len(r.sent) && rapid.Bool().Draw(rt, "answer") {
				answer(rapid.SampledFrom(outcomes).Draw(rt, "outcome"))
			}
			r.wait(time.Duration(rapid.IntRange(0, 50).Draw(rt, "ms")) * time.Millisecond)
		}
		for range 20 {
			for answered < len(r.sent) {
				answer(tookIt)
			}
			r.wait(3 * time.Second)
		}
		for i, p := range r.packets {
			a := p.(*packet.Ack)
			f := fates[a.ID]
			switch {
			case a.ID != packet.ID(i+1):
				rt.Fatalf("answer %d is for %d", i+1, a.ID)
			case a.Reason == packet.Success && f.accepted:
			case a.Reason == packet.NoMatchingSubscribers && f.nobody:
			case a.Reason.Failed() && f.refused && f.refusedThere:
			default:
				rt.Fatalf("PUBACK %d with %v, its fate was %+v", a.ID, a.Reason, *f)
			}
		}
		if len(r.packets) != messages {
			rt.Fatalf("%d of %d answered", len(r.packets), messages)
		}
	})
}
