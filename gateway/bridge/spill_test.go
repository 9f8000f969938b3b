package bridge

import (
	"fmt"
	"testing"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// meters is a rule whose keys do not say all of the topic: whoever is bound to the key of one gets all of a meter.
var meters = rules.Rule{Topic: "meter/{id}/{what}", Exchange: "meters", Key: new("{id}")}

// metered is a message of a device as the rule sends it.
func metered(topic string, qos packet.QoS, id string) *message.Message {
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: topic, QoS: qos, Payload: []byte("x")}, From: mapping.NewProvenance("t", "pr", "other", "n2"), MessageID: id})
	m.Annotations["x-exchange"], m.Annotations["x-routing-key"] = "meters", "7"
	return m
}

// metering is a device with these subscriptions whose session was there before, or not.
func metering(t *testing.T, state session.State, subs ...packet.Subscription) *mover {
	r := &mover{rig: ruledWith(t, state, meters)}
	if len(subs) > 0 {
		r.changed(r.subscribe(1, subs...), LaneOK, LaneOK)
	}
	r.step(session.LaneAttached{})
	r.packets = nil
	return r
}

func (r *mover) bothWays(topic string, id string) {
	r.t.Helper()
	r.bySession(metered(topic, 1, id))
	m := metered(topic, 1, id)
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: r.now, SkipIdentity: true, Rules: r.b.cfg.Rules})
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(Fanout(&d))
}

func TestWhatSpillsIntoTheSessionLaneComesOnceAndIsAccepted(t *testing.T) {
	r := metering(t, session.State{}, sub("meter/7/volts", 1), sub("meter/7/amps", 0))
	r.bothWays("meter/7/amps", "1")
	r.want("of a filter of the node lane", 0)
	r.bothWays("meter/7/volts", "2")
	r.want("of a filter of the session lane", 1)
	r.bySession(metered("meter/7/watts", 1, "3"))
	r.want("of none")
}

// What the session lane served before is not taken for spilled.
func TestWhatWasForTheSessionLaneIsNotLost(t *testing.T) {
	r := metering(t, session.State{}, sub("meter/7/volts", 1), sub("meter/7/amps", 1))
	r.changed(r.subscribe(2, sub("meter/7/amps", 0)), LaneOK, LaneOK)
	r.changed(r.last(), LaneOK, LaneOK)
	r.packets = nil
	r.bySession(metered("meter/7/amps", 1, "1")) // waited in the inbox
	r.want("from before", 0)
	r.bothWays("meter/7/amps", "2")
	r.want("by both lanes", 0)
}

// A SUBSCRIBE under way counts: its messages may come before the answer.
func TestASubscriptionUnderWayIsServed(t *testing.T) {
	r := metering(t, session.State{}, sub("meter/7/volts", 1))
	c := r.subscribe(2, sub("meter/7/amps", 1))
	r.bySession(metered("meter/7/amps", 1, "1"))
	r.want("before SUBACK", 1)
	r.changed(c, LaneOK, LaneOK)
}

// In a session that was there before nobody knows what its inbox has; the copies are told apart by their identity.
func TestAResumedSessionGetsSpilledMessagesOnce(t *testing.T) {
	r := metering(t, session.State{Subscriptions: []session.Subscription{{Subscription: sub("meter/7/volts", 1)}, {Subscription: sub("meter/7/amps", 0)}}})
	r.bothWays("meter/7/amps", "1")
	r.want("by both lanes", 0)
	r.bySession(metered("meter/7/watts", 1, "2"))
	r.want("of none")
}

func TestWhatSpillsIntoAGroupIsAccepted(t *testing.T) {
	const lane = "$share/g/meter/7/volts"
	r := metering(t, session.State{}, sub(lane, 1))
	r.step(session.LaneAttached{Lane: lane})
	r.step(DeliveryArrived{Lane: lane, Tag: 1, Message: metered("meter/7/amps", 1, "1")})
	r.settledAs(lane, 1, message.Accepted)
	r.want("of another topic")
	r.step(DeliveryArrived{Lane: lane, Tag: 2, Message: metered("meter/7/volts", 1, "2")})
	r.want("of the group's", 1)
}

// What is remembered of filters that left is bounded, and errs on the side of delivering.
func TestFiltersThatLeftAreBounded(t *testing.T) {
	var m moves
	for i := range 3 * leftMax {
		m.leave(fmt.Sprint(i))
		if i < leftMax && (!m.before(fmt.Sprint(i)) || m.before("x")) {
			t.Fatalf("after %d", i)
		}
	}
	if len(m.left) > leftMax || !m.before("x") {
		t.Errorf("%d remembered", len(m.left))
	}
}

// A QoS 0 message to what a rule names is sent so that its refusal costs nobody else: settled, it would take the link of others down.
func TestQoS0ToAnotherTargetIsSentUnsettled(t *testing.T) {
	r := ruled(t, meters, rules.Rule{Topic: "q/#", Queue: "q"}, rules.Rule{Topic: "same/{x}", Key: new("other.{x}")})
	for i, c := range []struct {
		topic   string
		settled bool
	}{{"meter/7/volts", false}, {"q/1", false}, {"same/1", true}, {"none", true}} {
		r.publish(0, 0, c.topic)
		if r.sent[i].Settled != c.settled {
			t.Errorf("%s: settled %t", c.topic, r.sent[i].Settled)
		}
	}
	r.answer(1, message.Outcome{Kind: message.Released}) // the queue is missing
	if r.failures(failure.QoS0Dropped) != 1 || r.reported(PublishHeld) != 0 {
		t.Errorf("a queue that is missing: %+v", r.reports)
	}
	before := len(r.reports)
	r.answer(0, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:not-found"}})
	if len(r.packets) != 0 || len(r.reports) != before+1 || r.reports[before].Reason != packet.TopicNameInvalid {
		t.Errorf("refused: packets %v, reports %+v", r.packets, r.reports[before:])
	}
}
