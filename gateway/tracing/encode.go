package tracing

import (
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"sluice/gateway/bridge"
)

// encode gives a span the names of OpenTelemetry's conventions for messaging. Topics are attributes and no part of the name: there are too many of them.
func encode(client string, s *bridge.Span) *tracepb.Span {
	out := &tracepb.Span{
		TraceId: s.Context.Trace[:], SpanId: s.Context.Span[:], TraceState: s.State, Flags: uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | 1,
		StartTimeUnixNano: uint64(s.Begin.UnixNano()), EndTimeUnixNano: uint64(s.End.UnixNano()),
		Attributes: []*commonpb.KeyValue{
			text("messaging.system", "mqtt"), text("messaging.destination.name", s.Topic), text("messaging.client.id", client), number("sluice.mqtt.qos", int64(s.QoS)),
		},
	}
	if s.Parent != [8]byte{} {
		out.ParentSpanId = s.Parent[:]
		out.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	operation := "send"
	out.Name, out.Kind = "publish", tracepb.Span_SPAN_KIND_PRODUCER
	if s.Kind == bridge.ConsumerSpan {
		operation = "process"
		out.Name, out.Kind = "deliver", tracepb.Span_SPAN_KIND_CONSUMER
	}
	out.Attributes = append(out.Attributes, text("messaging.operation.name", out.Name), text("messaging.operation.type", operation))
	if s.MessageID != "" {
		out.Attributes = append(out.Attributes, text("messaging.message.id", s.MessageID))
	}
	if s.Outcome != 0 {
		out.Attributes = append(out.Attributes, text("sluice.amqp.outcome", s.Outcome.String()))
	}
	if s.Failure != nil {
		out.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: s.Failure.Sentence}
		out.Attributes = append(out.Attributes, text("error.type", s.Failure.Name), text("sluice.condition", s.Failure.Condition))
	}
	return out
}

// resource is a request's content: the spans of one node.
func resource(node string, spans []*tracepb.Span) []*tracepb.ResourceSpans {
	return []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "sluice"), text("service.instance.id", node)}},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "sluice/gateway"}, Spans: spans}},
	}}
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}
