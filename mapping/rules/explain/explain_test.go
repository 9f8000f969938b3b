package explain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mapping/rules/explain"
)

func table(t *testing.T, list ...rules.Rule) *rules.Table {
	t.Helper()
	compiled, err := rules.Compile(list, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func ask(t *testing.T, rulesTable *rules.Table, q explain.Question) *explain.Explanation {
	t.Helper()
	e, err := explain.Ask(mapping.RabbitMQ, rulesTable, q)
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// TestText: the sentences that matter, for each kind of message. The whole text of ten messages is in docs/mapping.md and tested there.
func TestText(t *testing.T) {
	list := table(t,
		rules.Rule{Name: "routed", Topic: "must/{site}/{x}", Exchange: "e", Key: new("{site}"), Subject: new("{x}"), RequireRoute: true, PartitionKey: "{site}", Properties: map[string]string{"site": "{site}"}},
		rules.Rule{Topic: "queue/#", Queue: "q", Subject: new("s"), Direction: rules.Up},
		rules.Rule{Name: "beside", Topic: "beside/#", Exchange: "beside"},
		rules.Rule{Name: "up", Topic: "up/{x}", Exchange: "ups", Key: new("k.{x}"), Direction: rules.Up},
		rules.Rule{Name: "upright", Topic: "upright/{x}", Exchange: "ups", Direction: rules.Up},
		rules.Rule{Name: "legacy", Direction: rules.Down, Exchange: "legacy", Key: new("dev.{id}"), Topic: "commands/{id}"},
	)
	for _, c := range []struct {
		name string
		q    explain.Question
		want []string
		not  []string
	}{
		{"no rule", explain.Question{Topic: "a/b", QoS: 2, Retain: true}, []string{
			"a device publishes to a/b at QoS 2, MQTT 5.0", "no rule matches: the defaults hold", `"/exchanges/amq.topic/a.b"  (string)`,
			"released (no queue takes it)  acknowledged with 0x10", "  devices that subscribe to a/b\n", "\nwhat a device gets\n", "RETAIN      true, as published", "by annotation x-opt-mqtt-topic", "\n  nothing\n"}, nil},
		{"a rule that requires a route", explain.Question{Topic: "must/hall/1", QoS: 1, User: []string{"site=x", "a\nb=1"}}, []string{
			"rule 1 (routed)\n", `"/exchanges/e/hall"  (string)`, "x-opt-partition-key", `site    "hall"  (string)`, "refused with 0x83", "  devices that subscribe to must/hall/1\n", "\nwhat a device gets\n", `User Property "a\nb"`, `to the bus      User Property "site": a mapping rule says otherwise`, "to the device   message-annotation \"x-opt-partition-key\""}, []string{"one way"}},
		{"a queue, MQTT 3.1.1", explain.Question{Topic: "queue/1", QoS: 1, V311: true}, []string{
			"rule 2\n  one way only: direction is up\n", "no device by its subscription: the message goes to the queue q", "accepted                      acknowledged\n", "disconnected, since MQTT 3.1.1 has no negative acknowledgement", "no answer yet", "MQTT properties"}, []string{"0x00"}},
		{"one way", explain.Question{Topic: "up/1"}, []string{`no device: a subscription to up/1 is bound to amq.topic "up.1", and the message goes to ups "k.1"`, "what a device would get"}, nil},
		{"one way, by the key of the topic", explain.Question{Topic: "upright/1"}, []string{"devices that subscribe to upright/1, if the exchange ups is bound to amq.topic on the bus"}, nil},
		{"another exchange", explain.Question{Topic: "beside/1"}, []string{"  devices that subscribe to beside/1\n", "QoS 0 is not acknowledged; a refusal is logged and counted"}, nil},
		{"a backend, by rule", explain.Question{Address: "/exchanges/legacy/dev.7", QoS: 2, User: []string{"a=1"}, Expiry: 60}, []string{
			"a backend sends a message to /exchanges/legacy/dev.7\n", "rule 6 (legacy)\n  one way only: direction is down\n", `"commands/7", by rule 6 (legacy)`, "QoS                      2,", "Message Expiry Interval  60", `User Property a          "1"`}, []string{"what the bus answers"}},
		{"a backend, reversed", explain.Question{Address: "/exchanges/e/hall", Subject: "1"}, []string{`"must/hall/1", by rule 1 (routed)`}, []string{"one way"}},
		{"a backend, by default", explain.Question{Address: "/exchanges/amq.topic/a.b"}, []string{"no rule matches", `"a/b", by the routing key`, "  devices that subscribe to a/b\n"}, nil},
		{"a backend, by subject", explain.Question{Subject: "a/b"}, []string{"with subject a/b", `"a/b", by the subject`}, []string{"who gets it"}},
		{"a backend, undeliverable", explain.Question{Address: "/queues/q"}, []string{"no device can get it", "names no topic"}, []string{"what a device"}},
		{"bytes that are no text", explain.Question{Topic: "a", Payload: []byte{0xff, 0}}, []string{"2 bytes: 0xff00"}, nil},
		{"a long payload", explain.Question{Topic: "a", Payload: []byte(strings.Repeat("x", 300))}, []string{"300 bytes: \"xxx", "xxx\" ..."}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := ask(t, list, c.q).Text()
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("it does not say %q:\n%s", w, text)
				}
			}
			for _, n := range c.not {
				if strings.Contains(text, n) {
					t.Errorf("it says %q:\n%s", n, text)
				}
			}
		})
	}
}

func TestQuestionsWithoutSense(t *testing.T) {
	for _, c := range []struct {
		name string
		q    explain.Question
		want string
	}{
		{"nothing", explain.Question{}, "nothing is asked"},
		{"both", explain.Question{Topic: "a", Address: "/queues/q"}, "give one or the other"},
		{"wildcard", explain.Question{Topic: "a/+"}, `the topic "a/+"`},
		{"QoS", explain.Question{Topic: "a", QoS: 3}, "QoS 3"},
		{"3.1.1 with properties", explain.Question{Topic: "a", V311: true, User: []string{"a=b"}}, "MQTT 3.1.1 has no properties"},
		{"user property", explain.Question{Topic: "a", User: []string{"ab"}}, "write key=value"},
		{"response topic", explain.Question{Topic: "a", ResponseTopic: "b/#"}, `response topic "b/#"`},
		{"address", explain.Question{Address: "a/b"}, "/exchanges/NAME/KEY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := explain.Ask(mapping.RabbitMQ, nil, c.q); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The JSON form has every part, and lists where there are none.
func TestJSON(t *testing.T) {
	e := ask(t, nil, explain.Question{Topic: "a", QoS: 1, User: []string{"sluice-x=1"}})
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"direction":"up"`, `"rule":null`, `{"name":"to","type":"string","value":"\"/exchanges/amq.topic/a\""}`, `"reached":true`,
		`"losses":{"up":["User Property \"sluice-x\": the name is reserved for the gateway"],"down":[]}`, `"found_by":"annotation x-opt-mqtt-topic"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is missing in %s", part, text)
		}
	}
}

// A subscription's exchanges, and what it does not hear.
func TestSubscribe(t *testing.T) {
	list := table(t,
		rules.Rule{Name: "plant", Topic: "plant/{site}/{kind}", Exchange: "plants", Key: new("{site}.{kind}")},
		rules.Rule{Name: "meters", Topic: "plant/meter/{id}", Queue: "meters"},
	)
	s, err := explain.Subscribe(mapping.RabbitMQ, list, explain.Question{Filter: "$share/g/plant/+/temp"})
	const want = `a device subscribes to $share/g/plant/+/temp

its messages come from, under keys that match
  amq.topic  "plant.*.temp"
  plants     "*.temp", by rule 1 (plant)
what comes is matched again, by its topic

what it does not get
  rule 2 (meters): it sends to a queue, and what is there is for whoever consumes from it
`
	if got := s.Text(); err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if s, _ := explain.Subscribe(mapping.RabbitMQ, nil, explain.Question{Filter: "a"}); !strings.Contains(s.Text(), "nothing of what rules send") {
		t.Errorf("without rules:\n%s", s.Text())
	}
	if _, err := explain.Subscribe(mapping.RabbitMQ, nil, explain.Question{Filter: "a", Subject: "b"}); err == nil {
		t.Error("a filter and a subject")
	}
}

// What becomes of a refused message is what the rule's on_error says.
func TestOnError(t *testing.T) {
	for _, c := range []struct {
		onError   string
		v311, v50 string
	}{
		{"close", "disconnected, since", "refused with 0x83"},
		{"report", "told on $sluice/errors, then acknowledged", "refused with 0x83"},
		{"quarantine", "stored in the quarantine, then acknowledged", "stored in the quarantine, then acknowledged"},
	} {
		list := table(t, rules.Rule{Topic: "a", OnError: c.onError})
		for v311, want := range map[bool]string{true: c.v311, false: c.v50} {
			e := ask(t, list, explain.Question{Topic: "a", QoS: 1, V311: v311})
			found := false
			for _, o := range e.Outcomes {
				found = found || o.Bus == "rejected" && strings.HasPrefix(o.Device, want)
			}
			if !found {
				t.Errorf("%s, 3.1.1 %t: %+v; want %q", c.onError, v311, e.Outcomes, want)
			}
		}
	}
}
