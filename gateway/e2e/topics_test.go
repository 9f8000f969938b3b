package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// The names and filters that mean something in routing keys, patterns or addresses. P stands for the test's prefix; expected is for each
// filter which of names it matches.
var (
	names = []string{
		"P", "P/", "P/a", "P/a/b", "P/a/b/c", "P//b", "P/a/", "P/a.b", "P/a b", "P/*", "P/%2E", "P/%", "P/ä€😀", "P/$x", "/P", "P/own-P", "$P/own-P",
	}
	expected = map[string][]string{
		"P/#": {"P", "P/", "P/a", "P/a/b", "P/a/b/c", "P//b", "P/a/", "P/a.b", "P/a b", "P/*", "P/%2E", "P/%", "P/ä€😀", "P/$x", "P/own-P"},
		"P/+": {"P/", "P/a", "P/a.b", "P/a b", "P/*", "P/%2E", "P/%", "P/ä€😀", "P/$x", "P/own-P"},
		// [MQTT-4.7.1-2]: the level above # matches as well.
		"P/a/#":   {"P/a", "P/a/b", "P/a/b/c", "P/a/"},
		"P/a/+":   {"P/a/b", "P/a/"},
		"P/+/b":   {"P/a/b", "P//b"},
		"P/+/+/c": {"P/a/b/c"},
		"P/+/":    {"P/a/"},
		"P//b":    {"P//b"},
		"P/a.b":   {"P/a.b"},
		"P/a b":   {"P/a b"},
		"P/*":     {"P/*"},
		"P/%2E":   {"P/%2E"},
		"P/ä€😀":   {"P/ä€😀"},
		"P":       {"P"},
		"+/P":     {"/P"},
		// [MQTT-4.7.2-1]: a leading wildcard does not match names that begin with $.
		"+/own-P": {"P/own-P"},
		"$P/#":    {"$P/own-P"},
	}
)

// Every filter gets exactly the messages that it matches, in order, on either lane.
func TestWildcards(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		for qos, lane := range []string{"node lane", "session lane"} {
			t.Run(lane, func(t *testing.T) {
				t.Parallel()
				prefix := rig.Prefix(t)
				real := func(s string) string { return strings.ReplaceAll(s, "P", prefix) }
				done := prefix + "-done"
				listeners := map[string]*mqtttest.Device{}
				for f := range expected {
					d, _ := rig.Dial(t, n, packet.V5)
					// The end of the messages comes last on the lane, so that one too many cannot hide behind it.
					for _, filter := range []string{real(f), done} {
						if r := d.Subscribe(filter, packet.QoS(qos)); r != packet.ReasonCode(qos) {
							t.Fatalf("SUBACK for %q: %v", filter, r)
						}
					}
					listeners[f] = d
				}
				publisher, _ := rig.Dial(t, n, packet.V5)
				for _, name := range append(slices.Clone(names), done) {
					if r := publisher.Publish(real(name), []byte(name), 1); r != packet.Success {
						t.Errorf("PUBACK for %q: %v", name, r)
					}
				}
				for f, want := range expected {
					var got []string
					for m := listeners[f].Collect(1)[0]; m.Topic != done; m = listeners[f].Collect(1)[0] {
						got = append(got, string(m.Payload))
						if m.Topic != real(string(m.Payload)) {
							t.Errorf("%q came as %q", m.Payload, m.Topic)
						}
					}
					if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("filter %s (-want +got):\n%s", f, diff)
					}
				}
			})
		}
	})
}

// Overlapping subscriptions give one copy, at the highest QoS, with all subscription identifiers [MQTT-3.3.4-2, MQTT-3.3.4-3].
func TestOverlappingSubscriptions(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			prefix := rig.Prefix(t)
			d, _ := rig.Dial(t, n, v)
			for i, s := range []packet.Subscription{{Filter: prefix + "/#", QoS: 0}, {Filter: prefix + "/a/+", QoS: 2}, {Filter: prefix + "/a/b", QoS: 1}} {
				subscribe := &packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{s}}
				if v == packet.V5 {
					subscribe.Properties.AddSubscriptionID(uint32(i + 1))
				}
				d.Send(subscribe)
				mqtttest.Expect[*packet.Suback](d)
			}
			publisher, _ := rig.Dial(t, n, v)
			// The second and the third message come behind the first, each on its lane: when both are there, no copy of the first is on its way.
			for _, name := range []string{"/a/b", "/a/c", "/d"} {
				publisher.Publish(prefix+name, []byte(name), 2)
			}
			type copied struct {
				QoS packet.QoS
				IDs []uint32
			}
			got := map[string]copied{}
			for _, m := range d.Collect(3) {
				slices.Sort(m.Properties.SubscriptionIDs)
				got[string(m.Payload)] = copied{m.QoS, m.Properties.SubscriptionIDs}
			}
			want := map[string]copied{"/a/b": {2, []uint32{1, 2, 3}}, "/a/c": {2, []uint32{1, 2}}, "/d": {0, []uint32{1}}}
			if v == packet.V311 {
				want = map[string]copied{"/a/b": {QoS: 2}, "/a/c": {QoS: 2}, "/d": {QoS: 0}}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	})
}

// A device with No Local gets what others publish and not what it publishes itself [MQTT-3.8.3-3].
func TestNoLocal(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		for qos := range packet.QoS(3) {
			topic := rig.Prefix(t) + "/x"
			d, _ := rig.Dial(t, n, packet.V5)
			d.Send(&packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{{Filter: topic, QoS: qos, NoLocal: true}}})
			mqtttest.Expect[*packet.Suback](d)
			other, _ := rig.Dial(t, n, packet.V5)
			d.Publish(topic, []byte("own"), 1)
			other.Publish(topic, []byte("other's"), 1)
			if got := d.Collect(1); string(got[0].Payload) != "other's" {
				t.Errorf("QoS %d: got %q", qos, got[0].Payload)
			}
		}
	})
}
