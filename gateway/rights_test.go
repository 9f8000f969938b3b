package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/bridge"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

const (
	openPlant = `rules:
  - allow: slow
    do: subscribe
    topics: plant/slow
    qos_max: 0
  - allow: all
    do: [publish, subscribe]
    topics: "#"
`
	secretPlant = `rules:
  - deny: secret
    do: subscribe
    topics: plant/secret
  - allow: all
    do: [publish, subscribe]
    topics: "#"
`
	noPlant = `rules:
  - deny: plant
    do: subscribe
    topics: plant/#
  - allow: all
    do: [publish, subscribe]
    topics: "#"
`
)

// plant is a node under rules, and a device that publishes.
func plant(b *bubble, rules string) (*bubbleNode, *mqtttest.Device) {
	b.change = func(o *Options) { o.Policy = mustPolicy(b.t, rules) }
	n := b.start("n", b.store)
	publisher, _ := n.connect("publisher", packet.V5)
	return n, publisher
}

// series are those of a metric, with their values, as a scrape shows them.
func (n *bubbleNode) series(t *testing.T, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	n.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var found []string
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok && strings.HasPrefix(rest, "{") {
			found = append(found, rest)
		}
	}
	return strings.Join(found, " ")
}

func publishAll(t *testing.T, d *mqtttest.Device, topics ...string) {
	t.Helper()
	for _, name := range topics {
		if r := d.Publish(name, []byte("x"), 1); r.Failed() {
			t.Fatalf("publishing to %s: %v", name, r)
		}
	}
}

// expectTopics takes messages until that of the last topic has come. Each lane keeps its order, so what is held back would have come before.
func expectTopics(t *testing.T, d *mqtttest.Device, want ...string) []*packet.Publish {
	t.Helper()
	got := d.Collect(len(want))
	var topics []string
	for _, p := range got {
		topics = append(topics, p.Topic)
	}
	if !slices.Equal(topics, want) {
		t.Fatalf("got %v, want %v", topics, want)
	}
	return got
}

// What is denied within a subscription is held back, on both lanes and of the retained messages, and the rest comes.
func TestRulesHoldBackWithinASubscription(t *testing.T) {
	for _, qos := range []packet.QoS{0, 1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				n, publisher := plant(b, secretPlant)
				for _, name := range []string{"plant/secret", "plant/shown"} {
					p := &packet.Publish{Topic: name, QoS: 1, ID: publisher.NextID(), Retain: true, Payload: []byte("retained")}
					publisher.Send(p)
					publisher.ExpectAck(packet.PUBACK, p.ID)
				}
				d, _ := n.connect("d", packet.V5)
				if r := d.Subscribe("plant/#", qos); r != packet.ReasonCode(qos) {
					t.Fatalf("SUBACK %v", r)
				}
				expectTopics(t, d, "plant/shown")
				publishAll(t, publisher, "plant/secret", "plant/1", "plant/secret", "plant/2")
				expectTopics(t, d, "plant/1", "plant/2")
				synctest.Wait()
				if held := n.series(t, "sluice_access_held_back_total"); held != `{rule="secret"} 3` {
					t.Errorf("counted as held back are %s, want 3 by the rule secret", held)
				}
			})
		})
	}
}

// New rules are in force when SetPolicy returns, for devices that are connected, and for what waits for those that are not.
func TestNewRulesAreInForceAtOnce(t *testing.T) {
	for _, qos := range []packet.QoS{0, 1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				n, publisher := plant(b, openPlant)
				d, _ := n.connect("d", packet.V5)
				away, _ := n.connect("away", packet.V5)
				d.Subscribe("plant/#", qos)
				away.Subscribe("plant/#", qos)
				away.Disconnect()
				publishAll(t, publisher, "plant/secret", "plant/1")
				expectTopics(t, d, "plant/secret", "plant/1")
				n.SetPolicy(mustPolicy(t, secretPlant))
				publishAll(t, publisher, "plant/secret", "plant/2")
				expectTopics(t, d, "plant/2")
				away, _ = n.connect("away", packet.V5)
				synctest.Wait() // CONNACK does not wait until QoS 0 subscriptions are resumed
				if qos > 0 {
					expectTopics(t, away, "plant/1", "plant/2")
				}
				n.SetPolicy(mustPolicy(t, openPlant))
				publishAll(t, publisher, "plant/secret")
				expectTopics(t, d, "plant/secret")
				expectTopics(t, away, "plant/secret")
			})
		})
	}
}

// subscriptions are those that the store has of a session.
func subscriptions(b *bubble, id string) (filters []string) {
	b.t.Helper()
	s, err := b.store.Get(b.t.Context(), sessionstore.Key{Tenant: access.DefaultTenant, Principal: access.AnonymousName, ClientID: id}, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, sub := range s.Subscriptions {
		filters = append(filters, sub.Filter)
	}
	return filters
}

// A subscription that matches nothing any more that the device may hear ends, also that of a device which was away, and it is told.
func TestSubscriptionsEndWithTheirRights(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n, publisher := plant(b, openPlant)
		d, _ := n.connect("d", packet.V5)
		away, _ := n.connect("away", packet.V5)
		for _, device := range []*mqtttest.Device{d, away} {
			for _, f := range []string{"$sluice/errors", "plant/a", "$share/g/plant/#", "other"} {
				if r := device.Subscribe(f, 1); r.Failed() {
					t.Fatalf("%s: %v", f, r)
				}
			}
		}
		away.Disconnect()
		n.SetPolicy(mustPolicy(t, noPlant))
		expectEnded(t, d)
		away, _ = n.connect("away", packet.V5)
		expectEnded(t, away)
		synctest.Wait()
		for _, id := range []string{"d", "away"} {
			if got := subscriptions(b, id); !slices.Equal(got, []string{"$sluice/errors", "other"}) {
				t.Errorf("the subscriptions of %s are %v", id, got)
			}
		}
		n.SetPolicy(mustPolicy(t, openPlant)) // what has ended does not come back
		publishAll(t, publisher, "plant/a", "other")
		expectTopics(t, d, "other")
	})
}

func expectEnded(t *testing.T, d *mqtttest.Device) {
	t.Helper()
	var ended []string
	for _, p := range d.Collect(2) {
		if p.Topic != "$sluice/errors" || !strings.Contains(string(p.Payload), `"name":"subscription-ended"`) {
			t.Fatalf("%s %s", p.Topic, p.Payload)
		}
		ended = append(ended, string(p.Payload))
	}
	if all := strings.Join(ended, " "); !strings.Contains(all, `"topic":"plant/a"`) || !strings.Contains(all, `"topic":"$share/g/plant/#"`) {
		t.Errorf("ended: %s", all)
	}
}

// A shared subscription takes messages from others, so it is granted only where its member may hear them all.
func TestSharedSubscriptionsNeedAllOfTheirTopics(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n, publisher := plant(b, secretPlant)
		d, _ := n.connect("d", packet.V5)
		if r := d.Subscribe("$share/g/plant/#", 1); r != packet.NotAuthorized {
			t.Errorf("all of the plant: %v", r)
		}
		if r := d.Subscribe("$share/g/plant/+/x", 1); r != packet.GrantedQoS1 {
			t.Errorf("what is open: %v", r)
		}
		publishAll(t, publisher, "plant/1/x")
		expectTopics(t, d, "plant/1/x")
	})
}

// qos_max of a part counts message by message.
func TestQoSMaxOfAPart(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n, publisher := plant(b, openPlant)
		d, _ := n.connect("d", packet.V5)
		if r := d.Subscribe("plant/slow", 2); r != packet.Success {
			t.Errorf("SUBACK %v, want QoS 0", r)
		}
		if r := d.Subscribe("plant/#", 2); r != packet.GrantedQoS2 {
			t.Errorf("SUBACK %v, want QoS 2", r)
		}
		publishAll(t, publisher, "plant/slow", "plant/fast")
		got := expectTopics(t, d, "plant/slow", "plant/fast")
		if got[0].QoS != 0 || got[1].QoS != 1 {
			t.Errorf("QoS %d and %d, want 0 and 1", got[0].QoS, got[1].QoS)
		}
	})
}

// A device whose groups change by a re-authentication is judged by the new ones at once.
func TestOtherGroupsMeanOtherRights(t *testing.T) {
	const staffOnly = `rules:
  - allow: staff
    who: {groups: staff}
    do: [publish, subscribe]
    topics: "#"
`
	inBubble(t, func(b *bubble) {
		staff := access.Principal{Tenant: "t", Name: "p", Groups: []string{"staff"}}
		says := &judge{who: &access.Principal{Tenant: "t", Name: "publisher", Groups: []string{"staff"}}}
		b.auth.Methods = []auth.Method{{Name: "judge", Authenticator: says}}
		n, publisher := plant(b, staffOnly)
		says.set(func() { says.who = &staff })
		d, _ := n.connect("d", packet.V5)
		d.Subscribe("a", 1)
		d.Subscribe("$sluice/errors", 0)
		leaver := staff
		leaver.Groups = nil
		for _, device := range n.directory.connections() {
			if device.key().ClientID == "d" {
				device.principal.Store(&leaver)
				device.post(bridge.AccessChanged{})
			}
		}
		publishAll(t, publisher, "a")
		if got := d.Collect(1)[0]; got.Topic != "$sluice/errors" || !strings.Contains(string(got.Payload), "subscription-ended") {
			t.Errorf("got %s %s", got.Topic, got.Payload)
		}
		if r := d.Publish("a", nil, 1); r != packet.NotAuthorized {
			t.Errorf("PUBACK %v", r)
		}
	})
}

// The series of rules that are gone go too: an operator who edits the file often does not fill the memory.
func TestSeriesOfRulesThatAreGone(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n, _ := plant(b, secretPlant)
		n.metrics.denials.WithLabelValues("publish", "secret").Inc()
		n.metrics.heldBack.WithLabelValues("secret").Inc()
		n.metrics.heldBack.WithLabelValues("none").Inc()
		n.SetPolicy(mustPolicy(t, openPlant))
		if denied, held := n.series(t, "sluice_access_denials_total"), n.series(t, "sluice_access_held_back_total"); denied != "" || held != `{rule="none"} 1` {
			t.Errorf("there are the series %q and %q", denied, held)
		}
	})
}
