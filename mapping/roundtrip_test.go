package mapping_test

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	device = mapping.NewProvenance("acme", "meter-7", "c7", "node-a")
)

// messages is how many random messages each of the round trips takes. 100,000 take half a minute.
var messages = flag.Int("messages", 1000, "how many random messages go round")

// check runs a property over so many messages, in runs of as many as -rapid.checks says (100).
func check(t *testing.T, property func(*rapid.T)) {
	for range max(1, *messages/100) {
		if rapid.Check(t, property); t.Failed() {
			return
		}
	}
}

// text is any UTF-8 string of MQTT.
func text(most int) *rapid.Generator[string] {
	return rapid.Map(rapid.StringN(0, most, -1), func(s string) string { return strings.ReplaceAll(s, "\x00", "") })
}

func genPublish(t *rapid.T) *packet.Publish {
	p := &packet.Publish{
		Topic:   arbitraryName().Draw(t, "topic"),
		QoS:     packet.QoS(rapid.IntRange(0, 2).Draw(t, "qos")),
		Retain:  rapid.Bool().Draw(t, "retain"),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload"),
	}
	q := &p.Properties
	has := func(bit packet.PropertySet, name string) bool {
		present := rapid.Bool().Draw(t, name)
		if present {
			q.Set |= bit
		}
		return present
	}
	if has(packet.PropPayloadFormat, "format?") {
		q.PayloadFormat = byte(rapid.IntRange(0, 1).Draw(t, "format"))
	}
	if has(packet.PropMessageExpiry, "expiry?") {
		q.MessageExpiry = rapid.OneOf(rapid.Uint32Range(0, 100), rapid.Uint32()).Draw(t, "expiry")
	}
	if has(packet.PropContentType, "type?") {
		q.ContentType = rapid.OneOf(rapid.Just("application/json"), text(20)).Draw(t, "type")
	}
	if has(packet.PropResponseTopic, "response?") {
		q.ResponseTopic = arbitraryName().Draw(t, "response")
	}
	if has(packet.PropCorrelationData, "correlation?") {
		q.CorrelationData = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "correlation")
	}
	key := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "c", "", "sluice-x", "x-opt-sluice-client", "x-opt"}), text(5))
	for range rapid.IntRange(0, 5).Draw(t, "user") {
		q.User = append(q.User, packet.UserProperty{Key: key.Draw(t, "key"), Value: text(5).Draw(t, "value")})
	}
	return p
}

// asRouted is the message as the bus hands it out again.
func asRouted(t failer, d mapping.Dialect, m *message.Message) *message.Message {
	a, ok := d.ParseAddress(m.Properties.To)
	if !ok {
		t.Errorf("to %q is no address", m.Properties.To)
	}
	routed := *m
	routed.Annotations = make(map[string]any, len(m.Annotations)+2)
	maps.Copy(routed.Annotations, m.Annotations)
	routed.Annotations["x-exchange"], routed.Annotations["x-routing-key"] = a.Exchange, a.Key
	return &routed
}

// allForms are all ways of writing messages, on buses of all kinds.
func allForms() []mapping.Dialect {
	var all []mapping.Dialect
	for _, form := range forms {
		all = append(all, mapping.RabbitMQ.WithForm(form), mapping.Artemis("mqtt").WithForm(form),
			mapping.ServiceBus("topics", "replies").WithForm(form), mapping.EventHubs("topics", "").WithForm(form))
	}
	return all
}

// genEvent makes a CloudEvent of a message, by the names of either binding.
func genEvent(t *rapid.T, p *packet.Publish) {
	prefix := rapid.SampledFrom([]string{"", mapping.EventDashed, mapping.EventColon, mapping.EventUnderscore}).Draw(t, "event prefix")
	for _, name := range rapid.Permutation([]string{"specversion", "id", "source", "type", "time", "subject", "id"}).Draw(t, "attributes") {
		p.Properties.User = append(p.Properties.User, packet.UserProperty{Key: prefix + name, Value: text(5).Draw(t, name)})
	}
}

// MQTT 5 -> AMQP -> MQTT 5, each time over the wire, is the identity but for the declared losses.
func TestRoundTrip(t *testing.T) {
	kinds := allForms()
	check(t, func(t *rapid.T) {
		in := genPublish(t)
		if rapid.IntRange(0, 3).Draw(t, "event?") == 0 {
			genEvent(t, in)
		}
		dialect := rapid.SampledFrom(kinds).Draw(t, "dialect")
		now := noon.Add(time.Duration(rapid.IntRange(0, 999_999).Draw(t, "µs")) * time.Microsecond)
		m, up := mapping.Uplink(mapping.UplinkMessage{Dialect: dialect, Publish: throughMQTT(t, in), From: device, MessageID: "id-1", Received: now})
		if rapid.Bool().Draw(t, "with routing key") {
			m = asRouted(t, dialect, m)
		}
		out, down, err := mapping.Downlink(throughAMQP(t, m), mapping.DownlinkOptions{Dialect: dialect, Now: now})
		down = slices.DeleteFunc(down, func(l mapping.Loss) bool { return l.Name == mapping.AnnotationPartitionKey }) // Event Hubs has one with every message
		if err != nil || len(down) != 0 {
			t.Fatalf("on the way down: %v, losses %v", err, down)
		}
		want := *in
		want.Properties.User = nil
		for _, u := range in.Properties.User {
			lost := slices.ContainsFunc(up, func(l mapping.Loss) bool { return l.Field == mapping.FieldUserProperty && l.Name == u.Key })
			if lost != dialect.Reserved(u.Key) {
				t.Fatalf("User Property %q lost: %v", u.Key, lost)
			}
			if !lost {
				want.Properties.User = append(want.Properties.User, u)
			}
		}
		if diff := cmp.Diff(want, *throughMQTT(t, &out.Publish), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-sent +received), losses %v:\n%s", up, diff)
		}
		if out.Identity != "s:id-1" || out.Publisher != (mapping.Publisher{Tenant: "acme", Principal: "meter-7", ClientID: "c7", Node: "node-a"}) {
			t.Fatalf("identity %q, publisher %+v", out.Identity, out.Publisher)
		}
	})
}

// The message waits on the bus: Message Expiry counts down, rounded up, and an expired message is not live [MQTT-3.3.2-5, -6].
func TestExpiryCountsDown(t *testing.T) {
	in := &packet.Publish{Topic: "a", Properties: packet.Properties{Set: packet.PropMessageExpiry, MessageExpiry: 10}}
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: in, MessageID: "1", Received: noon})
	for _, c := range []struct {
		after   time.Duration
		seconds uint32
		live    bool
	}{
		{0, 10, true},
		{time.Millisecond, 10, true},
		{time.Second, 9, true},
		{9500 * time.Millisecond, 1, true},
		{10 * time.Second, 0, true},
		{10*time.Second + 1, 0, false},
		{time.Hour, 0, false},
		{-time.Second, 11, true}, // the clocks of two nodes differ
	} {
		d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon.Add(c.after)})
		seconds, live := d.Remaining(noon.Add(c.after))
		if err != nil || seconds != c.seconds || live != c.live || d.Publish.Properties.MessageExpiry != c.seconds {
			t.Errorf("after %v: %d s, live %v, in the template %d; want %d, %v",
				c.after, seconds, live, d.Publish.Properties.MessageExpiry, c.seconds, c.live)
		}
	}
	forever := mapping.DownlinkMessage{}
	if seconds, live := forever.Remaining(noon); seconds != 0 || !live {
		t.Errorf("without expiry: %d, %v", seconds, live)
	}
}
