package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// eventsOf starts a node with a queue of events of its own, and reads it.
func eventsOf(t *testing.T, b rig.Backend, prefix, rules string, set ...string) (*rig.Node, *rig.Queue) {
	t.Helper()
	if b.SessionsURL() != "" {
		set = append(set, "sessions.url="+rig.Alone(t)) // another node could do what is to be told here
	}
	n := rig.StartWith(t, b, strings.ReplaceAll(rules, "PREFIX", prefix), append([]string{"events.address=" + prefix + "-events"}, set...)...)
	bus := rig.OpenBus(t, n)
	bus.Remove(prefix + "-events")
	return n, bus.Attach(prefix + "-events")
}

// What happens to connections, sessions and Wills is told.
func TestEventsOfConnections(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		n, events := eventsOf(t, b, prefix, "")
		first, _ := rig.Dial(t, n, packet.V5, mqtttest.Persistent(prefix, 1))
		first.Subscribe(prefix, 1)
		second, _ := rig.Dial(t, n, packet.V5, mqtttest.Persistent(prefix, 1), func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: prefix + "/will", QoS: 1, Payload: []byte("gone")}
		})
		second.Close()
		// Nobody promises an order between a session's end and what another connection says of it.
		seen := map[string]map[string]any{}
		for range 5 {
			e := anyEvent(t, events)
			if e.Subject != prefix || e.Data["client"] != prefix {
				t.Errorf("not of this client: %+v", e)
			}
			seen[strings.TrimSuffix(e.Type+" "+fmt.Sprint(e.Data["name"]), " <nil>")] = e.Data
		}
		for _, want := range []struct{ event, field, has string }{
			{"sluice.session.taken-over", "previous_node", n.ID},
			{"sluice.connection.ended session-taken-over", "reason_code", "142"},
			{"sluice.connection.ended", "cause", "without a DISCONNECT"},
			{"sluice.will.published", "topic", prefix + "/will"},
			{"sluice.session.ended", "cause", "expired"},
		} {
			if got := fmt.Sprint(seen[want.event][want.field]); !strings.Contains(got, want.has) {
				t.Errorf("%s: %s is %q, want %q; seen %v", want.event, want.field, got, want.has, seen)
			}
		}
	})
}

const refusingRules = `
rules:
  - name: broken
    topic: PREFIX/broken/#
    direction: up
    key: PREFIX-nobody
    require_route: true
`

// What a device is refused is told under the trace id that the device got; when most is refused, that is told too, and what is too much is counted.
func TestEventsOfRefusals(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		n, events := eventsOf(t, b, prefix, refusingRules, "limits.subscriptions=1")
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		d.Subscribe(prefix+"/a", 0)
		if r := d.Subscribe(prefix+"/b", 0); r != packet.QuotaExceeded {
			t.Errorf("SUBACK: %v", r)
		}
		if e := event(t, events, "sluice.quota.exceeded").Data; e["of"] != "subscription" || e["topic"] != prefix+"/b" || e["name"] != "too-many-subscriptions" {
			t.Errorf("quota: %v", e)
		}
		if r := d.Subscribe("a/#/b", 0); r != packet.TopicFilterInvalid {
			t.Errorf("SUBACK: %v", r)
		}
		if e := event(t, events, "sluice.subscription.denied").Data; e["topic"] != "a/#/b" || e["reason_code"] != 143.0 {
			t.Errorf("subscription: %v", e)
		}
		p := &packet.Publish{ID: d.NextID(), QoS: 1, Topic: prefix + "/broken/x"}
		p.Properties.User = []packet.UserProperty{{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
		d.Send(p)
		ack := d.ExpectAck(packet.PUBACK, p.ID)
		e := event(t, events, "sluice.publish.refused")
		if e.Data["name"] != "no-route" || e.Data["rule"] != "broken" || e.Data["packet_id"] != float64(p.ID) || e.Data["qos"] != 1.0 || e.Data["message_id"] == nil ||
			e.Data["trace"] != "0af7651916cd43dd8448eb211c80319c" || !strings.HasPrefix(e.TraceParent, "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("refused: %+v", e)
		}
		if !strings.Contains(fmt.Sprint(ack.Properties.User), "0af7651916cd43dd8448eb211c80319c") {
			t.Errorf("PUBACK has %v", ack.Properties.User)
		}
		const more = 100 // of which 20 are told in 10 s, so that some are not, on a slow machine, too
		for range more {
			d.Publish(prefix+"/broken/x", nil, 1)
		}
		if e := event(t, events, "sluice.principal.wedged").Data; e["refused"] == nil || e["client"] != prefix {
			t.Errorf("wedged: %v", e)
		}
		if m := metrics(t, n); !strings.Contains(m, "sluice_wedged_principals 1") || !strings.Contains(m, "sluice_wedge_alarms_total 1") {
			t.Error("the metric does not say that a principal is wedged")
		}
		e = event(t, events, "sluice.events.suppressed")
		if count, _ := e.Data["count"].(float64); count < 1 || count > more || e.Data["client"] != prefix {
			t.Errorf("suppressed: %v", e.Data)
		}
		d.Disconnect()
	})
}

func metrics(t *testing.T, n *rig.Node) string {
	t.Helper()
	answer, err := http.Get("http://" + n.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
