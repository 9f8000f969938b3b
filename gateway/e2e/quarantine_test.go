package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// toldWithin is how soon a backend reads what a device has refused, with a machine that is not overloaded: the faster of two times counts.
const toldWithin = 2 * time.Second

// telling are the keys of a node whose events and quarantine are a test's own.
func telling(t *testing.T, prefix string) []string {
	t.Helper()
	return []string{"events.address=" + prefix + "-events", "quarantine.address=" + prefix + "-quarantine"}
}

// told is an event as a backend reads it.
type told struct {
	Type, Subject, TraceParent string
	Data                       map[string]any
}

// event waits for an event of this type. Others may come before it.
func event(t *testing.T, q *rig.Queue, kind string) told {
	t.Helper()
	for {
		if e := anyEvent(t, q); e.Type == kind {
			return e
		}
	}
}

func anyEvent(t *testing.T, q *rig.Queue) (e told) {
	t.Helper()
	m := q.Take()
	if err := json.Unmarshal(m.Data[0], &e); err != nil {
		t.Fatalf("no event: %v in %s", err, m.Data[0])
	}
	return e
}

// A backend sends three commands, the device refuses one: the backend reads exactly that, soon, and nothing is delivered again.
func TestTheDeviceRefusesOneOfThree(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		var took []time.Duration
		for qos := packet.QoS(1); qos <= 2; qos++ {
			prefix := rig.Prefix(t)
			n := rig.Start(t, b, telling(t, prefix)...)
			bus := rig.OpenBus(t, n)
			bus.Remove(prefix + "-events")
			bus.Remove(prefix + "-quarantine")
			answers := bus.QueueNamed(prefix + "-answers")
			d, _ := rig.Dial(t, n, packet.V5, rig.Persistent(prefix))
			d.Subscribe(prefix+"/cmd", qos)
			for _, id := range []string{"first", "second", "third"} {
				m := bus.Message(prefix+"/cmd", []byte(id), uint8(qos))
				m.Properties.MessageID, m.Properties.CorrelationID, m.Properties.ReplyTo = "id-"+id, []byte("c-"+id), bus.InboxAddress(answers.Name)
				m.ApplicationProperties = map[string]any{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
				bus.Send(m)
			}
			refuseSecond(t, d, qos)
			refusedAt := time.Now()
			// It leaves at once: what it said counts all the same.
			d.Disconnect()
			checkFeedback(t, answers.Take(), prefix, "second")
			took = append(took, time.Since(refusedAt))
			answers.ExpectNothing(100 * time.Millisecond)
			id := checkQuarantined(t, n, bus.Attach(prefix+"-quarantine").Take(), prefix)
			e := event(t, bus.Attach(prefix+"-events"), "sluice.delivery.refused").Data
			if e["quarantine_id"] != id || e["client"] != prefix || e["message_id"] != "id-second" || e["correlation_id"] != "c-second" || e["message"] != "not today" || e["trace"] != "0af7651916cd43dd8448eb211c80319c" {
				t.Errorf("the event: %v", e)
			}
			d, connack := rig.Dial(t, n, packet.V5, rig.Persistent(prefix))
			bus.Send(bus.Message(prefix+"/cmd", []byte("fourth"), uint8(qos)))
			if got := d.Collect(1)[0]; !connack.SessionPresent || string(got.Payload) != "fourth" {
				t.Errorf("session present: %v; delivered again: %q", connack.SessionPresent, got.Payload)
			}
			d.Disconnect()
		}
		if slices.Min(took) > toldWithin {
			t.Errorf("told after %v", took)
		}
	})
}

// refuseSecond takes three messages, of which it refuses the second.
func refuseSecond(t *testing.T, d *mqtttest.Device, qos packet.QoS) {
	t.Helper()
	var got []*packet.Publish
	for range 3 {
		got = append(got, mqtttest.Expect[*packet.Publish](d))
	}
	for _, p := range got {
		ack := &packet.Ack{Kind: packet.PUBACK, ID: p.ID}
		if qos == 2 {
			ack.Kind = packet.PUBREC
		}
		second := string(p.Payload) == "second"
		if second {
			ack.Reason = packet.NotAuthorized
			ack.Properties = &packet.Properties{}
			ack.Properties.SetReasonString("not today")
			ack.Properties.User = []packet.UserProperty{{Key: "valve", Value: "stuck"}}
		}
		d.Send(ack)
		if qos == 2 && !second {
			d.ExpectAck(packet.PUBREL, p.ID)
			d.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
		}
	}
}

func checkFeedback(t *testing.T, m *message.Message, client, id string) {
	t.Helper()
	if c, _ := m.Properties.CorrelationID.([]byte); string(c) != "c-"+id || m.Properties.Subject != mapping.FeedbackSubject {
		t.Errorf("the feedback is %+v", m.Properties)
	}
	var got struct {
		Code                         int
		Name, Error, Message, Client string
		MessageID                    string              `json:"message_id"`
		User                         map[string][]string `json:"user_properties"`
	}
	if err := json.Unmarshal(m.Data[0], &got); err != nil {
		t.Fatal(err)
	}
	if got.Code != 0x87 || got.Name != "delivery-refused" || got.Message != "not today" || got.Client != client || got.MessageID != "id-"+id || got.User["valve"][0] != "stuck" {
		t.Errorf("the feedback says %s", m.Data[0])
	}
}

// checkQuarantined gives the id under which the copy is known.
func checkQuarantined(t *testing.T, n *rig.Node, m *message.Message, client string) string {
	t.Helper()
	q, _ := mapping.ReadQuarantined(m)
	if string(m.Data[0]) != "second" || m.Properties.MessageID != "id-second" || string(m.Properties.CorrelationID.([]byte)) != "c-second" || m.ApplicationProperties["traceparent"] == nil {
		t.Errorf("in the quarantine is %+v", m)
	}
	want := mapping.Quarantined{
		ID: q.ID, At: q.At, PacketID: q.PacketID, Principal: q.Principal, Address: n.Address(client + "/cmd"), Name: "delivery-refused", Condition: "sluice:refused-by-device",
		Reason: "not today", Tenant: "default", Client: client, Topic: client + "/cmd", Trace: "0af7651916cd43dd8448eb211c80319c", Code: packet.NotAuthorized,
		User: []packet.UserProperty{{Key: "valve", Value: "stuck"}},
	}
	if diff := cmp.Diff(want, q); diff != "" || q.ID == "" || q.PacketID == 0 {
		t.Errorf("it says (-want +got):\n%s", diff)
	}
	return q.ID
}

const quarantineRules = `
rules:
  - name: kept
    topic: PREFIX/kept/#
    direction: up
    exchange: PREFIX-gone
    on_error: quarantine
  - name: told
    topic: PREFIX/told/#
    direction: up
    exchange: PREFIX-gone
`

// quarantineNode starts a node with these rules, whose exchange is not there.
func quarantineNode(t *testing.T, b rig.Backend, prefix string, set ...string) (*rig.Node, *rig.Bus) {
	t.Helper()
	rig.Exchange(t, b, prefix+"-gone")
	n := rig.StartWith(t, b, strings.ReplaceAll(quarantineRules, "PREFIX", prefix), append(b.OwnSessions(), set...)...)
	rig.RemoveExchange(t, n.BusURL, prefix+"-gone") // a node does not start without it
	return n, rig.OpenBus(t, n)
}

// What the bus refuses is stored and then acknowledged, whatever the device speaks; without the policy it is refused as before.
func TestARefusedPublishGoesToTheQuarantine(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		n, bus := quarantineNode(t, b, prefix, telling(t, prefix)...)
		bus.Remove(prefix + "-events")
		bus.Remove(prefix + "-quarantine")
		kept, events := bus.Attach(prefix+"-quarantine"), bus.Attach(prefix+"-events")
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			for qos := packet.QoS(1); qos <= 2; qos++ {
				d, _ := rig.Dial(t, n, v, rig.Clean(prefix))
				if r := d.Publish(prefix+"/kept/x", []byte("payload"), qos); r != packet.Success {
					t.Errorf("version %d, QoS %d: %v", v, qos, r)
				}
				d.Disconnect()
				m := kept.Take()
				q, _ := mapping.ReadQuarantined(m)
				if string(m.Data[0]) != "payload" || q.Rule != "kept" || q.Client != prefix || q.Topic != prefix+"/kept/x" || q.PacketID == 0 || q.Name != "address-not-found" ||
					q.Address != mapping.RabbitMQ.To(prefix+"-gone", mapping.RabbitMQ.Key(prefix+"/kept/x")) {
					t.Errorf("version %d, QoS %d: in the quarantine is %+v", v, qos, q)
				}
				if e := event(t, events, "sluice.publish.quarantined").Data; e["quarantine_id"] != q.ID || e["trace"] != q.Trace || e["rule"] != "kept" {
					t.Errorf("the event: %v", e)
				}
			}
		}
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		if r := d.Publish(prefix+"/told/x", nil, 1); r != packet.TopicNameInvalid {
			t.Errorf("without the policy: %v", r)
		}
		kept.ExpectNothing(50 * time.Millisecond)
		d.Disconnect()
	})
}

// An MQTT 3.1.1 device dies of a message again and again: it is told of, kept, and no longer in the way of what is behind it.
func TestAMessageThatADeviceDiesOf(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		const connections = 3
		prefix := rig.Prefix(t)
		n := rig.Start(t, b, append(telling(t, prefix), "sessions.poison_after=3")...)
		bus := rig.OpenBus(t, n)
		bus.Remove(prefix + "-events")
		bus.Remove(prefix + "-quarantine")
		answers := bus.QueueNamed(prefix + "-answers")
		connect := func() *mqtttest.Device {
			d, _ := rig.Dial(t, n, packet.V311, rig.Persistent(prefix))
			return d
		}
		d := connect()
		d.Subscribe(prefix, 1)
		for _, payload := range []string{"poison", "food"} {
			m := bus.Message(prefix, []byte(payload), 1)
			m.Properties.MessageID, m.Properties.ReplyTo = payload, bus.InboxAddress(answers.Name)
			bus.Send(m)
		}
		for i := range connections {
			if p := mqtttest.Expect[*packet.Publish](d); string(p.Payload) != "poison" || p.Dup != (i > 0) {
				t.Fatalf("connection %d got %q, DUP %v", i+1, p.Payload, p.Dup)
			}
			d.Close()
			d = connect()
		}
		if p := d.Collect(1)[0]; string(p.Payload) != "food" {
			t.Errorf("the device got %q", p.Payload)
		}
		q, _ := mapping.ReadQuarantined(bus.Attach(prefix + "-quarantine").Take())
		if q.Name != "delivery-poisonous" || q.Client != prefix || q.Topic != prefix {
			t.Errorf("in the quarantine is %+v", q)
		}
		if e := event(t, bus.Attach(prefix+"-events"), "sluice.delivery.poisonous").Data; e["quarantine_id"] != q.ID || e["message_id"] != "poison" || e["trace"] != q.Trace {
			t.Errorf("the event: %v", e)
		}
		if m := answers.Take(); m.Properties.CorrelationID != "poison" || !strings.Contains(string(m.Data[0]), `"name":"delivery-poisonous"`) {
			t.Errorf("the feedback: %v %s", m.Properties.CorrelationID, m.Data[0])
		}
		d.Disconnect()
	})
}

// What a person does with the quarantine: look, send again, throw away.
func TestQuarantineCommands(t *testing.T) {
	t.Parallel()
	for _, b := range commandBackends(t) {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			prefix := rig.Prefix(t)
			addresses := []string{"--set", "quarantine.address=" + prefix + "-quarantine", "--set", "events.address=" + prefix + "-events"}
			s := serve(t, append(b.flags, addresses...)...)
			if b.BusURL() == "" {
				s.bus = append(s.bus, addresses...)
			} else {
				bus := b.Open(t)
				bus.Remove(prefix + "-events")
				bus.Remove(prefix + "-quarantine")
			}
			command := func(status int, args []string, parts ...string) string {
				t.Helper()
				p := s.run(t, append([]string{"quarantine"}, args...)...)
				expectEnd(t, p, status, parts...)
				return p.Stdout()
			}
			d := mqtttest.Dial(t, s.mqtt, packet.V5)
			d.Connect(mqtttest.ClientID(prefix))
			d.Subscribe(prefix, 1)
			for _, payload := range []string{"one", "two", "three"} {
				expectEnd(t, s.run(t, "send", prefix, payload, "--ttl", "1h"), 0)
				p := mqtttest.Expect[*packet.Publish](d)
				ack := &packet.Ack{Kind: packet.PUBACK, ID: p.ID, Reason: packet.QuotaExceeded, Properties: &packet.Properties{}}
				ack.Properties.SetReasonString("no room for " + payload)
				d.Send(ack)
			}
			var ids []string
			rig.Eventually(t, "three messages are listed", func() error {
				ids = listed(command(0, []string{"ls"}), prefix)
				if len(ids) != 3 {
					return &message.Error{Condition: strings.Join(ids, " ")}
				}
				return nil
			})
			command(0, []string{"show", ids[1]}, "no room for two", "    payload: two\n", "    client: "+prefix+"\n", "code: 0x97 Quota exceeded")
			if b.KeepsTTL {
				command(0, []string{"show", ids[1]}, "    ttl: ")
			}
			command(1, []string{"show", "nosuchid"}, "no message nosuchid among the 3")
			command(0, []string{"replay", ids[1]}, ids[1]+" sent to "+b.Dialect.ToTopic(prefix))
			if p := d.Collect(1)[0]; string(p.Payload) != "two" {
				t.Errorf("sent again: %q", p.Payload)
			}
			if left := listed(command(0, []string{"ls"}), prefix); len(left) != 2 || left[0] != ids[0] || left[1] != ids[2] {
				t.Errorf("left are %v of %v", left, ids)
			}
			d.Disconnect()
			if b.Dialect.TellsUnrouted() {
				command(1, []string{"replay", "--all"}, ids[0]+" stays in the quarantine", "released", "messages that could not be sent: 2")
			}
			command(1, []string{"drop", "--all"}, "add --yes")
			command(1, []string{"drop"}, "which?")
			command(0, []string{"drop", ids[2]}, ids[2]+" dropped")
			command(0, []string{"drop", "--all", "--yes"}, ids[0]+" dropped")
			if left := listed(command(0, []string{"ls"}), prefix); len(left) != 0 {
				t.Errorf("left are %v", left)
			}
			p := s.run(t, "tail", "--events", "-n", "3")
			expectEnd(t, p, 0, "sluice.delivery.refused", "    message: no room for one\n", "    quarantine_id: "+ids[0]+"\n")
			// They stay for who reads them.
			expectEnd(t, s.run(t, "tail", "--events", "--json", "--take", "-n", "3"), 0, `"type":"sluice.delivery.refused"`)
		})
	}
}

// listed gives the ids of a client's messages, in the order of `sluice quarantine ls`.
func listed(table, client string) (ids []string) {
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); strings.Contains(line, " "+client+" ") {
			ids = append(ids, fields[0])
		}
	}
	return ids
}

// Somebody removes the quarantine under a running node: it is made again, and nothing is acknowledged or settled before.
func TestTheQuarantineIsMadeAgain(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		n, bus := quarantineNode(t, b, prefix, telling(t, prefix)...)
		bus.Remove(prefix + "-events")
		bus.Remove(prefix + "-quarantine")
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		bus.Delete(prefix + "-quarantine")
		if r := d.Publish(prefix+"/kept/x", []byte("up"), 1); r != packet.Success {
			t.Errorf("PUBACK: %v", r)
		}
		if m := bus.Attach(prefix + "-quarantine").Take(); string(m.Data[0]) != "up" {
			t.Errorf("in the quarantine is %q", m.Data[0])
		}
		d.Disconnect()
	})
}

// A quarantine that is full is no place: the device is refused as without it.
func TestAFullQuarantineRefusesTheDevice(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		// The queue is the operator's own, so that it can be small.
		n, bus := quarantineNode(t, b, prefix, "quarantine.address=/queues/"+prefix+"-small")
		bus.Bounded(prefix+"-small", 1)
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		if r := d.Publish(prefix+"/kept/x", nil, 1); r != packet.Success {
			t.Errorf("the first: %v", r)
		}
		if r := d.Publish(prefix+"/kept/x", nil, 2); r != packet.TopicNameInvalid {
			t.Errorf("the second: %v", r)
		}
		d.Disconnect()
		old, _ := rig.Dial(t, n, packet.V311, rig.Clean(prefix))
		old.Send(&packet.Publish{ID: 1, QoS: 1, Topic: prefix + "/kept/x"})
		old.ExpectClosed()
	})
}
