package bridge

import (
	"testing"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// ruled is a rig with mapping rules.
func ruled(t *testing.T, list ...rules.Rule) *rig {
	t.Helper()
	return ruledWith(t, session.State{}, list...)
}

// ruledWith is ruled, with what the session had.
func ruledWith(t *testing.T, state session.State, list ...rules.Rule) *rig {
	t.Helper()
	table, err := rules.Compile(list, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Rules = table
	return connectedWith(t, cfg, state)
}

// A rule says where a message goes and what the bus's answers mean; what no rule matches goes where it always went.
func TestRulesDecideAddressAndOutcome(t *testing.T) {
	list := []rules.Rule{
		{Topic: "must/{site}/#", Principals: []string{"pr"}, Tenants: []string{"t"}, Exchange: "e", Key: new("{site}"), RequireRoute: true, Properties: map[string]string{"site": "{site}"}},
		{Topic: "queue/#", Queue: "q", QoS: []int{1}},
		{Topic: "other/#", Principals: []string{"somebody else"}, Exchange: "wrong"},
	}
	for _, c := range []struct {
		topic, to string
		want      packet.ReasonCode
		held      bool
	}{
		{"must/7/x", "/exchanges/e/7", packet.ImplementationSpecificError, false},
		{"queue/a", "/queues/q", 0, true},
		{"other/a", "/exchanges/amq.topic/other.a", packet.NoMatchingSubscribers, false},
	} {
		t.Run(c.topic, func(t *testing.T) {
			r := ruled(t, list...)
			r.publish(7, 1, c.topic)
			if got := r.sent[0].Message; got.Properties.To != c.to || got.Annotations[mapping.AnnotationTopic] != c.topic {
				t.Errorf("sent to %q with %v, want %q", got.Properties.To, got.Annotations, c.to)
			}
			r.answer(0, message.Outcome{Kind: message.Released})
			if c.held {
				if len(r.packets) != 0 || r.reported(PublishHeld) != 1 {
					t.Errorf("it is not held: packets %v", r.packets)
				}
				return
			}
			if a := r.puback(0); a.ID != 7 || a.Reason != c.want {
				t.Errorf("got %+v, want PUBACK of 7 with %v", a, c.want)
			}
		})
	}
}

// What a rule did not let cross is reported like every loss.
func TestRulesReportWhatTheyTakeAway(t *testing.T) {
	r := ruled(t, rules.Rule{Topic: "a", Properties: map[string]string{"site": "x"}})
	p := &packet.Publish{ID: 1, QoS: 1, Topic: "a"}
	p.Properties.User = []packet.UserProperty{{Key: "site", Value: "forged"}}
	r.step(session.PacketReceived{Packet: p})
	if r.sent[0].Message.ApplicationProperties["site"] != "x" || r.reported(PublishLoss) != 1 {
		t.Errorf("sent %v, reports %v", r.sent[0].Message.ApplicationProperties, r.reports)
	}
}

// A backend's message has the topic that a rule finds for its address.
func TestRulesFindTheTopicOfADelivery(t *testing.T) {
	r := ruled(t, rules.Rule{Direction: rules.Down, Exchange: "legacy", Key: new("dev.{id}"), Topic: "commands/{id}"})
	r.changed(r.subscribe(1, sub("commands/+", 1)), LaneOK, LaneOK)
	r.step(session.LaneAttached{})
	m := backendMessage("x", true)
	m.Annotations["x-exchange"], m.Annotations["x-routing-key"] = "legacy", "dev.7"
	r.step(DeliveryArrived{Tag: 1, Message: m})
	for _, p := range r.packets {
		if p, ok := p.(*packet.Publish); ok && p.Topic == "commands/7" {
			return
		}
	}
	t.Errorf("packets %v, want a PUBLISH on commands/7", r.packets)
}

// BenchmarkPublish shows what rules cost a message: without rules, nothing.
func BenchmarkPublish(b *testing.B) {
	table, err := rules.Compile([]rules.Rule{{Topic: "a/{x}/#", Exchange: "e", Key: new("{x}"), Properties: map[string]string{"x": "{x}"}}}, mapping.RabbitMQ)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		table *rules.Table
	}{{"without rules", nil}, {"with a rule", table}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := testConfig()
			cfg.Rules = c.table
			br := New(&cfg, [16]byte{})
			e := session.Publish{Packet: &packet.Publish{Topic: "a/b/c", Payload: []byte("x")}, MessageID: "m"}
			var out []Effect
			b.ReportAllocs()
			for b.Loop() {
				out = br.publish(start, e, out[:0])
				br.uplink.remove(0)
			}
		})
	}
}

// A message that no rule matches costs no allocation more than without rules.
func TestRulesThatDoNotMatchAllocateNothing(t *testing.T) {
	table, err := rules.Compile([]rules.Rule{{Topic: "plant/{x}/#", Exchange: "e"}, {Topic: "a/b/c", QoS: []int{1}, Queue: "q"}}, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	cost := func(table *rules.Table) float64 {
		cfg := testConfig()
		cfg.Rules = table
		b := New(&cfg, [16]byte{})
		e := session.Publish{Packet: &packet.Publish{Topic: "a/b/c", Payload: []byte("x")}, MessageID: "m"}
		var out []Effect
		return testing.AllocsPerRun(100, func() {
			out = b.publish(start, e, out[:0])
			b.uplink.remove(0)
		})
	}
	if without, with := cost(nil), cost(table); with != without {
		t.Errorf("%v allocations with rules, %v without", with, without)
	}
}
