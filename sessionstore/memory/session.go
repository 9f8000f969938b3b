package memory

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"sluice/sessionstore"
)

// session is the stored form of a sessionstore.Session: records by what names them.
type session struct {
	epoch, incarnation uint64
	owner              string
	expiry             uint32
	released           time.Time // by the caller's clock
	leased             bool      // claimed by a node that keeps a lease
	inbox              string
	will               *sessionstore.Will
	willAt, graceUntil time.Time // by the store's clock, while nobody owns it
	endsAt             time.Time // likewise; zero when it never does
	subscriptions      map[string]subscription
	made               uint64 // subscriptions ever made: the order of the next
	inbound            map[uint16]sessionstore.Inbound
	outbound           map[uint16]sessionstore.Outbound
	groups             map[string]struct{} // filters
}

type subscription struct {
	sessionstore.Subscription
	order uint64
}

// newSession makes an empty one. The epoch of the creating claim is its incarnation: neither is ever used twice.
func newSession(epoch uint64) *session {
	return &session{
		incarnation:   epoch,
		subscriptions: make(map[string]subscription),
		inbound:       make(map[uint16]sessionstore.Inbound),
		outbound:      make(map[uint16]sessionstore.Outbound),
		groups:        make(map[string]struct{}),
	}
}

// endsWithConnection: an owned session of expiry zero does not go on under another connection [3.1.1 MQTT-3.1.2-6].
func (h *session) endsWithConnection() bool { return h.owner != "" && h.expiry == 0 }

func (h *session) ended(now time.Time) bool {
	return sessionstore.Session{Owner: h.owner, Expiry: h.expiry, ReleasedAt: h.released}.Ended(now)
}

// release gives up the ownership, under an epoch of which nobody has the fence if the owner did not do it. The Will stays and has a time.
func (h *session) release(epoch uint64, callers, stores time.Time) {
	h.epoch, h.owner, h.released = epoch, "", callers.UTC().Truncate(time.Millisecond)
	if h.will != nil {
		h.willAt = h.will.DueAt(stores, h.expiry)
	}
	if h.expiry != sessionstore.NeverExpires {
		h.endsAt = stores.Add(time.Duration(h.expiry) * time.Second)
	}
}

// own begins an ownership.
func (h *session) own(epoch uint64, req sessionstore.ClaimRequest) {
	h.epoch, h.owner, h.expiry, h.released, h.will = epoch, req.Node, req.Expiry, time.Time{}, req.Will
	h.willAt, h.graceUntil, h.endsAt = time.Time{}, time.Time{}, time.Time{}
}

func (h *session) dropWill() { h.will, h.willAt = nil, time.Time{} }

// roomFor counts every subscription put as a new one: simple, and the same on each implementation.
func (h *session) roomFor(ops []sessionstore.Op) bool {
	puts := 0
	for _, op := range ops {
		if _, ok := op.(sessionstore.PutSubscription); ok {
			puts++
		}
	}
	return puts == 0 || len(h.subscriptions)+puts <= sessionstore.MaxSubscriptions
}

func (h *session) apply(op sessionstore.Op) {
	switch op := op.(type) {
	case sessionstore.PutSubscription:
		order := h.made + 1
		if old, ok := h.subscriptions[op.Subscription.Filter]; ok {
			order = old.order
		} else {
			h.made = order
		}
		h.subscriptions[op.Subscription.Filter] = subscription{op.Subscription, order}
	case sessionstore.DeleteSubscription:
		delete(h.subscriptions, op.Filter)
	case sessionstore.PutInbound:
		h.inbound[op.Record.PacketID] = op.Record
	case sessionstore.AcceptInbound:
		h.accept(op)
	case sessionstore.DeleteInbound:
		delete(h.inbound, op.PacketID)
	case sessionstore.PutOutbound:
		h.outbound[op.Record.PacketID] = op.Record
	case sessionstore.DeleteOutbound:
		delete(h.outbound, op.PacketID)
	case sessionstore.SetInbox:
		h.inbox = op.Name
	case sessionstore.SetExpiry:
		h.expiry = op.Seconds
	}
}

// accept notes what the bus has taken, whoever says so.
func (h *session) accept(op sessionstore.AcceptInbound) {
	if r, ok := h.inbound[op.PacketID]; ok && r.MessageID == op.MessageID {
		r.Accepted = true
		h.inbound[op.PacketID] = r
	}
}

// read copies the session out, in the orders the contract names. Empty lists are nil.
func (h *session) read(key sessionstore.Key) sessionstore.Session {
	out := sessionstore.Session{
		Key: key, Epoch: h.epoch, Incarnation: h.incarnation, Owner: h.owner,
		Expiry: h.expiry, ReleasedAt: h.released, Inbox: h.inbox,
	}
	subscriptions := slices.SortedFunc(maps.Values(h.subscriptions), func(a, b subscription) int { return cmp.Compare(a.order, b.order) })
	for _, sub := range subscriptions {
		out.Subscriptions = append(out.Subscriptions, sub.Subscription)
	}
	out.Inbound = slices.SortedFunc(maps.Values(h.inbound), func(a, b sessionstore.Inbound) int {
		return cmp.Compare(a.PacketID, b.PacketID)
	})
	out.Outbound = slices.SortedFunc(maps.Values(h.outbound), func(a, b sessionstore.Outbound) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.PacketID, b.PacketID))
	})
	out.Groups = h.joined()
	return out
}

// joined gives the session's groups, nil for none.
func (h *session) joined() []string { return slices.Sorted(maps.Keys(h.groups)) }
