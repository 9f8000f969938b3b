package session

import (
	"slices"
	"time"

	"sluice/mqtt/packet"
)

func (w *walk) connect() packet.Packet {
	c := &packet.Connect{Version: packet.V5, ClientID: "c", CleanStart: w.chance(3), KeepAlive: uint16(w.pick(3)) * 30}
	if w.chance(5) {
		c.ClientID = ""
	}
	if w.chance(3) {
		c.Will = &packet.Will{Topic: "w", QoS: packet.QoS(w.pick(3)), Retain: w.chance(4)}
	}
	if w.chance(2) {
		c.Version = packet.V311
		return c
	}
	p := &c.Properties
	p.SetSessionExpiry(uint32(w.pick(3)) * 1000)
	p.SetReceiveMaximum(uint16(1 + w.pick(5)))
	p.SetTopicAliasMaximum(uint16(w.pick(4)))
	if w.chance(4) {
		p.SetMaximumPacketSize(uint32(10 + w.pick(40)))
	}
	p.SetRequestProblemInfo(!w.chance(3))
	if len(w.m.cfg.AuthMethods) > 0 {
		p.SetAuthMethod("SCRAM")
	}
	return c
}

func (w *walk) authAnswer() Event {
	switch w.pick(8) {
	case 0:
		return AuthFailed{Reason: packet.NotAuthorized, Text: "no"}
	case 1, 2, 3:
		return AuthSucceeded{Data: []byte("welcome")}
	}
	return AuthContinue{Data: []byte("challenge")}
}

func (w *walk) auth() packet.Packet {
	p := &packet.Auth{Reason: packet.ContinueAuthentication}
	if w.m.phase == phaseOpen && !w.m.auth.going || w.chance(20) {
		p.Reason = packet.ReAuthenticate
	}
	p.Properties.SetAuthMethod("SCRAM")
	if w.chance(20) {
		p.Properties.SetAuthMethod("PLAIN")
	}
	return p
}

func (w *walk) opened() Event {
	w.asked = false
	if w.chance(10) {
		return SessionRefused{Reason: packet.NotAuthorized, Text: "no"}
	}
	ev := SessionOpened{Present: w.chance(2), MessageIDPrefix: "m-"}
	if !ev.Present || w.m.conn.cleanStart || !w.m.persistent() {
		ev.Present = false
		return ev
	}
	ev.State.Subscriptions = []Subscription{{Subscription: packet.Subscription{Filter: "#", QoS: 2}}, {Subscription: packet.Subscription{Filter: "$share/h/#", QoS: packet.QoS(w.pick(3))}}}
	for i := range w.pick(4) {
		ev.State.Inbound = append(ev.State.Inbound, Inbound{ID: packet.ID(1 + 2*i), MessageID: "old-" + identities[i], Accepted: w.chance(2)})
	}
	for i := range w.pick(6) * w.pick(2) {
		o := Outbound{ID: packet.ID(1 + i), Identity: identities[i], QoS: packet.QoS(1 + w.pick(2)), Order: uint64(i + 1)}
		o.Released = o.QoS == 2 && w.chance(2)
		ev.State.Outbound = append(ev.State.Outbound, o)
	}
	w.stored = State{slices.Clone(ev.State.Subscriptions), slices.Clone(ev.State.Inbound), slices.Clone(ev.State.Outbound)}
	return ev
}

func (w *walk) publish() packet.Packet {
	p := &packet.Publish{QoS: packet.QoS(w.pick(3)), Topic: topics[w.pick(len(topics))], Retain: w.chance(8)}
	if p.QoS > 0 {
		p.ID = packet.ID(1 + w.pick(8))
		p.Dup = w.chance(3)
	}
	if w.polite {
		p.QoS = min(p.QoS, packet.QoS(w.m.cfg.MaximumQoS))
		p.Retain = p.Retain && w.m.cfg.RetainAvailable
		_, pending := w.m.up.ids1[p.ID]
		if p.QoS > 0 && (pending || w.m.up.records[p.ID] != nil || w.m.up.qos1.len()+w.m.up.counted >= int(w.m.limits.ReceiveMaximum)) && !w.chance(10) {
			p.QoS, p.ID, p.Dup = 0, 0, false
		}
		return p
	}
	if w.chance(6) {
		p.Properties.SetTopicAlias(uint16(w.pick(5)))
		if w.chance(2) {
			p.Topic = ""
		}
	}
	return p
}

// answer is what a device says to a PUBLISH it got, or anything.
func (w *walk) answer() packet.Packet {
	a := &packet.Ack{Kind: packet.PUBREL, ID: packet.ID(1 + w.pick(8))}
	if r := w.m.up.records[a.ID]; w.polite && r != nil && r.token != 0 {
		a.ID += 100 // its PUBREC is not there yet
	}
	if !w.polite && w.chance(10) {
		a.Kind = packet.Type(4 + w.pick(4))
		return a
	}
	if len(w.sent) == 0 || w.chance(3) {
		return a // PUBREL for its own
	}
	p := w.sent[w.pick(len(w.sent))]
	a.ID, a.Kind = p.ID, packet.PUBACK
	if o := w.m.down.exchanges[p.ID]; o == nil || w.chance(3) {
		w.sent = slices.DeleteFunc(w.sent, func(x *packet.Publish) bool { return x == p })
	} else if o.rec.QoS == 2 {
		a.Kind = packet.PUBREC
		if o.state == outReleased {
			a.Kind = packet.PUBCOMP
		}
	}
	if w.m.v5() && w.chance(6) {
		a.Reason, a.Properties = packet.QuotaExceeded, &packet.Properties{}
		a.Properties.SetReasonString("full")
		if a.Kind == packet.PUBCOMP {
			a.Reason = packet.PacketIDNotFound
		}
	}
	return a
}

func (w *walk) busAnswer() Event {
	if len(w.subs) > 0 && w.chance(2) {
		s := w.subs[0]
		w.subs = w.subs[1:]
		ev := Subscribed{ID: s.ID}
		for range s.Subscriptions {
			ev.Reasons = append(ev.Reasons, []packet.ReasonCode{packet.Success, packet.GrantedQoS2, packet.NotAuthorized}[w.pick(3)])
		}
		return ev
	}
	if len(w.handing) > 0 && w.chance(2) {
		delivery := w.handing[0]
		w.handing = w.handing[1:]
		return HandedOver{Delivery: delivery, OK: !w.chance(3), Elsewhere: w.chance(3)}
	}
	if len(w.unsubs) > 0 && w.chance(2) {
		id := w.unsubs[0]
		w.unsubs = w.unsubs[1:]
		return Unsubscribed{ID: id}
	}
	if len(w.pubs) == 0 || w.chance(30) {
		return PublishAnswered{Token: uint64(w.pick(64))}
	}
	i := w.pick(len(w.pubs))
	ev := PublishAnswered{Token: w.pubs[i]}
	w.pubs = slices.Delete(w.pubs, i, i+1)
	switch w.pick(8) {
	case 1:
		ev.Reason = packet.NoMatchingSubscribers
	case 2:
		ev.Reason, ev.Text = packet.NotAuthorized, "no"
	}
	return ev
}

func (w *walk) storeAnswer() Event {
	if w.recall && w.chance(2) {
		return w.recalled()
	}
	if len(w.stores) == 0 || w.chance(50) {
		return Stored{ID: uint64(w.pick(200))}
	}
	ev := Stored{ID: w.stores[0]}
	w.stores = w.stores[1:]
	if w.chance(200) {
		ev.Err = StoreError(1 + w.pick(2))
	}
	return ev
}

// recalled: the store has what it had, but for the marks of an earlier connection; or somebody else's record.
func (w *walk) recalled() Event {
	w.recall = false
	var ev Recalled
	for _, r := range w.stored.Inbound {
		if w.chance(4) {
			r.MessageID = "another"
		}
		r.Accepted = r.Accepted || w.chance(3)
		ev.Inbound = append(ev.Inbound, r)
	}
	return ev
}

func (w *walk) message() Event {
	p := &packet.Publish{QoS: packet.QoS(w.pick(3)), Topic: topics[w.pick(len(topics))], Payload: make([]byte, w.pick(30)), Retain: w.chance(4)}
	ev := MessageArrived{Message: Message{Publish: p, Identity: identities[w.pick(len(identities))], FromSelf: w.chance(6)}}
	if w.chance(5) {
		ev.Message.Expires = w.now.Add(time.Duration(w.pick(4)-1) * time.Second)
	}
	if len(w.shared) > 0 && w.chance(2) {
		w.lastDelivery++
		ev.Delivery, ev.Lane = w.lastDelivery, w.shared[w.pick(len(w.shared))]
		return ev
	}
	if w.chance(6) {
		ev.Message.Unique = true
		ev.Message.For, ev.Message.Retained = filters[w.pick(len(filters))], w.chance(2)
	}
	if w.chance(6) {
		ev.Message.Unique, ev.Message.PossibleDuplicate = true, true
	}
	if w.attached && !w.chance(5) {
		w.lastDelivery++
		ev.Delivery = w.lastDelivery
	}
	return ev
}

func (w *walk) request() packet.Packet {
	id := packet.ID(1 + w.pick(30))
	for w.polite && w.m.requestPending(id) {
		id++
	}
	if w.chance(3) {
		return &packet.Unsubscribe{ID: id, Filters: []string{filters[w.pick(len(filters))], filters[w.pick(len(filters))]}}
	}
	p := &packet.Subscribe{ID: id}
	for range 1 + w.pick(3) {
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: filters[w.pick(len(filters))], QoS: packet.QoS(w.pick(3)), NoLocal: w.chance(5), RetainAsPublished: w.chance(3), RetainHandling: byte(w.pick(3))})
	}
	return p
}

// lane attaches or detaches the lane of a shared subscription, whether there is one or not.
func (w *walk) lane() Event {
	filter := []string{"$share/g/a", "$share/h/#", "$share/h/#", "$share/x/y"}[w.pick(4)]
	if i := slices.Index(w.shared, filter); i >= 0 {
		w.shared = slices.Delete(w.shared, i, i+1)
		return LaneDetached{Lane: filter}
	}
	w.shared = append(w.shared, filter)
	return LaneAttached{Lane: filter}
}

// newRights changes what the device may hear, and says so, or not yet.
func (w *walk) newRights() Event {
	if w.access == nil {
		return AccessChanged{}
	}
	*w.access = rights{most: packet.QoS(w.pick(3))}
	for range w.pick(3) {
		w.access.denied = append(w.access.denied, []string{"#", "a/#", "+", "a/b", "b"}[w.pick(5)])
	}
	if w.chance(3) {
		return PacketReceived{Packet: &packet.Pingreq{}}
	}
	return AccessChanged{}
}

func (w *walk) rare() Event {
	kind := w.pick(21)
	if w.polite && kind >= 10 && kind < 16 && !w.chance(8) {
		kind = 4
	}
	switch kind {
	case 16, 17:
		return w.lane()
	case 18:
		return SlowDown{Until: w.now.Add(time.Duration(w.pick(3)) * time.Second)}
	case 19, 20:
		return w.newRights()
	case 3:
		if w.m.auth.method != "" && !w.m.auth.asked {
			return PacketReceived{Packet: w.auth()}
		}
		return w.authAnswer()
	case 0, 1, 2:
		if w.attached = !w.attached; w.attached {
			return LaneAttached{}
		}
		return LaneDetached{}
	case 4, 5, 6:
		return PacketReceived{Packet: &packet.Pingreq{}}
	case 7, 8, 9:
		if w.now.Before(w.deadline) && !w.chance(3) {
			w.now = w.deadline
		}
		return DeadlineReached{}
	case 10:
		return PacketReceived{Packet: &packet.Disconnect{Reason: packet.ReasonCode(w.pick(2) * 4)}}
	case 11:
		return ConnectionLost{}
	case 12:
		return CloseRequested{Reason: []packet.ReasonCode{packet.SessionTakenOver, packet.ServerShuttingDown, packet.ServerUnavailable}[w.pick(3)], NoWill: w.chance(2)}
	case 13:
		return PacketMalformed{Err: &packet.Error{Reason: packet.MalformedPacket, Detail: "bad"}}
	case 14:
		return PacketReceived{Packet: []packet.Packet{&packet.Auth{}, &packet.Connack{}, &packet.Suback{}, &packet.Unsuback{}, &packet.Pingresp{}, &packet.Connect{Version: packet.V5}}[w.pick(6)]}
	}
	return w.opened()
}
