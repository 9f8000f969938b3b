package bridge

import (
	"slices"
	"testing"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// subscribe sends a SUBSCRIBE and gives the change of lanes it causes.
func (r *rig) subscribe(id packet.ID, subs ...packet.Subscription) ChangeLanes {
	r.t.Helper()
	n := len(r.changes)
	r.step(session.PacketReceived{Packet: &packet.Subscribe{ID: id, Subscriptions: subs}})
	if len(r.changes) != n+1 {
		r.t.Fatalf("%d changes of lanes, want one", len(r.changes)-n)
	}
	return r.changes[n]
}

func (r *rig) changed(c ChangeLanes, sessionLane, nodeLane LaneResult) {
	r.t.Helper()
	r.step(LanesChanged{ID: c.ID, Session: sessionLane, Node: nodeLane})
	for len(r.stores) > 0 {
		s := r.stores[0]
		r.stores = r.stores[1:]
		if s.ID != 0 {
			r.step(session.Stored{ID: s.ID})
		}
	}
}

func (r *rig) suback(id packet.ID) []packet.ReasonCode {
	r.t.Helper()
	for _, p := range r.packets {
		if s, ok := p.(*packet.Suback); ok && s.ID == id {
			return s.Reasons
		}
	}
	return nil
}

func sub(filter string, qos packet.QoS) packet.Subscription {
	return packet.Subscription{Filter: filter, QoS: qos}
}

func TestSubscriptionsGoToTheirLane(t *testing.T) {
	r := connected(t, session.State{})
	c := r.subscribe(1, sub("a", 0), sub("b", 1), sub("c", 2))
	if !slices.Equal(c.NodeAdd, []string{"a"}) || !slices.Equal(c.SessionAdd, []string{"b", "c"}) {
		t.Fatalf("got %+v", c)
	}
	if r.suback(1) != nil {
		t.Fatal("SUBACK before the bus was bound")
	}
	r.changed(c, LaneOK, LaneOK)
	if got := r.suback(1); !slices.Equal(got, []packet.ReasonCode{0, 1, 2}) {
		t.Errorf("SUBACK %v", got)
	}
}

func TestARefusedLaneFailsItsFiltersOnly(t *testing.T) {
	r := connected(t, session.State{})
	c := r.subscribe(1, sub("a", 0), sub("b", 1))
	r.changed(c, LaneRefused, LaneOK)
	if got := r.suback(1); !slices.Equal(got, []packet.ReasonCode{packet.Success, packet.ImplementationSpecificError}) {
		t.Errorf("SUBACK %v", got)
	}
	if len(r.closed) != 0 {
		t.Error("a refused filter must not end the connection")
	}
	// The refused filter is on no lane: subscribing again binds it again.
	if c := r.subscribe(2, sub("b", 1)); !slices.Equal(c.SessionAdd, []string{"b"}) {
		t.Errorf("second try: %+v", c)
	}
}

func TestAFilterThatChangesLanesIsNeverWithoutOne(t *testing.T) {
	r := connected(t, session.State{})
	r.changed(r.subscribe(1, sub("a", 1)), LaneOK, LaneOK)
	c := r.subscribe(2, sub("a", 0))
	if !slices.Equal(c.NodeAdd, []string{"a"}) || len(c.SessionRemove) != 0 {
		t.Fatalf("first the new lane is joined: %+v", c)
	}
	r.changed(c, LaneOK, LaneOK)
	last := r.changes[len(r.changes)-1]
	if !slices.Equal(last.SessionRemove, []string{"a"}) || !last.Flush {
		t.Errorf("then the old one is left: %+v", last)
	}
}

func TestABusOutOfReachEndsTheConnectionNotTheSubscription(t *testing.T) {
	for result, want := range map[LaneResult]packet.ReasonCode{LaneLost: packet.ServerBusy, LaneFenced: packet.SessionTakenOver} {
		r := connected(t, session.State{})
		c := r.subscribe(1, sub("a", 1))
		r.changed(c, result, LaneOK)
		if len(r.closed) != 1 || r.closed[0].Reason != want {
			t.Errorf("result %d: closed %+v, want %v", result, r.closed, want)
		}
		if r.suback(1) != nil {
			t.Errorf("result %d: SUBACK for what is not subscribed", result)
		}
	}
}

func TestUnsubscribeLeavesTheLaneAfterTheRecord(t *testing.T) {
	r := connected(t, session.State{})
	r.changed(r.subscribe(1, sub("a", 1), sub("b", 0)), LaneOK, LaneOK)
	r.step(session.PacketReceived{Packet: &packet.Unsubscribe{ID: 2, Filters: []string{"a", "b", "c"}}})
	if len(r.changes) != 1 {
		t.Fatal("unbound before the record was removed")
	}
	r.step(session.Stored{ID: r.stores[0].ID})
	c := r.changes[1]
	if !slices.Equal(c.SessionRemove, []string{"a"}) || !slices.Equal(c.NodeRemove, []string{"b"}) {
		t.Fatalf("got %+v", c)
	}
	r.changed(c, LaneOK, LaneOK)
	u, ok := r.packets[len(r.packets)-1].(*packet.Unsuback)
	if !ok || !slices.Equal(u.Reasons, []packet.ReasonCode{0, 0, packet.NoSubscriptionExisted}) {
		t.Errorf("got %+v", r.packets[len(r.packets)-1])
	}
}

func TestResumeJoinsTheLanesWithoutBinding(t *testing.T) {
	r := connected(t, session.State{Subscriptions: []session.Subscription{{Subscription: sub("a", 2)}, {Subscription: sub("b", 0)}}})
	if len(r.changes) != 0 || len(r.resumed) != 1 {
		t.Fatalf("changes %v, resumed %v", r.changes, r.resumed)
	}
	if got := r.resumed[0]; !slices.Equal(got.Session, []string{"a"}) || !slices.Equal(got.Node, []string{"b"}) {
		t.Errorf("got %+v", got)
	}
	r.step(LanesFailed{Result: LaneLost})
	if len(r.closed) != 1 || r.closed[0].Reason != packet.ServerBusy {
		t.Errorf("closed %+v", r.closed)
	}
}

// listening is a connected rig with the session lane up and a subscription to a/#.
// A delivery that was begun is completed although its subscription is gone: its message has to come back from the bus.
func TestResumeFetchesWhatWasBegun(t *testing.T) {
	r := newRig(t)
	r.step(session.ConnectionOpened{AssignedClientID: "assigned"})
	c := &packet.Connect{Version: packet.V5, ClientID: "dev"}
	c.Properties.SetSessionExpiry(600)
	r.step(session.PacketReceived{Packet: c})
	r.step(Opened{Present: true, State: session.State{Outbound: []session.Outbound{{ID: 1, Identity: "s:m", QoS: 1, Order: 1}}}, MessageIDPrefix: "p-"})
	if len(r.resumed) != 1 || !r.resumed[0].Begun {
		t.Errorf("lanes: %+v, want the session lane although there is no filter", r.resumed)
	}
}

// The device is gone before its session is claimed: the claim is given back, and no lane is joined that nobody would close.
func TestADeviceThatLeftDuringItsClaimJoinsNoLane(t *testing.T) {
	r := newRig(t)
	r.step(session.ConnectionOpened{AssignedClientID: "assigned"})
	c := &packet.Connect{Version: packet.V5, ClientID: "dev"}
	c.Properties.SetSessionExpiry(600)
	r.step(session.PacketReceived{Packet: c})
	r.step(session.ConnectionLost{})
	r.step(Opened{Present: true, State: session.State{Subscriptions: []session.Subscription{{Subscription: sub("a/+", 1)}}}, MessageIDPrefix: "p-"})
	if r.finish == nil || !r.finish.Opened || r.finish.End {
		t.Fatalf("finish: %+v, want the session released and kept", r.finish)
	}
	if len(r.resumed) != 0 {
		t.Errorf("lanes joined after Finish: %+v", r.resumed)
	}
}

func listening(t *testing.T, qos packet.QoS) *rig {
	r := connected(t, session.State{})
	r.changed(r.subscribe(1, sub("a/#", qos)), LaneOK, LaneOK)
	r.step(session.LaneAttached{})
	r.packets = nil
	return r
}

func backendMessage(topic string, durable bool) *message.Message {
	return &message.Message{
		Header:      message.Header{Durable: durable, Priority: message.DefaultPriority},
		Annotations: map[string]any{"x-exchange": mapping.RabbitMQ.Exchange(), "x-routing-key": mapping.RabbitMQ.Key(topic)},
		Properties:  message.Properties{MessageID: "m1"},
		Data:        [][]byte{[]byte("on")},
	}
}

func TestADeliveryIsSettledWhenTheDeviceAcknowledges(t *testing.T) {
	r := listening(t, 1)
	r.step(DeliveryArrived{Tag: 77, Message: backendMessage("a/b", true)})
	p, ok := r.packets[0].(*packet.Publish)
	if !ok || p.Topic != "a/b" || p.QoS != 1 || string(p.Payload) != "on" {
		t.Fatalf("got %+v", r.packets[0])
	}
	if len(r.settled) != 0 {
		t.Fatal("settled before the device acknowledged")
	}
	r.step(session.PacketReceived{Packet: &packet.Ack{Kind: packet.PUBACK, ID: p.ID}})
	if len(r.settled) != 1 || r.settled[0].Tag != 77 || r.settled[0].Outcome.Kind != message.Accepted {
		t.Errorf("settled %+v", r.settled)
	}
}

func TestTheDeviceSaysNo(t *testing.T) {
	r := listening(t, 1)
	r.step(DeliveryArrived{Tag: 5, Message: backendMessage("a/b", true)})
	ack := &packet.Ack{Kind: packet.PUBACK, ID: r.packets[0].(*packet.Publish).ID, Reason: packet.PayloadFormatInvalid, Properties: &packet.Properties{}}
	ack.Properties.SetReasonString("no JSON")
	ack.Properties.User = []packet.UserProperty{{Key: "k", Value: "v"}}
	r.step(session.PacketReceived{Packet: ack})
	o := r.settled[0].Outcome
	if o.Kind != message.Rejected || o.Error.Condition != "amqp:decode-error" || o.Error.Description != "no JSON" {
		t.Fatalf("outcome %+v, error %+v", o, o.Error)
	}
	if o.Error.Info["mqtt-reason-code"] != uint8(0x99) || o.Error.Info["mqtt-reason-string"] != "no JSON" {
		t.Errorf("info %v", o.Error.Info)
	}
	if r.failures(failure.DeliveryRefused) != 1 {
		t.Error("the refusal was not reported")
	}
}

func TestWhatCannotBeDeliveredIsRejectedNotIgnored(t *testing.T) {
	r := listening(t, 1)
	m := backendMessage("a/b", true)
	m.Data, m.Sequence = nil, [][]any{{1, 2}}
	r.step(DeliveryArrived{Tag: 1, Message: m})
	r.step(DeliveryArrived{Tag: 2, Malformed: &message.Error{Condition: "amqp:decode-error", Description: "bad bytes"}})
	if len(r.settled) != 2 || len(r.packets) != 0 {
		t.Fatalf("settled %+v, packets %v", r.settled, r.packets)
	}
	for _, s := range r.settled {
		if s.Outcome.Kind != message.Rejected || s.Outcome.Error == nil {
			t.Errorf("delivery %d: %+v", s.Tag, s.Outcome)
		}
	}
}

// What is rejected gives its credit back, or a backend could silence a session with a window of such messages.
func TestWhatCannotBeDeliveredTakesNoCredit(t *testing.T) {
	r := listening(t, 1)
	credit := int(testConfig().Session.OutboundWindow)
	for tag := range uint64(100) {
		if credit == 0 {
			t.Fatalf("no credit is left after %d messages", tag)
		}
		credit--
		for _, e := range r.b.Step(r.now, DeliveryArrived{Tag: tag + 1, Malformed: &message.Error{Condition: "amqp:decode-error"}}, nil) {
			if g, ok := e.(session.GrantCredit); ok {
				credit += int(g.N)
			}
		}
	}
}

func TestNoLocalKnowsOurOwnMessages(t *testing.T) {
	r := connected(t, session.State{})
	s := sub("a/#", 1)
	s.NoLocal = true
	r.changed(r.subscribe(1, s), LaneOK, LaneOK)
	r.step(session.LaneAttached{})
	r.packets = nil
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "a/b", QoS: 1}, From: r.b.from, MessageID: "x", Received: start})
	r.step(DeliveryArrived{Tag: 1, Message: m})
	if len(r.settled) != 0 || len(r.stores) != 1 {
		t.Fatalf("settled %+v, stores %+v; want it to wait for the store's word that the session is ours", r.settled, r.stores)
	}
	r.step(session.Stored{ID: r.stores[0].ID})
	if len(r.packets) != 0 || len(r.settled) != 1 || r.settled[0].Outcome.Kind != message.Accepted {
		t.Errorf("packets %v, settled %+v; want it withheld and accepted", r.packets, r.settled)
	}
}

func TestTheEndSaysWhatBecomesOfTheWill(t *testing.T) {
	for _, c := range []struct {
		name string
		end  session.Event
		want bool
	}{
		{"connection lost", session.ConnectionLost{}, true},
		{"normal DISCONNECT", session.PacketReceived{Packet: &packet.Disconnect{}}, false},
		{"DISCONNECT with Will", session.PacketReceived{Packet: &packet.Disconnect{Reason: packet.DisconnectWithWill}}, true},
		{"node restarts", session.CloseRequested{Reason: packet.ServerShuttingDown, NoWill: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.step(session.ConnectionOpened{})
			w := &packet.Will{Topic: "gone", Payload: []byte("bye"), QoS: 1}
			r.step(session.PacketReceived{Packet: &packet.Connect{Version: packet.V5, ClientID: "dev", CleanStart: true, Will: w}})
			r.step(Opened{MessageIDPrefix: "p-"})
			r.step(c.end)
			r.step(session.ConnectionLost{})
			if r.finish == nil || r.finish.KeepWill != c.want {
				t.Errorf("finish %+v, want KeepWill %v", r.finish, c.want)
			}
		})
	}
}
