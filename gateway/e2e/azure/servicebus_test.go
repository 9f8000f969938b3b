package azure

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"sluice/amqp/embedded/servicebus"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

func TestUplink(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	t.Run("devices", func(t *testing.T) {
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			d, _ := rig.Dial(t, n, v)
			for qos := range packet.QoS(3) {
				if r := d.Publish(fmt.Sprint("v", v, "/", qos), []byte("x"), qos); r != packet.Success {
					t.Errorf("QoS %d: %v", qos, r) // never 0x10: nobody says who subscribes
				}
			}
			d.Send(&packet.Disconnect{}) // in order behind the message at QoS 0
			d.ExpectClosed()
		})
	})
	got := map[string]int{}
	for range 6 {
		m := in.next()
		if m.Properties.Subject != m.Annotations["x-opt-mqtt-topic"] || m.Annotations["x-opt-sequence-number"] == nil || m.Properties.MessageID == nil {
			t.Errorf("%+v %v", m.Properties, m.Annotations)
		}
		got[m.Properties.Subject]++
	}
	if len(got) != 6 {
		t.Errorf("got %v", got)
	}
}

func TestRequestAndReply(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	d, _ := rig.Dial(t, n, packet.V5)
	d.Subscribe("replies/+", 0)
	p := &packet.Publish{Topic: "ask", QoS: 1, ID: d.NextID(), Payload: []byte("?")}
	p.Properties.ResponseTopic, p.Properties.Set = "replies/7", packet.PropResponseTopic
	d.Send(p)
	m := in.next()
	if m.Properties.ReplyTo != "commands" {
		t.Fatalf("reply-to %q", m.Properties.ReplyTo)
	}
	// As a backend does it: to the entity, with the topic as subject.
	app.send(m.Properties.ReplyTo, m.Annotations["x-opt-mqtt-response-topic"].(string), "!")
	if got := d.Collect(1)[0]; got.Topic != "replies/7" || string(got.Payload) != "!" {
		t.Errorf("the reply is %s %s", got.Topic, got.Payload)
	}
	d.ExpectAck(packet.PUBACK, p.ID)
}

func TestRulesToQueues(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	n := rig.StartWith(t, b, `rules:
- topic: alarm/{site}
  queue: alarms
  subject: "site {site}"
- topic: other/{entity}
  queue: x-{entity}
  direction: up
`, keys("a")...)
	in := newApplication(t, b).read("alarms")
	d, _ := rig.Dial(t, n, packet.V5)
	if r := d.Publish("alarm/north", []byte("fire"), 1); r != packet.Success {
		t.Errorf("alarm: %v", r)
	}
	if m := in.next(); body(m) != "fire" || m.Properties.Subject != "site north" {
		t.Errorf("%s, %+v", body(m), m.Properties)
	}
	// An entity that nobody has made: the device is told, and its other messages are not held up.
	if r := d.Publish("other/nowhere", []byte("x"), 1); r != packet.TopicNameInvalid {
		t.Errorf("an entity that is not there: %v", r)
	}
	if r := d.Publish("alarm/south", []byte("x"), 2); r != packet.Success {
		t.Errorf("afterwards: %v", r)
	}
}

// TestWhatIsOffered: devices are told what they do not get, and get what they are told.
func TestWhatIsOffered(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	d, connack := rig.Dial(t, n, packet.V5)
	p := connack.Properties
	if !p.Has(packet.PropSharedSubAvailable) || p.SharedSubAvailable != 0 || p.Has(packet.PropMaximumQoS) || p.Has(packet.PropRetainAvailable) {
		t.Errorf("CONNACK %+v", p)
	}
	for qos := range packet.QoS(3) {
		if r := d.Subscribe(fmt.Sprint("x/", qos), qos); r != packet.Success {
			t.Errorf("QoS %d is granted as %v", qos, r)
		}
	}
	if r := d.Subscribe("$share/g/x", 1); r != packet.SharedSubNotSupported {
		t.Errorf("a shared subscription: %v", r)
	}
	old, _ := rig.Dial(t, n, packet.V311)
	if r := old.Subscribe("x/1", 2); r != packet.Success {
		t.Errorf("3.1.1: %v", r)
	}
	response, err := http.Get("http://" + n.Admin + "/capabilities")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var told struct {
		Listeners []struct {
			MaximumQoS      int  `json:"maximum_qos"`
			SubscriptionQoS *int `json:"subscription_qos_maximum"`
			Shared          bool `json:"shared_subscription_available"`
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&told); err != nil {
		t.Fatal(err)
	}
	if l := told.Listeners; len(l) != 1 || l[0].MaximumQoS != 2 || l[0].SubscriptionQoS == nil || *l[0].SubscriptionQoS != 0 || l[0].Shared {
		t.Errorf("/capabilities: %+v", told)
	}
}

// TestFanOut: each node has its subscription, and hands what comes to all of its devices.
func TestFanOut(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	app := newApplication(t, b)
	const each, count = 3, 50
	var devices []*mqtttest.Device
	for _, id := range []string{"a", "b"} {
		n := start(t, b, id)
		for range each {
			d, _ := rig.Dial(t, n, packet.V5)
			d.Subscribe("cmd/#", 2)
			devices = append(devices, d)
		}
	}
	for i := range count {
		app.send("commands", fmt.Sprint("cmd/", i), fmt.Sprint(i))
		app.send("commands", fmt.Sprint("other/", i), "for nobody")
	}
	for k, d := range devices {
		for i, p := range d.Collect(count) {
			if p.Topic != fmt.Sprint("cmd/", i) || string(p.Payload) != fmt.Sprint(i) || p.QoS != 0 {
				t.Fatalf("device %d, message %d: %s %s, QoS %d", k, i, p.Topic, p.Payload, p.QoS)
			}
		}
	}
	// From a device of one node to those of both, by way of the entity that devices' messages go to.
	devices[0].Publish("cmd/hello", []byte("to all"), 2)
	for k, d := range devices {
		if p := d.Collect(1)[0]; string(p.Payload) != "to all" {
			t.Errorf("device %d: %s", k, p.Payload)
		}
	}
}

// TestSessionWithoutMail: a session outlives its connection with its subscriptions; what is sent meanwhile is not for it.
func TestSessionWithoutMail(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	watcher, _ := rig.Dial(t, n, packet.V5)
	watcher.Subscribe("s/#", 0)
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		id, topic := rig.Prefix(t), fmt.Sprint("s/", v)
		d, _ := rig.Dial(t, n, v, rig.Persistent(id))
		d.Subscribe(topic, 1)
		d.Send(&packet.Disconnect{})
		d.ExpectClosed()
		w, _ := rig.Dial(t, n, packet.V5)
		w.Subscribe(topic, 0)
		app.send("commands", topic, "while it was away")
		w.Collect(1)
		d, connack := rig.Dial(t, n, v, rig.Persistent(id))
		if !connack.SessionPresent {
			t.Error("the session is gone")
		}
		app.send("commands", topic, "now")
		if p := d.Collect(1)[0]; string(p.Payload) != "now" {
			t.Errorf("got %s", p.Payload)
		}
	})
}

func TestRetainedAndWill(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	first, second := start(t, b, "a"), start(t, b, "b")
	d, _ := rig.Dial(t, first, packet.V5)
	d.Send(&packet.Publish{Topic: "state/door", QoS: 1, ID: d.NextID(), Retain: true, Payload: []byte("open")})
	mqtttest.Expect[*packet.Ack](d)
	late, _ := rig.Dial(t, second, packet.V5)
	late.Subscribe("state/#", 1)
	if p := late.Collect(1)[0]; string(p.Payload) != "open" || !p.Retain {
		t.Errorf("retained: %s, RETAIN %v", p.Payload, p.Retain)
	}
	late.Subscribe("will/#", 1)
	dying, _ := rig.Dial(t, first, packet.V5, func(p *packet.Connect) {
		p.Will = &packet.Will{Topic: "will/x", Payload: []byte("gone"), QoS: 1}
	})
	dying.Close()
	p := late.Collect(1)[0]
	for p.Topic == "state/door" { // the message itself, by way of the bus, which may take longer than a new subscription
		p = late.Collect(1)[0]
	}
	if p.Topic != "will/x" || string(p.Payload) != "gone" {
		t.Errorf("will: %s %s", p.Topic, p.Payload)
	}
}

func hubs() servicebus.Options {
	return servicebus.Options{Hubs: []servicebus.Hub{{Name: "telemetry", Partitions: 4}}}
}

// TestEventHubs: the messages of a device are on one partition, in order; devices hear what is on any.
func TestEventHubs(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, hubs(), "")
	n := rig.StartWith(t, b, "rules:\n- topic: line/{line}/#\n  partition_key: line {line}\n", "bus.kind=eventhubs", "bus.azure.entity=telemetry",
		"bus.azure.receive=telemetry/ConsumerGroups/$Default/Partitions/{0-3}")
	app := newApplication(t, b)
	partitions := make([]*inbox, 4)
	for i := range partitions {
		partitions[i] = app.read(fmt.Sprintf("telemetry/ConsumerGroups/$Default/Partitions/%d", i))
	}
	const devices, count = 6, 20
	listener, _ := rig.Dial(t, n, packet.V5)
	listener.Subscribe("dev/#", 0)
	for k := range devices {
		id := rig.Prefix(t)
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(id))
		for i := range count {
			if r := d.Publish("dev/"+id, fmt.Append(nil, i), packet.QoS(i%3)); r != packet.Success {
				t.Fatal(r)
			}
		}
		if r := d.Publish(fmt.Sprintf("line/7/%d", k), []byte("by rule"), 1); r != packet.Success {
			t.Fatal(r)
		}
	}
	next, where, total := map[any]int{}, map[any]int{}, 0
	for p, in := range partitions {
		for _, text := range in.drain(app, p) {
			key := text.Annotations["x-opt-partition-key"]
			if at, known := where[key]; known && at != p {
				t.Errorf("%v is on partitions %d and %d", key, at, p)
			}
			where[key] = p
			if total++; body(text) == "by rule" {
				if key != "line 7" {
					t.Errorf("by rule: key %v", key)
				}
				continue
			}
			if key != text.Annotations["x-opt-sluice-client"] || body(text) != fmt.Sprint(next[key]) {
				t.Errorf("%v: got %s, want %d", key, body(text), next[key])
			}
			next[key]++
		}
	}
	if total != devices*(count+1) || len(where) != devices+1 {
		t.Errorf("%d messages with %d keys", total, len(where))
	}
	heard := map[string]int{}
	for _, p := range listener.Collect(devices * count) {
		heard[p.Topic]++
	}
	if len(heard) != devices {
		t.Errorf("heard %v", heard)
	}
}
