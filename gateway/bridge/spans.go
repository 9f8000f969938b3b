package bridge

import (
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// Tracing says which messages spans are told of. A message that has a trace context is told of when its maker wants that (the sampled flag of W3C Trace
// Context); of the others, Ratio of all, from 0 to 1.
type Tracing struct{ Ratio float64 }

// SpanKind is a span's kind, in OpenTelemetry's words.
type SpanKind uint8

// The kinds.
const (
	ProducerSpan SpanKind = iota + 1 // a PUBLISH of the device, until the bus's outcome
	ConsumerSpan                     // a message for the device, until it is settled
)

// Span is an effect: a step of a message is over. Only with Config.Tracing.
type Span struct {
	Kind    SpanKind
	Context failure.Context
	// Parent is the span that the message's own trace context names; zero: the trace begins here. State is the tracestate beside it.
	Parent     failure.SpanID
	State      string
	Begin, End time.Time
	Topic      string
	QoS        packet.QoS
	MessageID  string
	Outcome    message.OutcomeKind
	Failure    *failure.Failure // nil: there is none
}

// producerSpan begins the span of a message from the device, nil when none is to be told. A message without trace context gets ours, so that who takes it
// from the bus is part of the same trace; one that has an invalid context keeps it: User Properties are the device's [MQTT-3.3.2-17].
func (b *Bridge) producerSpan(now time.Time, p *packet.Publish, m *message.Message) *Span {
	if b.cfg.Tracing == nil {
		return nil
	}
	s, given := b.span(now, m)
	s.Kind, s.Topic, s.QoS = ProducerSpan, p.Topic, p.QoS
	if _, there := m.ApplicationProperties[failure.Traceparent]; !given && !there {
		if m.ApplicationProperties == nil {
			m.ApplicationProperties = make(map[string]any, 1)
		}
		m.ApplicationProperties[failure.Traceparent] = s.Context.String()
	}
	return sampled(s)
}

// consumerSpan begins the span of a message for the device, nil when none is to be told. The record of a failure is none: it tells of another message.
func (b *Bridge) consumerSpan(now time.Time, d *mapping.DownlinkMessage, m *message.Message) *Span {
	if b.cfg.Tracing == nil || isRecord(m) {
		return nil
	}
	s, _ := b.span(now, m)
	s.Kind, s.Topic, s.QoS = ConsumerSpan, d.Publish.Topic, d.Publish.QoS
	return sampled(s)
}

// span gives a span that continues the trace of the message, or begins one.
func (b *Bridge) span(now time.Time, m *message.Message) (s Span, given bool) {
	c, given := failure.ParseContext(traceparent(m))
	if given {
		s.Parent, s.State = c.Span, tracestate(m)
	} else {
		c.Trace = b.failures.traces.Next()
		c.Sampled = c.Trace.Sample(b.cfg.Tracing.Ratio)
	}
	c.Span = b.failures.traces.NextSpan()
	s.Context, s.Begin, s.MessageID = c, now, mapping.IDText(m.Properties.MessageID)
	return s, given
}

// sampled keeps on the heap only what is to be told.
func sampled(s Span) *Span {
	if !s.Context.Sampled {
		return nil
	}
	kept := s
	return &kept
}

// ended tells a span, unless it is nil.
func (b *Bridge) ended(s *Span, o message.OutcomeKind, f *failure.Failure, out []Effect) []Effect {
	if s == nil {
		return out
	}
	s.End, s.Outcome, s.Failure = b.failures.now, o, f
	return append(out, *s)
}

// traceOf is the trace of a message from or for the device, for a failure of it: the span's, where there is one.
func (b *Bridge) traceOf(s *Span, m *message.Message) failure.Trace {
	if s != nil {
		return s.Context.Trace
	}
	return b.failures.traces.Of(traceparent(m))
}

// tracestate goes with the traceparent: from where that was taken.
func tracestate(m *message.Message) string {
	from := m.ApplicationProperties
	if _, annotated := m.Annotations[failure.Traceparent]; annotated {
		from = m.Annotations
	}
	text, _ := from[mapping.AnnotationTracestate].(string)
	return text
}
