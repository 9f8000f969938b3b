package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// mover is a rig that counts what its device gets.
type mover struct {
	*rig
	tag uint64
}

// moving is a device with these subscriptions and its lanes.
func moving(t *testing.T, subs ...packet.Subscription) *mover {
	r := connected(t, session.State{})
	r.changed(r.subscribe(1, subs...), LaneOK, LaneOK)
	r.step(session.LaneAttached{})
	r.packets = nil
	return &mover{rig: r}
}

func withID(topic string, id any) *message.Message {
	m := backendMessage(topic, true)
	m.Properties.MessageID = id
	return m
}

func (r *mover) byNode(m *message.Message) {
	r.t.Helper()
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: r.now, SkipIdentity: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(Fanout(&d))
}

// bySession brings a message by the session lane; the device acknowledges it at once, and the store confirms what it is asked.
func (r *mover) bySession(m *message.Message) {
	r.t.Helper()
	before := len(r.packets)
	r.tag++
	r.step(DeliveryArrived{Tag: r.tag, Message: m})
	r.confirm()
	for _, p := range r.packets[before:] {
		if p, ok := p.(*packet.Publish); ok && p.QoS == 1 {
			r.step(session.PacketReceived{Packet: &packet.Ack{Kind: packet.PUBACK, ID: p.ID}})
		}
	}
	last := r.settled[len(r.settled)-1]
	if last.Tag != r.tag || last.Outcome.Kind != message.Accepted {
		r.t.Fatalf("delivery %d: settled %+v", r.tag, last)
	}
}

func (r *mover) confirm() {
	r.t.Helper()
	for len(r.stores) > 0 {
		s := r.stores[0]
		r.stores = r.stores[1:]
		if s.ID != 0 {
			r.step(session.Stored{ID: s.ID})
		}
	}
}

// got gives the QoS of each PUBLISH since the last call.
func (r *mover) got() (qos []packet.QoS) {
	for _, p := range r.packets {
		if p, ok := p.(*packet.Publish); ok {
			qos = append(qos, p.QoS)
		}
	}
	r.packets = nil
	return qos
}

func (r *mover) want(what string, qos ...packet.QoS) {
	r.t.Helper()
	if got := r.got(); !slices.Equal(got, qos) {
		r.t.Errorf("%s: PUBLISH with QoS %v, want %v", what, got, qos)
	}
}

func (r *mover) last() ChangeLanes { return r.changes[len(r.changes)-1] }

func TestAChangeToTheSessionLaneBringsNothingTwiceAndLosesNothing(t *testing.T) {
	r := moving(t, sub("a", 0))
	c := r.subscribe(2, sub("a", 1))
	if !slices.Equal(c.SessionAdd, []string{"a"}) || !c.Flush {
		t.Fatalf("got %+v, want the session lane to be bound and the node lane to be waited for", c)
	}
	r.byNode(withID("a", "1")) // routed before
	r.byNode(withID("a", "2"))
	r.bySession(withID("a", "2"))
	r.bySession(withID("a", "3"))
	r.byNode(withID("a", "3"))
	r.byNode(withID("a", "4"))
	r.want("before SUBACK", 0, 0, 1, 0)
	r.changed(c, LaneOK, LaneOK)
	r.bySession(withID("a", "4"))
	r.byNode(withID("a", "5"))
	r.bySession(withID("a", "5"))
	r.want("after SUBACK", 1)
	if !slices.Equal(r.last().NodeRemove, []string{"a"}) {
		t.Errorf("got %+v, want the node lane to be left", r.last())
	}
}

func TestAChangeToTheNodeLaneBringsNothingTwiceAndLosesNothing(t *testing.T) {
	r := moving(t, sub("a", 1))
	c := r.subscribe(2, sub("a", 0))
	if !slices.Equal(c.NodeAdd, []string{"a"}) || !c.Flush {
		t.Fatalf("got %+v, want the node lane to be bound and waited for", c)
	}
	r.byNode(withID("a", "1")) // not sent: the session lane brings it
	r.bySession(withID("a", "2"))
	r.want("before SUBACK", 1)
	r.changed(c, LaneOK, LaneOK)
	leave := r.last()
	if !slices.Equal(leave.SessionRemove, []string{"a"}) || !leave.Flush {
		t.Fatalf("got %+v, want the session lane to be unbound and the node lane to be waited for", leave)
	}
	r.got()
	r.bySession(withID("a", "1"))
	r.byNode(withID("a", "2"))
	r.byNode(withID("a", "3"))
	r.step(LanesChanged{ID: leave.ID})
	r.bySession(withID("a", "3"))
	r.bySession(withID("a", "3")) // again: its settlement was lost
	r.byNode(withID("a", "4"))
	r.want("after SUBACK", 0, 0, 0)
}

// No Local keeps a session's own messages from one subscription, and the node lane brings them for another of QoS 0 [MQTT-3.8.3-3].
func TestOwnMessagesBesideNoLocalComeOnce(t *testing.T) {
	s := sub("a/b", 1)
	s.NoLocal = true
	r := moving(t, s, sub("a/#", 0))
	own := func(id string) *message.Message {
		m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "a/b", QoS: 1}, From: r.b.from, MessageID: id, Received: r.now})
		return m
	}
	r.byNode(own("1"))
	r.bySession(own("1"))
	r.bySession(own("2"))
	r.byNode(own("2"))
	r.want("two messages of its own", 0, 0)
	r.byNode(withID("a/b", "3"))
	r.bySession(withID("a/b", "3"))
	r.want("one of a backend", 1)
	if n := len(r.b.lanes.moves.order); n != 2 {
		t.Errorf("%d messages are remembered, want those of its own", n)
	}
	r.changed(r.subscribe(2, sub("a/b", 1)), LaneOK, LaneOK)
	r.got()
	r.byNode(own("4"))
	r.bySession(own("4"))
	r.want("without No Local", 1)
}

// Of two equal messages neither must be lost.
func TestMessagesWithoutIdentityAreNotTakenForOneAnother(t *testing.T) {
	r := moving(t, sub("a", 0))
	r.subscribe(2, sub("a", 1))
	r.byNode(withID("a", nil))
	r.bySession(withID("a", nil))
	r.byNode(withID("a", nil))
	r.want("three messages", 0, 1, 0)
}

func TestOnlyFiltersThatMeetTheNodeLaneWaitForIt(t *testing.T) {
	r := moving(t, sub("a/#", 0))
	if c := r.subscribe(2, sub("b", 1)); c.Flush {
		t.Errorf("got %+v, but a/# has nothing to do with b", c)
	} else {
		r.changed(c, LaneOK, LaneOK)
	}
	c := r.subscribe(3, sub("a/b", 1))
	if !c.Flush {
		t.Errorf("got %+v, but the node lane brings a/b until now", c)
	}
	r.byNode(withID("a/b", "1"))
	r.bySession(withID("a/b", "1"))
	r.bySession(withID("a/b", "2"))
	r.byNode(withID("a/b", "2"))
	r.want("two messages", 0, 1)
	r.changed(c, LaneOK, LaneOK)
	if leave := r.last(); leave.ID != c.ID {
		t.Errorf("got %+v, but nothing is to be left", leave)
	}
	if c := r.subscribe(4, sub("a/b", 2)); c.Flush || len(c.SessionAdd) > 0 {
		t.Errorf("got %+v, but nothing moves", c)
	}
}

func TestUnsubscribingBesideTheNodeLane(t *testing.T) {
	r := moving(t, sub("a/#", 0), sub("a/b", 1))
	n := len(r.changes)
	r.step(session.PacketReceived{Packet: &packet.Unsubscribe{ID: 2, Filters: []string{"a/b"}}})
	r.confirm()
	first := r.changes[n]
	if !first.Flush || len(first.SessionRemove) > 0 {
		t.Fatalf("got %+v, want only the node lane to be waited for", first)
	}
	r.bySession(withID("a/b", "1"))
	r.byNode(withID("a/b", "0"))  // the session lane has brought it before
	r.byNode(withID("a/c", "-1")) // no concern of the session lane
	r.want("while the node lane is waited for", 0, 0)
	r.step(LanesChanged{ID: first.ID})
	second := r.last()
	if !slices.Equal(second.SessionRemove, []string{"a/b"}) || !second.Flush || second.ID == first.ID {
		t.Fatalf("got %+v, want the session lane to be unbound", second)
	}
	if len(r.packets) != 0 {
		t.Error("UNSUBACK before the bus was asked")
	}
	r.byNode(withID("a/b", "1"))
	r.byNode(withID("a/b", "2"))
	r.bySession(withID("a/b", "2"))
	r.bySession(withID("a/b", "3"))
	r.byNode(withID("a/b", "3"))
	r.want("while the session lane is unbound", 0, 0)
	r.step(LanesChanged{ID: second.ID})
	if _, ok := r.packets[len(r.packets)-1].(*packet.Unsuback); !ok {
		t.Errorf("got %+v, want UNSUBACK", r.packets)
	}
	r.byNode(withID("a/b", "4"))
	r.want("after UNSUBACK", 0)
}

// Of several subscriptions with one filter in a packet the last counts, for the lanes as well.
func TestAFilterTwiceInAPacketIsOnTheLaneOfTheLast(t *testing.T) {
	r := moving(t, sub("a", 1))
	c := r.subscribe(2, sub("a", 0), sub("a", 2))
	if len(c.NodeAdd)+len(c.SessionAdd) > 0 || c.Flush {
		t.Errorf("got %+v, but nothing moves", c)
	}
	r.changed(c, LaneOK, LaneOK)
	if r.last().ID != c.ID {
		t.Errorf("got %+v, but nothing is to be left", r.last())
	}
	r.step(session.PacketReceived{Packet: &packet.Unsubscribe{ID: 3, Filters: []string{"a"}}})
	r.confirm()
	if !slices.Equal(r.last().SessionRemove, []string{"a"}) {
		t.Errorf("got %+v", r.last())
	}
}

// An earlier connection was lost while it changed lanes: the record says QoS 0, the inbox is bound.
func TestWhatAnInterruptedChangeLeftIsUnbound(t *testing.T) {
	r := &mover{rig: connected(t, session.State{Subscriptions: []session.Subscription{{Subscription: sub("a/+", 0)}, {Subscription: sub("a/b", 1)}}})}
	r.step(session.LaneAttached{})
	r.bySession(withID("a/b", "1"))
	if len(r.changes) != 0 {
		t.Fatalf("got %+v, but a/b is where it belongs", r.changes)
	}
	r.bySession(withID("a/c", "2"))
	if len(r.changes) != 1 || !slices.Equal(r.changes[0].SessionRemove, []string{"a/+"}) || !r.changes[0].Flush {
		t.Fatalf("got %+v, want a/+ to be unbound", r.changes)
	}
	r.byNode(withID("a/c", "2"))
	r.byNode(withID("a/c", "3"))
	r.bySession(withID("a/c", "3"))
	r.want("each message", 1, 0, 0)

	r.step(LanesChanged{ID: r.last().ID, Session: LaneLost})
	if len(r.closed) != 0 {
		t.Fatal("the connection is closed, though nothing that was promised is broken")
	}
	r.bySession(withID("a/c", "4"))
	if len(r.changes) != 2 || !slices.Equal(r.last().SessionRemove, []string{"a/+"}) {
		t.Errorf("got %+v, want it to be tried again", r.changes)
	}
	r.step(LanesChanged{ID: r.last().ID})
	r.bySession(withID("a/c", "5"))
	if len(r.changes) != 2 {
		t.Errorf("got %+v, but it is done", r.changes[2:])
	}
}

// What is being bound must not be unbound behind that.
func TestAFilterOnItsWayToTheSessionLaneIsNotStale(t *testing.T) {
	r := &mover{rig: connected(t, session.State{Subscriptions: []session.Subscription{{Subscription: sub("a", 0)}, {Subscription: sub("b", 1)}}})}
	r.step(session.LaneAttached{})
	c := r.subscribe(1, sub("a", 1))
	r.bySession(withID("a", "1"))
	r.changed(c, LaneOK, LaneOK)
	r.bySession(withID("a", "2"))
	for _, c := range r.changes {
		if len(c.SessionRemove) > 0 {
			t.Errorf("got %+v", c)
		}
	}
}

func TestAFilterThatTheSessionLaneRefusedIsUnbound(t *testing.T) {
	r := moving(t, sub("a", 0))
	c := r.subscribe(2, sub("a", 1))
	r.changed(c, LaneFull, LaneOK)
	if got := r.suback(2); !slices.Equal(got, []packet.ReasonCode{packet.QuotaExceeded}) {
		t.Errorf("SUBACK %v", got)
	}
	if !slices.Equal(r.last().SessionRemove, []string{"a"}) {
		t.Errorf("got %+v, but some of it may be bound", r.last())
	}
	r.got()
	r.byNode(withID("a", "1"))
	r.want("the old subscription", 0)
}

// On a bus that routes late the node lane may bring a copy when the change is over and the session lane has its own copy still to bring, and the other way round.
func TestALateCopyComesOnce(t *testing.T) {
	for _, c := range []struct {
		late bool
		want []packet.QoS
	}{{true, []packet.QoS{0, 0}}, {false, []packet.QoS{0, 0, 0}}} { // who routes in order is not watched longer than needed
		r := moving(t, sub("a", 1))
		if c.late {
			r.b.cfg.Dialect = mapping.Artemis("amq.topic")
		}
		change := r.subscribe(2, sub("a", 0))
		r.changed(change, LaneOK, LaneOK)
		r.step(LanesChanged{ID: r.last().ID})
		r.got()
		r.byNode(withID("a", "1"))
		r.bySession(withID("a", "2"))
		r.bySession(withID("a", "1"))
		r.want("after the change", c.want...)
		r.wait(endingFor)
		if n := len(r.b.lanes.moves.filters) + len(r.b.lanes.moves.ending); n != 0 {
			t.Errorf("late: %t: %d filters and changes are watched after %v", c.late, n, endingFor)
		}
	}
}

// A device that changes again and again is watched for no more than the latest changes.
func TestEndingChangesAreBounded(t *testing.T) {
	r := moving(t, sub("a", 1))
	r.b.cfg.Dialect = mapping.Artemis("amq.topic")
	for i := range endingsMax {
		for qos := range packet.QoS(2) {
			r.changed(r.subscribe(packet.ID(10+2*i)+packet.ID(qos), sub("a", qos)), LaneOK, LaneOK)
			r.step(LanesChanged{ID: r.last().ID})
		}
	}
	if n := len(r.b.lanes.moves.ending); n != endingsMax || r.b.lanes.moves.filters["a"] != n {
		t.Errorf("%d changes are watched, the filter by %d; at most %d are to be", n, r.b.lanes.moves.filters["a"], endingsMax)
	}
}

func TestSightingsAreBounded(t *testing.T) {
	r := moving(t, sub("a", 0))
	r.subscribe(2, sub("a", 1))
	for i := range sightingsMax + 10 {
		r.byNode(withID("a", fmt.Sprint(i)))
	}
	if n := len(r.b.lanes.moves.seen); n != sightingsMax || len(r.b.lanes.moves.order) != n {
		t.Errorf("%d sightings kept, at most %d are to be", n, sightingsMax)
	}
	r.got()
	r.bySession(withID("a", "0")) // forgotten: it comes twice
	r.bySession(withID("a", "100"))
	r.want("an old message and one that is remembered", 1)
	r.wait(sightingsFor + time.Second)
	if n := len(r.b.lanes.moves.seen) + len(r.b.lanes.moves.order); n != 0 {
		t.Errorf("%d sightings kept longer than %v", n, sightingsFor)
	}
}
