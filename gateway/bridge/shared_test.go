package bridge

import (
	"errors"
	"testing"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

const group = "$share/g/a"

// member is a connected device with a shared subscription whose lane is up.
func member(t *testing.T, qos packet.QoS) *rig {
	r := connected(t, session.State{})
	c := r.subscribe(1, sub(group, qos))
	if len(c.SharedAdd) != 1 || c.SharedAdd[0] != (Shared{Filter: group, Inbox: qos == 2}) || len(c.SessionAdd)+len(c.NodeAdd) > 0 {
		t.Fatalf("got %+v", c)
	}
	r.changed(c, LaneOK, LaneOK)
	r.step(session.LaneAttached{Lane: group})
	r.step(session.LaneAttached{})
	r.packets = nil
	return r
}

// arrive brings a message on the group's lane.
func (r *rig) arrive(tag uint64, qos packet.QoS, annotations map[string]any) {
	r.t.Helper()
	from := mapping.NewProvenance("t", "pr", "other", "n2")
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "a", QoS: qos, Payload: []byte("x")}, From: from, MessageID: "m", Received: r.now})
	for k, v := range annotations {
		m.Annotations[k] = v
	}
	r.step(DeliveryArrived{Lane: group, Tag: tag, Message: m})
}

func (r *rig) settledAs(lane string, tag uint64, kind message.OutcomeKind) {
	r.t.Helper()
	if len(r.settled) != 1 || r.settled[0].Lane != lane || r.settled[0].Tag != tag || r.settled[0].Outcome.Kind != kind {
		r.t.Errorf("settled %+v, want %d of %q as %v", r.settled, tag, lane, kind)
	}
	r.settled = nil
}

func TestADeliveryOfAGroupIsSettledOnItsLane(t *testing.T) {
	r := member(t, 1)
	r.arrive(5, 1, nil)
	p := r.packets[0].(*packet.Publish)
	r.step(session.PacketReceived{Packet: &packet.Ack{Kind: packet.PUBACK, ID: p.ID}})
	r.settledAs(group, 5, message.Accepted)

	r.arrive(6, 1, nil)
	p = r.packets[1].(*packet.Publish)
	r.step(session.PacketReceived{Packet: &packet.Ack{Kind: packet.PUBACK, ID: p.ID, Reason: packet.NotAuthorized}})
	r.settledAs(group, 6, message.Rejected)
}

func TestWhatCannotBeAPublishIsRejectedOnItsLane(t *testing.T) {
	r := member(t, 1)
	r.step(DeliveryArrived{Lane: group, Tag: 7, Malformed: errors.New("no message")})
	r.settledAs(group, 7, message.Rejected)
	r.step(DeliveryArrived{Lane: group, Tag: 8, Message: &message.Message{Sequence: [][]any{{1}}}})
	r.settledAs(group, 8, message.Rejected)
}

func TestHandOver(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
		want message.OutcomeKind
	}{{"taken", true, message.Accepted}, {"not possible", false, message.Released}} {
		t.Run(c.name, func(t *testing.T) {
			r := member(t, 2)
			r.arrive(5, 2, nil)
			if len(r.handed) != 1 || len(r.packets) != 0 || len(r.settled) != 0 {
				t.Fatalf("%d handed over, %d packets, %d settled; want one of the first", len(r.handed), len(r.packets), len(r.settled))
			}
			h := r.handed[0]
			if h.Lane != group || h.Topic != "a" || h.Identity != "s:m" || h.Message == nil {
				t.Errorf("got %+v", h)
			}
			r.step(HandedOver{Delivery: h.Delivery, OK: c.ok})
			r.settledAs(group, 5, c.want)
			r.step(HandedOver{Delivery: h.Delivery, OK: c.ok})
			if len(r.settled) != 0 {
				t.Error("settled twice")
			}
		})
	}
}

// A lane that is gone has taken its deliveries back to the group: they must not be settled on the next one, whose tags are its own.
func TestADetachedLaneIsNotSettledOn(t *testing.T) {
	r := member(t, 2)
	r.arrive(5, 2, nil)
	r.step(session.LaneDetached{Lane: group})
	r.step(HandedOver{Delivery: r.handed[0].Delivery, OK: true})
	if len(r.settled) != 0 {
		t.Errorf("settled %+v", r.settled)
	}
}

// On the group's own queue a message for one subscription only is somebody's mistake, or forgery: it is a message like any other.
func TestAGroupsMessageIsForTheGroup(t *testing.T) {
	r := member(t, 1)
	r.arrive(5, 1, map[string]any{mapping.AnnotationFor: "elsewhere", mapping.AnnotationRetainedCopy: true})
	if len(r.packets) != 1 {
		t.Fatalf("%d packets, want the message", len(r.packets))
	}
	if p := r.packets[0].(*packet.Publish); p.Retain {
		t.Error("RETAIN is set")
	}
}

func TestASharedSubscriptionIsJoinedAgainAndLeft(t *testing.T) {
	state := session.State{Subscriptions: []session.Subscription{{Subscription: sub(group, 2)}, {Subscription: sub("b", 0)}}}
	r := connected(t, state)
	if len(r.resumed) != 1 || len(r.resumed[0].Shared) != 1 || r.resumed[0].Shared[0] != (Shared{Filter: group, Inbox: true}) {
		t.Fatalf("resumed %+v", r.resumed)
	}
	r.step(session.PacketReceived{Packet: &packet.Unsubscribe{ID: 9, Filters: []string{group}}})
	for _, s := range r.stores {
		r.step(session.Stored{ID: s.ID})
	}
	if len(r.changes) != 1 || len(r.changes[0].SharedRemove) != 1 || r.changes[0].SharedRemove[0] != group {
		t.Errorf("left %+v", r.changes)
	}
}
