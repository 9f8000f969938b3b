package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// collected is an OpenTelemetry collector that keeps the spans it gets.
type collected struct {
	t   *testing.T
	URL string

	mu    sync.Mutex
	spans []*tracepb.Span
}

func collect(t *testing.T) *collected {
	t.Helper()
	c := &collected{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := gzip.NewReader(r.Body)
	if err != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("a request for %s: %v", r.URL, err)
		return
	}
	var request collector.ExportTraceServiceRequest
	b, err := io.ReadAll(content)
	if err == nil {
		err = proto.Unmarshal(b, &request)
	}
	if err != nil {
		c.t.Errorf("no request of OTLP: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// span waits for the span of this name about a topic.
func (c *collected) span(name, topic string) *tracepb.Span {
	c.t.Helper()
	var found *tracepb.Span
	rig.Eventually(c.t, "a span "+name+" of "+topic, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.spans, func(s *tracepb.Span) bool {
			return s.Name == name && attribute(s, "messaging.destination.name") == topic
		})
		if i < 0 {
			return fmt.Errorf("not among %d", len(c.spans))
		}
		found = c.spans[i]
		return nil
	})
	return found
}

func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func userProperty(p *packet.Publish, key string) string {
	for _, u := range p.Properties.User {
		if u.Key == key {
			return u.Value
		}
	}
	return ""
}

// A message from device to device has a span on each node, both of one trace: the device's own, or else the gateway's.
func TestSpansOfAMessage(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		c := collect(t)
		first, second := rig.Pair(t, b, "tracing.otlp_endpoint="+c.URL)
		prefix := rig.Prefix(t)
		receiver, _ := rig.Dial(t, second, packet.V5, rig.Clean(prefix+"-receiver"))
		receiver.Subscribe(prefix+"/#", 1)
		sender, _ := rig.Dial(t, first, packet.V5, rig.Clean(prefix+"-sender"))

		sender.Publish(prefix+"/ours", []byte("1"), 1)
		got := receiver.Collect(1)[0]
		up, down := c.span("publish", prefix+"/ours"), c.span("deliver", prefix+"/ours")
		if up.Kind != tracepb.Span_SPAN_KIND_PRODUCER || down.Kind != tracepb.Span_SPAN_KIND_CONSUMER || len(up.ParentSpanId) != 0 {
			t.Errorf("published with %v, delivered with %v", up, down)
		}
		if string(up.TraceId) != string(down.TraceId) || string(down.ParentSpanId) != string(up.SpanId) {
			t.Errorf("delivered in %x below %x, published in %x as %x", down.TraceId, down.ParentSpanId, up.TraceId, up.SpanId)
		}
		if want := fmt.Sprintf("00-%x-%x-01", up.TraceId, up.SpanId); userProperty(got, "traceparent") != want {
			t.Errorf("the receiver gets %v, want traceparent %s", got.Properties.User, want)
		}
		for s, client := range map[*tracepb.Span]string{up: "-sender", down: "-receiver"} {
			if got := attribute(s, "messaging.client.id"); got != prefix+client || attribute(s, "sluice.amqp.outcome") != "accepted" || s.Status != nil {
				t.Errorf("the span of %s: %v", client, s)
			}
			if s.EndTimeUnixNano < s.StartTimeUnixNano || s.StartTimeUnixNano == 0 {
				t.Errorf("the span of %s lasts from %d to %d", client, s.StartTimeUnixNano, s.EndTimeUnixNano)
			}
		}

		const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		publishTraced(sender, prefix+"/own", "00-"+trace+"-"+span+"-01")
		if got := userProperty(receiver.Collect(1)[0], "traceparent"); got != "00-"+trace+"-"+span+"-01" {
			t.Errorf("the device's own traceparent arrives as %q", got)
		}
		for _, name := range []string{"publish", "deliver"} {
			if s := c.span(name, prefix+"/own"); fmt.Sprintf("%x %x %s", s.TraceId, s.ParentSpanId, s.TraceState) != trace+" "+span+" vendor=1" {
				t.Errorf("%s: trace %x below %x, state %q", name, s.TraceId, s.ParentSpanId, s.TraceState)
			}
		}
	})
}

// publishTraced sends a QoS 1 message with a trace context and gives its answer.
func publishTraced(d *mqtttest.Device, topic, traceparent string) *packet.Ack {
	p := &packet.Publish{Topic: topic, QoS: 1, ID: d.NextID(), Payload: []byte("2")}
	p.Properties.User = []packet.UserProperty{{Key: "traceparent", Value: traceparent}, {Key: "tracestate", Value: "vendor=1"}}
	d.Send(p)
	return d.ExpectAck(packet.PUBACK, p.ID)
}

// A refused message has a span that says so, in the trace that the device is told.
func TestSpanOfARefusedMessage(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		c := collect(t)
		prefix := rig.Prefix(t)
		n := rig.StartWith(t, b, strings.ReplaceAll(refusingRules, "PREFIX", prefix), "tracing.otlp_endpoint="+c.URL)
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		for _, given := range []string{"", "no trace context"} {
			topic := prefix + "/broken/" + strings.ReplaceAll(given, " ", "-")
			p := &packet.Publish{Topic: topic, QoS: 1, ID: d.NextID()}
			if given != "" {
				p.Properties.User = []packet.UserProperty{{Key: "traceparent", Value: given}}
			}
			d.Send(p)
			ack := d.ExpectAck(packet.PUBACK, p.ID)
			s := c.span("publish", topic)
			if s.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || attribute(s, "error.type") != "no-route" {
				t.Errorf("the span: %v", s)
			}
			told := ""
			for _, u := range ack.Properties.User {
				if u.Key == "sluice-trace" {
					told = u.Value
				}
			}
			if told != fmt.Sprintf("%x", s.TraceId) {
				t.Errorf("the device is told trace %q, the span is in %x", told, s.TraceId)
			}
		}
	})
}
