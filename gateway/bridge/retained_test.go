package bridge

import (
	"slices"
	"testing"

	"sluice/amqp/message"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

func (r *rig) publishRetained(id packet.ID, qos packet.QoS, topic, payload string) {
	r.t.Helper()
	r.step(session.PacketReceived{Packet: &packet.Publish{ID: id, QoS: qos, Topic: topic, Retain: true, Payload: []byte(payload)}})
}

func (r *rig) payloads() (out []string) {
	for _, s := range r.retain {
		out = append(out, string(s.Packet.Payload))
	}
	return out
}

func TestARetainedMessageIsAnsweredOnceItIsStored(t *testing.T) {
	for _, c := range []struct {
		name   string
		result RetainedResult
		want   packet.ReasonCode
	}{
		{"stored", RetainedOK, packet.NoMatchingSubscribers},
		{"quota used up", RetainedRefused, packet.QuotaExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := connected(t, session.State{})
			r.publishRetained(7, 1, "a", "1")
			if len(r.retain) != 0 {
				t.Fatal("stored before the bus has taken it: it may refuse it")
			}
			r.answer(0, message.Outcome{Kind: message.Released}) // nobody subscribes; it is retained all the same
			if len(r.retain) != 1 || len(r.packets) != 0 {
				t.Fatalf("%d to store and %d packets, want 1 and 0", len(r.retain), len(r.packets))
			}
			if !r.retain[0].Received.Equal(start) {
				t.Errorf("received at %v", r.retain[0].Received)
			}
			r.step(RetainedStored{Token: r.retain[0].Token, Result: c.result, Why: failure.RetainedQuota})
			a := r.puback(0)
			if a.ID != 7 || a.Reason != c.want {
				t.Errorf("got %+v, want %v", a, c.want)
			}
			if told := a.Properties != nil && a.Properties.ReasonString == failure.RetainedQuota.Sentence; told != a.Reason.Failed() {
				t.Errorf("properties %+v", a.Properties)
			}
		})
	}
}

func TestARefusedMessageIsNotRetained(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(7, 1, "a", "1")
	r.answer(0, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:unauthorized-access"}})
	if len(r.retain) != 0 || r.puback(0).Reason != packet.NotAuthorized {
		t.Errorf("%d stored, answer %+v", len(r.retain), r.packets)
	}
}

func TestAMessageThatCannotBeRetainedIsNotAnswered(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(7, 1, "a", "1")
	r.answer(0, accepted)
	r.step(RetainedStored{Token: r.retain[0].Token, Result: RetainedLost})
	for _, p := range r.packets {
		if _, ack := p.(*packet.Ack); ack {
			t.Error("acknowledged")
		}
	}
	if len(r.closed) != 1 || r.closed[0].Reason != packet.ServerBusy {
		t.Errorf("closed %+v, want once with 0x89", r.closed)
	}
}

// What is retained in the end is what was published last, in whichever order the bus answers.
func TestRetainedMessagesOfATopicAreStoredInOrder(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(1, 1, "a", "a1")
	r.publishRetained(2, 1, "b", "b1")
	r.publishRetained(3, 1, "a", "a2")
	r.publishRetained(4, 1, "a", "a3")
	r.answer(2, accepted)
	r.answer(1, accepted)
	if got := r.payloads(); !slices.Equal(got, []string{"b1"}) {
		t.Fatalf("stored %v: a1 is not answered yet", got)
	}
	r.answer(0, accepted)
	r.answer(3, accepted)
	for i, want := range [][]string{{"b1", "a1"}, {"b1", "a1", "a2"}, {"b1", "a1", "a2", "a3"}} {
		if got := r.payloads(); !slices.Equal(got, want) {
			t.Fatalf("stored %v, want %v: one at a time", got, want)
		}
		r.step(RetainedStored{Token: r.retain[i+1].Token})
	}
}

// The device sends what was not stored again, with all it has published since. Were a later one stored and marked as taken (QoS 2), only the earlier
// would be stored once more, in its place.
func TestAMessageThatCannotBeRetainedHoldsBackLaterOnes(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(1, 1, "a", "a1")
	r.publishRetained(2, 1, "a", "a2")
	r.answer(0, accepted)
	r.answer(1, accepted)
	r.step(RetainedStored{Token: r.retain[0].Token, Result: RetainedLost})
	if got := r.payloads(); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("stored %v", got)
	}
}

// One that was refused holds back nothing.
func TestARefusedMessageLetsLaterOnesBeStored(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(1, 1, "a", "a1")
	r.publishRetained(2, 1, "a", "a2")
	r.answer(1, accepted)
	r.answer(0, message.Outcome{Kind: message.Modified, UndeliverableHere: true})
	if got := r.payloads(); !slices.Equal(got, []string{"a2"}) {
		t.Errorf("stored %v", got)
	}
}

func TestQoS0DoesNotWaitForTheStore(t *testing.T) {
	r := connected(t, session.State{})
	for range 200 { // four times the window
		r.publishRetained(0, 0, "a", "x")
		r.answer(len(r.sent)-1, accepted)
	}
	if len(r.retain) != 200 || r.retain[0].Token != 0 {
		t.Errorf("%d stored", len(r.retain))
	}
}

// The bus takes a message again that was held, and not one that only waits for the store.
func TestAHoldDoesNotSendWhatTheBusHas(t *testing.T) {
	r := connected(t, session.State{})
	r.publishRetained(1, 1, "a", "1")
	r.publish(2, 1, "b")
	r.answer(0, accepted)
	r.answer(1, busy)
	r.wait(retryFirst)
	r.answer(2, accepted)
	if got := ids(r.sent); !slices.Equal(got, []string{"p-1", "p-2", "p-2"}) {
		t.Errorf("sent %v", got)
	}
}

func TestAFullInboxIsAQuota(t *testing.T) {
	r := connected(t, session.State{})
	c := r.subscribe(1, sub("b", 1))
	r.changed(c, LaneFull, LaneOK)
	if got := r.suback(1); !slices.Equal(got, []packet.ReasonCode{packet.QuotaExceeded}) {
		t.Errorf("SUBACK %v", got)
	}
}

// The copies for QoS 1 and 2 are in the inbox before the answer; those for QoS 0 come after it, when there is a subscription to match.
func TestRetainedMessagesOfANewSubscription(t *testing.T) {
	r := connected(t, session.State{})
	c := r.subscribe(1, sub("a", 0), sub("b", 1), packet.Subscription{Filter: "c", QoS: 1, RetainHandling: 2},
		packet.Subscription{Filter: "$share/g/d", QoS: 1})
	if !slices.Equal(c.Retained, []string{"b"}) {
		t.Errorf("to the inbox: %v", c.Retained)
	}
	if len(c.SharedAdd) != 1 || c.SharedAdd[0] != (Shared{Filter: "$share/g/d"}) {
		t.Errorf("shared %+v", c.SharedAdd)
	}
	if len(r.feeds) != 0 {
		t.Error("sent before SUBACK")
	}
	r.changed(c, LaneOK, LaneOK)
	if len(r.feeds) != 1 || !slices.Equal(r.feeds[0].Filters, []string{"a"}) {
		t.Errorf("sent %+v", r.feeds)
	}
}
