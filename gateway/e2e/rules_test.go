package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// ruleFile are rules under a prefix; queue is a queue that is there.
func ruleFile(b rig.Backend, prefix, queue string) string {
	return strings.NewReplacer("PREFIX", prefix, "QUEUE", b.QueueName(queue), "EXCHANGE", b.Dialect.Exchange(), "ROUTED", fmt.Sprint(b.Dialect.TellsUnrouted())).Replace(`
rules:
  - name: to a queue
    topic: PREFIX/queue/{site}/{kind}
    direction: up
    queue: QUEUE
    subject: "{kind}"
    content_type: text/csv
    content_encoding: identity
    ttl: 10m
    priority: 7
    group_id: "{site}"
    partition_key: "{site}"
    properties:
      Site: "{site}"
      source: devices
  - name: must be routed
    topic: PREFIX/must/{rest...}
    key: PREFIX-nobody.{rest}
    require_route: ROUTED
  - name: renamed on the way down
    direction: down
    exchange: EXCHANGE
    key: PREFIX.in.{device}
    topic: PREFIX/in/device/{device}
`)
}

// What a device publishes goes where the rule says, with what it says, from plain MQTT 3.1.1 as well; so does its will. The answer is that of the
// rule, and what no rule matches is as ever.
func TestRulesUp(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		queue := prefix + "-rules"
		rig.RuleQueue(t, b, queue)
		n := rig.StartWith(t, b, ruleFile(b, prefix, queue), b.OwnSessions()...)
		bus := rig.OpenBus(t, n)
		q := bus.Attach(queue)
		usual := bus.Queue(prefix + "/#")

		d := mqtttest.Dial(t, n.TCP, packet.V311)
		d.Connect(mqtttest.ClientID(prefix+"-v3"), func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: prefix + "/queue/hall/will", Payload: []byte("gone"), QoS: 1}
		})
		d.Publish(prefix+"/queue/hall/temp", []byte("21.5"), 1)
		checkRuled(t, b, q.Take(), prefix+"/queue/hall/temp", "temp", "21.5")
		d.Close()
		checkRuled(t, b, q.Take(), prefix+"/queue/hall/will", "will", "gone")

		d = mqtttest.Dial(t, n.TCP, packet.V5)
		d.Connect(mqtttest.ClientID(prefix + "-v5"))
		for qos := range packet.QoS(3) {
			d.Publish(prefix+"/queue/x/y", []byte{'0' + byte(qos)}, qos)
			checkRuled(t, b, q.Take(), prefix+"/queue/x/y", "y", string('0'+byte(qos)))
		}
		if r := d.Publish(prefix+"/must/a/b", nil, 1); b.Dialect.TellsUnrouted() && r != packet.ImplementationSpecificError {
			t.Errorf("a message that must be routed and is not: %v", r)
		}
		if r := d.Publish(prefix+"/other", []byte("as ever"), 1); r != packet.Success {
			t.Errorf("a message without rule: %v", r)
		}
		if m := usual.Take(); string(m.Data[0]) != "as ever" || m.Properties.Subject != prefix+"/other" || len(b.Own(t, m)) > 0 {
			t.Errorf("without rule, or something a rule had sent elsewhere: %+v", m)
		}
	})
}

func checkRuled(t *testing.T, b rig.Backend, m *message.Message, topic, subject, payload string) {
	t.Helper()
	site := strings.Split(topic, "/")[2]
	type seen struct {
		Topic, PartitionKey, Subject, ContentType, ContentEncoding, GroupID, Payload string
		Priority                                                                     uint8
		Application                                                                  map[string]any
		Expires                                                                      bool
	}
	text := func(name string) string { return fmt.Sprint(mapping.Mark(m, name)) }
	got := seen{
		text("x-opt-mqtt-topic"), text("x-opt-partition-key"), m.Properties.Subject, m.Properties.ContentType, m.Properties.ContentEncoding, m.Properties.GroupID,
		string(m.Data[0]), m.Header.Priority, b.Own(t, m), m.Header.TTL > 0 && !m.Properties.AbsoluteExpiry.IsZero(),
	}
	want := seen{topic, site, subject, "text/csv", "identity", site, payload, 7, map[string]any{"Site": site, "source": "devices"}, true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A backend's message has the topic that a rule says, on the session lane and on the node lane; explain says so at the administration port.
func TestRulesDown(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		rig.RuleQueue(t, b, prefix+"-unused")
		n := rig.StartWith(t, b, ruleFile(b, prefix, prefix+"-unused"), b.OwnSessions()...)
		bus := rig.OpenBus(t, n)
		var subscribed []*mqtttest.Device
		for qos := range packet.QoS(2) {
			d := mqtttest.Dial(t, n.TCP, packet.V5)
			d.Connect(mqtttest.ClientID(fmt.Sprint(prefix, "-", qos)))
			d.Subscribe(prefix+"/in/#", qos)
			subscribed = append(subscribed, d)
		}
		bus.Send(bus.Message(prefix+"/in/7", []byte("on"), 1))
		for i, d := range subscribed {
			if m := d.Collect(1)[0]; m.Topic != prefix+"/in/device/7" || string(m.Payload) != "on" || int(m.QoS) != i {
				t.Errorf("device %d got %q on %s at QoS %d", i, m.Payload, m.Topic, m.QoS)
			}
		}
		// A device's own message keeps its topic, whatever rule its address meets: the annotation says it.
		subscribed[0].Publish(prefix+"/in/8", []byte("mine"), 1)
		for i, d := range subscribed {
			if m := d.Collect(1)[0]; m.Topic != prefix+"/in/8" || string(m.Payload) != "mine" {
				t.Errorf("device %d got %q on %s", i, m.Payload, m.Topic)
			}
		}
		answer, err := http.Get("http://" + n.Admin + "/api/v1/explain?address=" + url.QueryEscape(n.Address(prefix+"/in/7")))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"topic":"`+prefix+`/in/device/7","found_by":"rule 3 (renamed on the way down)"`) {
			t.Errorf("explain: %s, %v: %s", answer.Status, err, body)
		}
	})
}
