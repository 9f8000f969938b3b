package records

import (
	"errors"
	"fmt"

	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

func subscription(s session.Subscription) sessionstore.Subscription {
	return sessionstore.Subscription{
		Filter: s.Filter, QoS: byte(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished, RetainHandling: s.RetainHandling, ID: s.SubID,
	}
}

// State is what the machine resumes from.
func State(s *sessionstore.Session) session.State {
	var st session.State
	for _, sub := range s.Subscriptions {
		st.Subscriptions = append(st.Subscriptions, session.Subscription{
			Subscription: packet.Subscription{
				Filter: sub.Filter, QoS: packet.QoS(sub.QoS), NoLocal: sub.NoLocal, RetainAsPublished: sub.RetainAsPublished, RetainHandling: sub.RetainHandling,
			},
			SubID: sub.ID,
		})
	}
	for _, r := range s.Inbound {
		st.Inbound = append(st.Inbound, session.Inbound{ID: packet.ID(r.PacketID), MessageID: r.MessageID, Accepted: r.Accepted})
	}
	for _, r := range s.Outbound {
		st.Outbound = append(st.Outbound, session.Outbound{ID: packet.ID(r.PacketID), Identity: r.Identity, QoS: packet.QoS(r.QoS), Released: r.Released, Done: r.Done, Order: r.Order, Attempts: r.Attempts})
	}
	return st
}

// Result tells the machine how a write ended.
func Result(err error) session.StoreError {
	switch {
	case err == nil:
		return session.StoreOK
	case errors.Is(err, sessionstore.ErrFenced):
		return session.StoreFenced
	}
	return session.StoreUnavailable
}

// Ops translates the machine's ops into the store's. An op it does not know is a programming error and panics.
func Ops(ops []session.Op) []sessionstore.Op {
	out := make([]sessionstore.Op, len(ops))
	for i, op := range ops {
		switch op := op.(type) {
		case session.PutSubscription:
			out[i] = sessionstore.PutSubscription{Subscription: subscription(op.Subscription)}
		case session.DeleteSubscription:
			out[i] = sessionstore.DeleteSubscription{Filter: op.Filter}
		case session.PutInbound:
			r := op.Record
			out[i] = sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(r.ID), MessageID: r.MessageID, Accepted: r.Accepted}}
		case session.AcceptInbound:
			out[i] = sessionstore.AcceptInbound{PacketID: uint16(op.ID), MessageID: op.MessageID}
		case session.DeleteInbound:
			out[i] = sessionstore.DeleteInbound{PacketID: uint16(op.ID)}
		case session.PutOutbound:
			r := op.Record
			out[i] = sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: uint16(r.ID), Identity: r.Identity, QoS: byte(r.QoS), Released: r.Released, Done: r.Done, Order: r.Order, Attempts: r.Attempts}}
		case session.DeleteOutbound:
			out[i] = sessionstore.DeleteOutbound{PacketID: uint16(op.ID)}
		case session.SetExpiry:
			out[i] = sessionstore.SetExpiry{Seconds: op.Seconds}
		default:
			panic(fmt.Sprintf("records: unknown op %T", op))
		}
	}
	return out
}
