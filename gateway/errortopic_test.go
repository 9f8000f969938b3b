package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// eachVersion runs a test in MQTT 3.1.1 and in 5.
func eachVersion(t *testing.T, change func(*Options), run func(w *failing)) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(versionName(v), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				w := &failing{bubble: b, v: v}
				w.begin(change)
				run(w)
			})
		})
	}
}

// reporting is a rule for the topics p and below.
func reporting(o *Options) {
	table, err := rules.Compile([]rules.Rule{{Topic: "p/#", OnError: "report"}}, o.Bridge.Dialect)
	if err != nil {
		panic(err)
	}
	o.Bridge.Rules = table
}

// index is where a packet of this type comes, -1 when it does not.
func index[T packet.Packet](c *caller, match func(T) bool) int {
	return slices.IndexFunc(c.packets(), func(p packet.Packet) bool {
		got, ok := p.(T)
		return ok && match(got)
	})
}

func isRecord(p *packet.Publish) bool { return p.Topic == session.ErrorTopic }

// on_error: report tells a 3.1.1 device first, on the wire, and acknowledges then. MQTT 5 is told by the acknowledgement.
func TestReportIsOnTheWireBeforeTheAcknowledgement(t *testing.T) {
	for _, subscribed := range []packet.QoS{0, 1} {
		for _, qos := range []packet.QoS{1, 2} {
			t.Run(fmt.Sprintf("subscription %d, message %d", subscribed, qos), func(t *testing.T) {
				eachVersion(t, reporting, func(w *failing) {
					c := w.dial()
					c.connect("dev")
					c.subscribeAt(session.ErrorTopic, subscribed)
					w.broker.Faults().Answer(rejectedWith("amqp:not-found", nil))
					c.publish("p/1", qos)
					w.pass(time.Second)
					kind := packet.PUBACK
					if qos == 2 {
						kind = packet.PUBREC
					}
					record := index(c, isRecord)
					ack := index(c, func(a *packet.Ack) bool { return a.Kind == kind && a.Reason.Failed() == (w.v == packet.V5) })
					if record < 0 || ack < 0 || w.v == packet.V311 && ack < record || c.isClosed() {
						w.t.Errorf("record %d, acknowledgement %d, closed %t: %v", record, ack, c.isClosed(), c.packets())
					}
					if n := len(c.records()); n != 1 {
						w.t.Errorf("%d records", n)
					}
				})
			})
		}
	}
}

// Without a subscription that lives there is nothing to report to: the connection is closed, and the message not acknowledged.
func TestReportWithoutASubscriptionCloses(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := &failing{bubble: b, v: packet.V311}
		w.begin(reporting)
		c := w.dial()
		c.connect("dev")
		w.broker.Faults().Answer(rejectedWith("amqp:not-found", nil))
		c.publish("p/1", 1)
		if !c.isClosed() || index(c, func(*packet.Ack) bool { return true }) >= 0 {
			b.t.Errorf("closed %t, %v", c.isClosed(), c.packets())
		}
	})
}

// At QoS 0 the record is ahead of what it explains, also of the end of the connection.
func TestRecordsAtQoS0ComeFirst(t *testing.T) {
	eachVersion(t, nil, func(w *failing) {
		c := w.dial()
		c.connect("dev")
		c.subscribeAt(session.ErrorTopic, 0)
		c.raw(0x80, 0)
		w.pass(time.Second)
		record, end := index(c, isRecord), index(c, func(*packet.Disconnect) bool { return true })
		if record < 0 || !c.isClosed() || (end >= 0) != (w.v == packet.V5) || end >= 0 && end < record {
			w.t.Errorf("record %d, DISCONNECT %d, closed %t", record, end, c.isClosed())
		}
	})
}

// Nobody else reads or writes there: not by a wildcard, not by a shared subscription, not another device.
func TestTheErrorTopicIsTheDevicesOwn(t *testing.T) {
	eachVersion(t, nil, func(w *failing) {
		c, other := w.device(), w.dial()
		other.connect("other")
		other.subscribeAt("#", 1)
		other.subscribeAt("+/errors", 1)
		other.subscribeAt(session.ErrorTopic, 1)
		for _, filter := range []string{"$sluice/#", "$sluice/+", "$sluice/errors/dev", "$share/g/$sluice/errors"} {
			other.subscribeAt(filter, 1)
		}
		w.bus.Publish(0, &message.Message{Properties: message.Properties{To: "/exchanges/amq.topic/%24sluice.errors"}, Data: [][]byte{[]byte("{}")}}, false, func(message.Outcome) {})
		c.raw(0x80, 0)
		w.pass(time.Second)
		// It has the records of its own subscriptions that were refused.
		if index(other, func(p *packet.Publish) bool { return recordOf(p).Name != failure.FilterReserved.Name }) >= 0 || len(other.records()) != 4 {
			w.t.Errorf("the other device gets %v", other.records())
		}
		back := w.back()
		w.pass(time.Second)
		if got := back.records(); len(got) != 1 || got[0].Name != failure.Malformed.Name {
			w.t.Errorf("the device gets %+v", got)
		}
	})
}

// A device that does not take its records keeps few of them: the oldest in the inbox, the newest on the node, and what is between is counted.
func TestRecordsAreBounded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := &failing{bubble: b, v: packet.V5}
		w.begin(nil)
		c := w.device()
		c.ignore(session.ErrorTopic)
		const failures = recordsThere + recordsWaiting + 50
		for range failures {
			c.subscribe("a/#/b")
		}
		w.pass(time.Second)
		_ = c.conn.Close()
		w.pass(time.Minute)
		back := w.back()
		w.pass(time.Minute)
		got := back.records()
		if len(got) > recordsThere+recordsWaiting || len(got) < recordsThere {
			b.t.Errorf("%d records of %d failures", len(got), failures)
		}
		if dropped := w.metric("sluice_error_records_dropped_total"); dropped != fmt.Sprint(failures-len(got)) {
			b.t.Errorf("%s are counted as dropped, %d are missing", dropped, failures-len(got))
		}
		newest := w.logged(failure.FilterNotValid.Name)
		if len(got) > 0 && got[len(got)-1].Trace != newest[len(newest)-1].Trace {
			b.t.Error("the newest is not the last")
		}
	})
}

// A device that takes no record, because it is too large, or refuses it, is not told of that by another.
func TestNoRecordsOfRecords(t *testing.T) {
	for name, option := range map[string]func(*packet.Connect){
		"too large": func(p *packet.Connect) { p.Properties.SetMaximumPacketSize(100) },
		"refused":   func(*packet.Connect) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				w := &failing{bubble: b, v: packet.V5}
				w.begin(func(o *Options) { o.QuarantineAddress = "quarantine" })
				c := w.device(option)
				c.mu.Lock()
				c.refuseAll = true
				c.mu.Unlock()
				c.subscribe("a/#/b")
				w.pass(time.Minute)
				for _, f := range failure.All() {
					if n := len(w.logged(f.Name)); n > 0 && f != failure.FilterNotValid {
						b.t.Errorf("%s is told %d times", f.Name, n)
					}
				}
			})
		})
	}
}

// While the bus is away records wait on the node, and are there when it is back.
func TestRecordsWaitForTheBus(t *testing.T) {
	eachVersion(t, nil, func(w *failing) {
		c := w.device()
		w.broker.Faults().Answer(embedded.Answer{Address: "/queues/", Count: 5, Outcome: message.Outcome{Kind: message.Modified, DeliveryFailed: true}})
		c.subscribe("a/#/b")
		w.pass(200 * time.Millisecond)
		if got := c.records(); len(got) != 0 {
			w.t.Fatalf("the bus does not hold them back: %+v", got)
		}
		w.pass(10 * time.Second)
		if got := c.records(); len(got) != 1 {
			w.t.Errorf("%d records", len(got))
		}
	})
}

// The trace of a device's own message is the trace of its failure.
func TestTheTraceOfTheMessage(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := &failing{bubble: b, v: packet.V5}
		w.begin(nil)
		c := w.device()
		w.broker.Faults().Answer(rejectedWith("amqp:not-found", nil))
		c.publish("p", 1, func(p *packet.Publish) {
			p.Properties.AddUser(failure.Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		})
		w.pass(time.Second)
		if got := c.records(); len(got) != 1 || got[0].Trace != "4bf92f3577b34da6a3ce929d0e0e4736" {
			b.t.Errorf("%+v", got)
		}
		w.check(failure.AddressNotFound, c, c)
	})
}

// A device that wants no problem information gets reason codes alone, but for CONNACK and DISCONNECT [MQTT-3.1.2-29].
func TestNoProblemInformation(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := &failing{bubble: b, v: packet.V5}
		w.begin(nil)
		c := w.device(func(p *packet.Connect) { p.Properties.SetRequestProblemInfo(false) })
		w.broker.Faults().Answer(rejectedWith("amqp:not-found", nil))
		c.publish("p", 1)
		c.publish("p", 2)
		c.subscribe("a/#/b")
		c.say(&packet.Unsubscribe{ID: 77, Filters: []string{"a/#/b"}})
		c.raw(0x80, 0)
		w.pass(time.Second)
		told := 0
		for _, p := range c.packets() {
			var props *packet.Properties
			switch p := p.(type) {
			case *packet.Ack:
				props = p.Properties
			case *packet.Suback:
				props = &p.Properties
			case *packet.Unsuback:
				props = &p.Properties
			case *packet.Disconnect:
				if len(p.Properties.User) != 2 || p.Properties.ReasonString == "" {
					b.t.Errorf("DISCONNECT has %+v", p.Properties)
				}
				continue
			default:
				continue
			}
			told++
			if !props.Empty() {
				b.t.Errorf("%T has %+v", p, props)
			}
		}
		if told < 5 { // PUBACK, PUBREC, two SUBACKs, UNSUBACK
			b.t.Errorf("only %d answers: %v", told, c.packets())
		}
	})
}

// What does not fit into the device's Maximum Packet Size is left out: the Reason String first, then the User Properties; the reason code stays.
func TestTheReasonFitsTheMaximumPacketSize(t *testing.T) {
	for _, c := range []struct {
		limit      uint32
		user, text bool
	}{{300, true, true}, {120, true, false}, {60, false, false}} {
		inBubble(t, func(b *bubble) {
			w := &failing{bubble: b, v: packet.V5}
			w.begin(nil)
			d := w.dial()
			d.connect("dev", func(p *packet.Connect) { p.Properties.SetMaximumPacketSize(c.limit) })
			w.broker.Faults().Answer(rejectedWith("amqp:not-found", nil))
			d.publish("p", 1)
			i := index(d, func(a *packet.Ack) bool { return a.Reason == failure.AddressNotFound.Reason() })
			if i < 0 {
				b.t.Fatalf("%d: no PUBACK: %v", c.limit, d.packets())
			}
			p := d.packets()[i].(*packet.Ack).Properties
			if p == nil {
				p = &packet.Properties{}
			}
			if (len(p.User) == 2) != c.user || p.Has(packet.PropReasonString) != c.text {
				b.t.Errorf("%d bytes: %+v", c.limit, p)
			}
		})
	}
}
