package faults

import (
	"testing"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// finalOutcomes are the answers of the bus that decide, and what an MQTT 5 device is to be told. The codes are written out: the test must
// not agree with mapping.Classify because it asks it.
var finalOutcomes = []struct {
	name    string
	outcome message.Outcome
	want    packet.ReasonCode
}{
	{"rejected", message.Outcome{Kind: message.Rejected}, 0x83},
	{"unknown", rejected("example:no-idea"), 0x83},
	{"unauthorized", rejected("amqp:unauthorized-access"), 0x87},
	{"notfound", rejected("amqp:not-found"), 0x90},
	{"precondition", rejected("amqp:precondition-failed"), 0x90},
	{"limit", rejected("amqp:resource-limit-exceeded"), 0x97},
	{"toolarge", rejected("amqp:link:message-size-exceeded"), 0x97},
	{"decode", rejected("amqp:decode-error"), 0x99},
	{"field", rejected("amqp:invalid-field"), 0x99},
	{"maxlen", because("amqp:resource-limit-exceeded", "maxlen"), 0x97},
	{"undeliverable", message.Outcome{Kind: message.Modified, UndeliverableHere: true}, 0x83},
	{"released", message.Outcome{Kind: message.Released}, 0x10},
}

func rejected(condition string) message.Outcome {
	return message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: condition, Description: "as the test wants it on bus-host-17"}}
}

func because(condition, reason string) message.Outcome {
	o := rejected(condition)
	o.Error.Info = map[string]any{"reason": reason}
	return o
}

// Each answer of the bus reaches an MQTT 5 device as the outcome table says, at QoS 1 and 2; what the bus did not accept is nowhere, and the
// connection and what comes behind are not touched.
func TestFinalOutcomesV5(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	queue := app.queue(prefix + "/#")
	var kept []string
	t.Run("rows", func(t *testing.T) {
		for _, row := range finalOutcomes {
			topic := prefix + "/" + row.name
			kept = append(kept, topic+" 1", topic+" 2")
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				b.Faults().Answer(embeddedAnswer(topic+"/no", row.outcome, 0))
				d, _ := rig.Dial(t, n, packet.V5, rig.Clean(topic))
				for _, qos := range []packet.QoS{1, 2} {
					if got := d.Publish(topic+"/no", []byte("refused"), qos); got != row.want {
						t.Errorf("QoS %d: the device was told 0x%02X, want 0x%02X", qos, byte(got), byte(row.want))
					}
					payload := topic + " " + string('0'+byte(qos))
					if got := d.Publish(topic, []byte(payload), qos); got != packet.Success {
						t.Errorf("QoS %d: the message behind it was answered with 0x%02X", qos, byte(got))
					}
				}
				d.Disconnect()
			})
		}
	})
	c := app.consume(queue)
	c.expect(t, kept)
	c.expectNoDuplicates(t)
	if c.has("refused") {
		t.Error("a refused message is on the bus")
	}
}

// MQTT 3.1.1 has no word for a refusal: what was accepted before is acknowledged, what is refused is not, and the connection ends. When the
// device sends it again and the bus has changed its mind, it arrives.
func TestFinalOutcomesV311(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	queue := app.queue(prefix + "/#")
	var kept []string
	t.Run("rows", func(t *testing.T) {
		for _, row := range finalOutcomes {
			for _, qos := range []packet.QoS{1, 2} {
				topic := prefix + "/" + row.name + string('0'+byte(qos))
				kept = append(kept, topic+" before")
				if row.want.Failed() {
					kept = append(kept, topic+" refused")
				}
				t.Run(topic[len(prefix)+1:], func(t *testing.T) {
					t.Parallel()
					b.Faults().Answer(embeddedAnswer(topic+"/no", row.outcome, 1))
					d, _ := rig.Dial(t, n, packet.V311, rig.Persistent(topic))
					if !row.want.Failed() {
						d.Publish(topic, []byte(topic+" before"), qos)
						d.Publish(topic+"/no", []byte("released"), qos)
						d.Disconnect()
						return
					}
					refusedThenTaken(t, n, d, topic, qos)
				})
			}
		}
	})
	c := app.consume(queue)
	c.expect(t, kept)
	c.expectNoDuplicates(t)
	if c.has("released") {
		t.Error("a released message is on the bus")
	}
}

func refusedThenTaken(t *testing.T, n *rig.Node, d *mqtttest.Device, topic string, qos packet.QoS) {
	answered := packet.PUBACK
	if qos == 2 {
		answered = packet.PUBREC
	}
	before := &packet.Publish{ID: 1, Topic: topic, Payload: []byte(topic + " before"), QoS: qos}
	refused := &packet.Publish{ID: 2, Topic: topic + "/no", Payload: []byte(topic + " refused"), QoS: qos}
	d.Send(before)
	d.Send(refused)
	d.ExpectAck(answered, 1)
	d.ExpectClosed()
	d.Close()

	d, connack := rig.Dial(t, n, packet.V311, rig.Persistent(topic))
	if !connack.SessionPresent {
		t.Error("the session is gone")
	}
	refused.Dup = true
	d.Send(refused)
	d.ExpectAck(answered, 2)
	d.Disconnect()
}
