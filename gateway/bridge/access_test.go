package bridge

import (
	"slices"
	"testing"
	"time"

	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
)

// noEntry is an Access that denies everything on topics that a filter in it matches.
type noEntry struct{ filters []string }

func (n *noEntry) denies(name string) bool {
	return slices.ContainsFunc(n.filters, func(f string) bool { return f == name || topic.Match(f, name) })
}

func (n *noEntry) Publish(name string, _ packet.QoS, retain bool) Denial {
	switch {
	case !n.denies(name):
		return Denial{}
	case retain:
		return Denial{Failure: failure.RetainDenied, Rule: "no-entry", Detail: "retain"}
	}
	return Denial{Failure: failure.PublishDenied, Rule: "no-entry", Detail: "no", Formerly: true}
}

func (n *noEntry) Subscribe(filter string) (packet.QoS, Denial) {
	if n.denies(filter) {
		return 0, Denial{Failure: failure.SubscribeDenied, Rule: "no-entry", Detail: "no"}
	}
	return 1, Denial{}
}

func (n *noEntry) Deliver(name string) (packet.QoS, bool) { return 1, !n.denies(name) }

// judged is a rig under an Access.
func judged(t *testing.T, a Access, state session.State) *rig {
	r := newRig(t)
	r.step(session.ConnectionOpened{AssignedClientID: "assigned"})
	c := &packet.Connect{Version: packet.V5, ClientID: "dev", CleanStart: len(state.Subscriptions) == 0}
	c.Properties.SetSessionExpiry(600)
	r.step(session.PacketReceived{Packet: c})
	r.step(Opened{Present: !c.CleanStart, State: state, MessageIDPrefix: "p-", Publisher: mapping.Publisher{Tenant: "t", Principal: "pr", ClientID: "dev"}, Access: a})
	r.packets = nil
	return r
}

func TestWhatIsDeniedDoesNotReachTheBus(t *testing.T) {
	r := judged(t, &noEntry{filters: []string{"a/#"}}, session.State{})
	r.publish(0, 0, "a/x")
	r.publish(1, 1, "a/x")
	r.publish(2, 2, "a/x")
	r.changed(ChangeLanes{}, LaneOK, LaneOK) // the stores of QoS 2 are answered
	r.publishRetained(3, 1, "a/x", "kept")
	r.publish(4, 1, "b")
	if len(r.sent) != 1 || len(r.retain) != 0 {
		t.Fatalf("%d messages reach the bus and %d the store of retained ones, want b alone", len(r.sent), len(r.retain))
	}
	if denied, retained := r.failures(failure.PublishDenied), r.failures(failure.RetainDenied); denied != 3 || retained != 1 {
		t.Errorf("%d messages and %d retained ones are told to be denied, want 3 and 1", denied, retained)
	}
	if f := r.failed[0]; f.Rule != "no-entry" || f.Detail != "no" || !f.Formerly {
		t.Errorf("told is %+v", f.Occurrence)
	}
	var answers []packet.Type
	for _, p := range r.packets {
		a, ok := p.(*packet.Ack)
		if !ok || a.Reason != packet.NotAuthorized {
			t.Errorf("%+v, want a refusal", p)
			continue
		}
		answers = append(answers, a.Kind)
	}
	if want := []packet.Type{packet.PUBACK, packet.PUBREC, packet.PUBACK}; !slices.Equal(answers, want) {
		t.Errorf("answers %v, want %v", answers, want)
	}
}

// Filters that are denied are not bound; the others get the QoS that they may have.
func TestDeniedFiltersAreNotBound(t *testing.T) {
	r := judged(t, &noEntry{filters: []string{"a"}}, session.State{})
	c := r.subscribe(1, sub("a", 1), sub("b", 2))
	if !slices.Equal(c.SessionAdd, []string{"b"}) {
		t.Errorf("bound is %v", c.SessionAdd)
	}
	r.changed(c, LaneOK, LaneOK)
	if got := r.suback(1); !slices.Equal(got, []packet.ReasonCode{packet.NotAuthorized, packet.GrantedQoS1}) {
		t.Errorf("SUBACK %v", got)
	}
	if len(r.failed) != 1 || r.failed[0].Failure != failure.SubscribeDenied || r.failed[0].Rule != "no-entry" {
		t.Errorf("told is %+v", r.failed)
	}
}

// A subscription that is not allowed any more leaves its lane, and the device's next request goes on behind that.
func TestEndedSubscriptionsLeaveTheirLane(t *testing.T) {
	state := session.State{Subscriptions: []session.Subscription{{Subscription: sub("a", 1)}, {Subscription: sub("b", 0)}, {Subscription: sub("c", 1)}}}
	a := &noEntry{filters: []string{"a"}}
	r := judged(t, a, state)
	r.changed(ChangeLanes{}, LaneOK, LaneOK) // the store has it
	if len(r.changes) != 1 || !slices.Equal(r.changes[0].SessionRemove, []string{"a"}) {
		t.Fatalf("after the resumption: %+v", r.changes)
	}
	a.filters = append(a.filters, "b")
	r.step(AccessChanged{})
	r.step(session.PacketReceived{Packet: &packet.Unsubscribe{ID: 7, Filters: []string{"c"}}})
	if len(r.changes) != 1 {
		t.Fatalf("the second change does not wait for the first: %+v", r.changes)
	}
	r.changed(r.changes[0], LaneOK, LaneOK)
	if len(r.changes) != 2 || !slices.Equal(r.changes[1].NodeRemove, []string{"b"}) {
		t.Fatalf("after the change of rights: %+v", r.changes)
	}
	r.changed(r.changes[1], LaneOK, LaneOK)
	if len(r.changes) != 3 || !slices.Equal(r.changes[2].SessionRemove, []string{"c"}) {
		t.Fatalf("the device's own: %+v", r.changes)
	}
	r.changed(r.changes[2], LaneOK, LaneOK)
	if n := r.failures(failure.SubscriptionEnded); n != 2 {
		t.Errorf("%d subscriptions are told to have ended, want 2", n)
	}
	if last, ok := r.packets[len(r.packets)-1].(*packet.Unsuback); !ok || last.ID != 7 {
		t.Errorf("packets %+v, want UNSUBACK 7 at the end", r.packets)
	}
}

// A bus that cannot be reached to end a subscription ends the connection, as with UNSUBSCRIBE: the device shall come back and be looked at again.
func TestABusThatIsAwayWhileASubscriptionEnds(t *testing.T) {
	a := &noEntry{}
	r := judged(t, a, session.State{Subscriptions: []session.Subscription{{Subscription: sub("a", 1)}}})
	a.filters = []string{"a"}
	r.step(AccessChanged{})
	r.changed(ChangeLanes{}, LaneOK, LaneOK)
	r.now = r.now.Add(time.Second)
	r.changed(r.changes[0], LaneLost, LaneOK)
	if len(r.closed) != 1 || r.failures(failure.BusUnavailable) != 1 {
		t.Errorf("closed: %+v", r.closed)
	}
}
