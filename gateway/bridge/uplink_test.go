package bridge

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

func TestPubackIsTheOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome message.Outcome
		want    packet.ReasonCode
	}{
		{"accepted", accepted, packet.Success},
		{"released: nobody subscribes", message.Outcome{Kind: message.Released}, packet.NoMatchingSubscribers},
		{"rejected: permission", message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:unauthorized-access"}}, packet.NotAuthorized},
		{"modified, undeliverable here", message.Outcome{Kind: message.Modified, UndeliverableHere: true}, packet.ImplementationSpecificError},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := connected(t, session.State{})
			r.publish(7, 1, "a/b")
			if len(r.packets) != 0 {
				t.Fatal("an answer before the bus gave one")
			}
			r.answer(0, c.outcome)
			if a := r.puback(0); a.Kind != packet.PUBACK || a.ID != 7 || a.Reason != c.want {
				t.Errorf("got %+v, want PUBACK of 7 with %v", a, c.want)
			}
			if r.reported(PublishAnswered) != 1 {
				t.Error("the answer was not reported")
			}
		})
	}
}

func TestTransientOutcomeIsHeldAndTriedAgainInOrder(t *testing.T) {
	r := connected(t, session.State{})
	for id := packet.ID(1); id <= 3; id++ {
		r.publish(id, 1, "a")
	}
	r.answer(0, lost)
	r.answer(1, busy)
	r.answer(2, busy)
	r.publish(4, 1, "a")
	if len(r.sent) != 3 || len(r.packets) != 0 {
		t.Fatalf("while held: %d sends, %d packets; want 3 and 0", len(r.sent), len(r.packets))
	}
	r.wait(retryFirst)
	if len(r.sent) != 4 {
		t.Fatalf("%d sends after the pause, want 4: only the oldest is tried", len(r.sent))
	}
	r.answer(3, accepted)
	got := ids(r.sent[3:])
	want := []string{"p-1", "p-2", "p-3", "p-4"}
	if !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	for i := 4; i < 7; i++ {
		r.answer(i, accepted)
	}
	for i := range 4 {
		if a := r.puback(i); a.ID != packet.ID(i+1) || a.Reason != packet.Success {
			t.Errorf("answer %d is %+v", i, a)
		}
	}
	if r.reported(PublishHeld) != 1 || r.reported(PublishResumed) != 1 {
		t.Error("one hold and one end of it should be reported")
	}
	if r.sent[3].Message.Annotations[mapping.AnnotationPossibleDuplicate] != true {
		t.Error("the bus may have what was lost: the second attempt needs the flag")
	}
	if _, flagged := r.sent[4].Message.Annotations[mapping.AnnotationPossibleDuplicate]; flagged {
		t.Error("busy means not handed over: no flag")
	}
}

func ids(sent []SendMessage) []string {
	var out []string
	for _, s := range sent {
		out = append(out, s.Message.Properties.MessageID.(string))
	}
	return out
}

func TestPausesGrowAndTheGraceEnds(t *testing.T) {
	r := connected(t, session.State{})
	r.publish(1, 1, "a")
	r.answer(0, modified)
	for len(r.closed) == 0 && r.now.Sub(start) < time.Minute {
		n := len(r.sent)
		r.wait(retryMax)
		if len(r.sent) > n {
			r.answer(len(r.sent)-1, modified)
		}
	}
	if len(r.closed) != 1 || r.closed[0].Reason != packet.ServerBusy {
		t.Fatalf("after the grace: %+v, want one close with 0x89", r.closed)
	}
	if held := r.now.Sub(start); held < 30*time.Second || held > 33*time.Second {
		t.Errorf("given up after %v, want about 30 s", held)
	}
	if n := len(r.sent); n > 30 {
		t.Errorf("%d attempts in 30 s: the pauses do not grow", n)
	}
	for _, p := range r.packets {
		if a, ok := p.(*packet.Ack); ok {
			t.Errorf("acknowledged although the bus never accepted: %+v", a)
		}
	}
}

func TestQoS0IsDroppedWhenTheBusTakesNothing(t *testing.T) {
	r := connected(t, session.State{})
	r.publish(0, 0, "a")
	r.answer(0, lost)
	if len(r.sent) != 1 || r.failures(failure.QoS0Dropped) != 1 {
		t.Fatal("what may have been written must not be written again at QoS 0")
	}
	r.publish(0, 0, "a")
	r.answer(1, busy)
	r.wait(retryFirst)
	if len(r.sent) != 3 {
		t.Fatal("a full link is a passing thing: it should have been tried again")
	}
	for i := 2; r.now.Sub(start) < 3*time.Second; i++ {
		if i < len(r.sent) {
			r.answer(i, busy)
		}
		r.wait(retryMax)
	}
	if got := r.failures(failure.QoS0Dropped); got != 2 {
		t.Fatalf("%d dropped, want 2: QoS 0 waits no longer than QoS0Hold", got)
	}
	if len(r.closed) != 0 {
		t.Error("QoS 0 must not end a connection")
	}
}

func TestAHoldOfQoS1DropsQoS0SoThatReadingGoesOn(t *testing.T) {
	r := connected(t, session.State{})
	r.publish(1, 1, "a")
	r.answer(0, modified)
	r.publish(0, 0, "b")
	for r.now.Sub(start) < 3*time.Second {
		n := len(r.sent)
		r.wait(100 * time.Millisecond)
		if len(r.sent) > n {
			r.answer(n, modified)
		}
	}
	if r.failures(failure.QoS0Dropped) != 1 {
		t.Error("the QoS 0 message behind the hold was not dropped")
	}
	r.publish(0, 0, "b")
	if r.failures(failure.QoS0Dropped) != 2 {
		t.Error("a QoS 0 message during a long hold is to be dropped at once")
	}
}

func TestQoS2IsRecordedBeforeAndAfter(t *testing.T) {
	r := connected(t, session.State{})
	r.publish(9, 2, "a")
	if len(r.sent) != 0 || len(r.stores) != 1 {
		t.Fatal("a QoS 2 message must be recorded before it is sent")
	}
	r.step(session.Stored{ID: r.stores[0].ID})
	r.answer(0, accepted)
	if len(r.packets) != 0 {
		t.Fatal("PUBREC before the outcome was recorded")
	}
	r.step(session.Stored{ID: r.stores[1].ID})
	if a := r.puback(0); a.Kind != packet.PUBREC || a.Reason != packet.Success {
		t.Errorf("got %+v, want PUBREC", a)
	}
}

func TestConnectionLossForgetsWhatWasNotSent(t *testing.T) {
	r := connected(t, session.State{})
	r.publish(1, 1, "a")
	r.answer(0, busy)
	r.publish(2, 1, "a")
	r.step(session.ConnectionLost{})
	r.wait(time.Minute)
	if len(r.sent) != 1 {
		t.Errorf("%d sends: the device will send again what was not acknowledged", len(r.sent))
	}
	if r.finish == nil {
		t.Error("not finished")
	}
}

// TestNoFalseAcknowledgement answers publishes at random, with holds in between: whatever happens, success is told only after the bus
// accepted, each message gets one answer, and first attempts keep their order.
func TestNoFalseAcknowledgement(t *testing.T) {
	outcomes := []message.Outcome{accepted, lost, busy, modified, {Kind: message.Released}, {Kind: message.Rejected}}
	rapid.Check(t, func(rt *rapid.T) {
		r := connected(t, session.State{})
		answered, decided := map[string]bool{}, map[packet.ID]packet.ReasonCode{}
		var id packet.ID
		pending := func() (open []int) {
			for i := range r.sent {
				key := ids(r.sent[i : i+1])[0]
				if !answered[key] && (i+1 >= len(r.sent) || !slices.Contains(ids(r.sent[i+1:]), key)) && !r.sent[i].Settled {
					open = append(open, i)
				}
			}
			return open
		}
		seen := map[int]bool{}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch open := pending(); {
			case len(open) == 0 || rapid.IntRange(0, 2).Draw(rt, "what") == 0:
				if int(id) < 40 {
					id++
					r.publish(id, 1, "a")
				}
			default:
				i := rapid.SampledFrom(open).Draw(rt, "send")
				if seen[i] {
					r.wait(50 * time.Millisecond)
					continue
				}
				seen[i] = true
				o := rapid.SampledFrom(outcomes).Draw(rt, "outcome")
				if a := mapping.Classify(o, mapping.OutcomeRule{}); a.Class != mapping.Hold {
					key := ids(r.sent[i : i+1])[0]
					answered[key] = true
					decided[messageNumber(key)] = a.Reason
				}
				r.answer(i, o)
			}
			r.wait(time.Millisecond)
		}
		got := map[packet.ID]bool{}
		for _, p := range r.packets {
			a := p.(*packet.Ack)
			want, ok := decided[a.ID]
			if !ok || a.Reason != want || got[a.ID] {
				rt.Fatalf("PUBACK %d with %v; the bus decided %v (%v), told before: %v", a.ID, a.Reason, want, ok, got[a.ID])
			}
			got[a.ID] = true
		}
	})
}

// messageNumber is the number a message-id of the rig ends with, which is also its packet identifier there.
func messageNumber(id string) packet.ID {
	n := 0
	for _, c := range id[len("p-"):] {
		d := int(c - '0')
		if c >= 'a' {
			d = int(c-'a') + 10
		}
		n = n*36 + d
	}
	return packet.ID(n)
}

// Once another connection has the session, it sends what is not on the bus. What the bus still answers here is told, and nothing else is waited for.
func TestATakeoverEndsHoldsAndTellsOutcomes(t *testing.T) {
	r := connected(t, session.State{})
	for id := packet.ID(1); id <= 3; id++ {
		r.publish(id, 2, "a")
		r.step(session.Stored{ID: r.stores[id-1].ID})
	}
	r.answer(0, busy) // a hold begins
	r.publish(4, 0, "a")
	r.step(session.CloseRequested{Reason: packet.SessionTakenOver})
	r.step(session.ConnectionLost{})
	if r.failures(failure.QoS0Dropped) != 1 {
		t.Error("a QoS 0 message that was not sent is gone without a word")
	}
	r.answer(1, lost) // and would be tried again
	r.wait(500 * time.Millisecond)
	if len(r.sent) != 3 || r.finish != nil {
		t.Fatalf("%d sends, finished: %t; want the 3 from before, and one still waited for", len(r.sent), r.finish != nil)
	}
	r.answer(2, accepted)
	if r.finish == nil {
		t.Error("not finished, although nothing is left to wait for")
	}
	want := session.AcceptInbound{ID: 3, MessageID: ids(r.sent[2:])[0]}
	if last := r.stores[len(r.stores)-1]; len(r.stores) != 4 || len(last.Ops) != 1 || last.Ops[0] != session.Op(want) {
		t.Errorf("stored %+v, want %+v after the three records", r.stores, want)
	}
}

func TestARecallPasses(t *testing.T) {
	r := connected(t, session.State{
		Subscriptions: []session.Subscription{{Subscription: packet.Subscription{Filter: "f"}}},
		Inbound:       []session.Inbound{{ID: 1, MessageID: "old"}},
	})
	r.publish(1, 2, "a")
	if len(r.sent) != 0 || r.recalls != 1 {
		t.Fatalf("%d sends and %d looks at the store, want the look alone", len(r.sent), r.recalls)
	}
	r.step(session.Recalled{Inbound: []session.Inbound{{ID: 1, MessageID: "old", Accepted: true}}})
	if a := r.puback(0); a.Kind != packet.PUBREC || a.Reason != packet.Success {
		t.Errorf("got %+v, want PUBREC", a)
	}
}
