package bridge

import (
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

const ownContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"

// tracedWith is a rig that tells spans of this part of the messages without context.
func tracedWith(t *testing.T, ratio float64) *rig {
	cfg := testConfig()
	cfg.Tracing = &Tracing{Ratio: ratio}
	return connectedWith(t, cfg, session.State{})
}

func publishUnder(r *rig, context string) {
	p := &packet.Publish{ID: 1, QoS: 1, Topic: "a", Payload: []byte("x")}
	if context != "" {
		p.Properties.User = []packet.UserProperty{{Key: failure.Traceparent, Value: context}}
	}
	r.step(session.PacketReceived{Packet: p})
}

func TestWhichMessagesHaveSpans(t *testing.T) {
	for _, c := range []struct {
		name, context string
		ratio         float64
		told          bool
	}{
		{"ours, all", "", 1, true},
		{"ours, none", "", 0, false},
		{"its own, wanted", ownContext + "1", 0, true},
		{"its own, not wanted", ownContext + "0", 1, false},
		{"invalid, all", "00-bad", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tracedWith(t, c.ratio)
			publishUnder(r, c.context)
			sent, _ := r.sent[0].Message.ApplicationProperties[failure.Traceparent].(string)
			if c.context != "" && sent != c.context {
				t.Errorf("the device's %q is sent as %q", c.context, sent)
			}
			r.now = r.now.Add(time.Second)
			r.answer(0, accepted)
			if len(r.spans) == 1 != c.told {
				t.Fatalf("%d spans are told, want %v", len(r.spans), c.told)
			}
			if own, ok := failure.ParseContext(sent); c.context == "" && (!ok || own.Sampled != c.told) {
				t.Errorf("a message without context is sent with %q", sent)
			}
			if !c.told {
				return
			}
			s := r.spans[0]
			if s.Kind != ProducerSpan || s.End.Sub(s.Begin) != time.Second || s.Outcome != message.Accepted || s.Failure != nil {
				t.Errorf("told %+v", s)
			}
			if c.context == "" && s.Context.String() != sent {
				t.Errorf("the span is %v, the message says %s", s.Context, sent)
			}
		})
	}
}

// Without Tracing nothing is added and nothing told.
func TestNoSpansWithoutTracing(t *testing.T) {
	r := connected(t, session.State{})
	publishUnder(r, "")
	r.answer(0, accepted)
	if len(r.spans) != 0 || r.sent[0].Message.ApplicationProperties != nil {
		t.Errorf("%d spans, and %v in the message", len(r.spans), r.sent[0].Message.ApplicationProperties)
	}
}

// A hold is part of the span, and a failure has the span's trace.
func TestSpanOfAFailureAfterAHold(t *testing.T) {
	for _, context := range []string{"", ownContext + "1", "00-bad"} {
		r := tracedWith(t, 1)
		publishUnder(r, context)
		r.answer(0, lost)
		if len(r.spans) != 0 {
			t.Fatal("a span is told before the message is answered")
		}
		r.wait(retryFirst)
		r.answer(1, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:unauthorized-access"}})
		if len(r.spans) != 1 || len(r.failed) != 1 {
			t.Fatalf("%d spans and %d failures are told, want one of each", len(r.spans), len(r.failed))
		}
		if s := r.spans[0]; s.End.Sub(s.Begin) < retryFirst {
			t.Errorf("the span lasts %v", s.End.Sub(s.Begin))
		}
		for _, f := range r.failed {
			if f.Trace != r.spans[0].Context.Trace || f.Failure != r.spans[0].Failure {
				t.Errorf("failure %s has trace %s; the span is %+v", f.Failure.Name, f.Trace, r.spans[0])
			}
		}
	}
}

// What a device takes or refuses has a span below the sender's.
func TestSpansOfDeliveries(t *testing.T) {
	r := receiving(t, func(c *Config) { c.Tracing = &Tracing{} })
	for tag := range uint64(2) {
		m := backendMessage("a/b", true)
		m.Properties.MessageID = tag
		m.ApplicationProperties = map[string]any{"traceparent": ownContext + "1", "tracestate": "vendor=1"}
		r.step(DeliveryArrived{Tag: tag + 1, Message: m})
	}
	r.now = r.now.Add(time.Second)
	r.step(session.PacketReceived{Packet: &packet.Ack{Kind: packet.PUBACK, ID: r.packets[0].(*packet.Publish).ID}})
	r.refuse(1)
	if len(r.spans) != 2 {
		t.Fatalf("%d spans are told, want 2", len(r.spans))
	}
	for i, want := range []struct {
		outcome message.OutcomeKind
		failure *failure.Failure
	}{{message.Accepted, nil}, {message.Rejected, failure.DeliveryRefused}} {
		s := r.spans[i]
		below := failure.Context{Trace: s.Context.Trace, Span: s.Parent, Sampled: true}
		if s.Kind != ConsumerSpan || s.Outcome != want.outcome || s.Failure != want.failure || s.End.Sub(s.Begin) != time.Second {
			t.Errorf("delivery %d: %+v", i+1, s)
		}
		if below.String() != ownContext+"1" || s.State != "vendor=1" || s.Context.Span == s.Parent {
			t.Errorf("delivery %d: %v below %v, state %q", i+1, s.Context, below, s.State)
		}
	}
	if len(r.failed) != 1 || r.failed[0].Trace != r.spans[1].Context.Trace {
		t.Errorf("the failure told is %+v", r.failed)
	}
}
