package sim

import (
	"fmt"
	"strconv"

	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

func keyOf(clientID string) sessionstore.Key {
	return sessionstore.Key{Tenant: "default", Principal: "anonymous", ClientID: clientID}
}

// claimed is bridge.Opened with what the shell needs to know of the session.
type claimed struct {
	fence  sessionstore.Fence
	lane   *sessionLane
	opened bridge.Opened
}

// open answers session.OpenSession as gateway/open.go does: displace, claim, own.
func (sh *shell) open(e session.OpenSession) {
	sh.key = keyOf(e.ClientID)
	old := sh.n.enter(sh.key, sh)
	if old == nil {
		sh.claim(e)
		return
	}
	waiting := true
	goOn := func() {
		if waiting {
			waiting = false
			sh.claim(e)
		}
	}
	old.whenDone = append(old.whenDone, goOn)
	sh.n.after(takeoverWait, goOn)
	if old.done {
		goOn()
		return
	}
	old.post(takenOver)
}

func (sh *shell) claim(e session.OpenSession) {
	req := sessionstore.ClaimRequest{
		Key: sh.key, Node: sh.n.id, Clean: e.Connect.CleanStart, Expiry: e.Expiry, Will: storedWill(e.Connect.Will), Now: sh.w.now,
	}
	if w := e.Connect.Will; w != nil {
		sh.will = string(w.Payload)
	}
	late := func() bool { return sh.conn.d.persistent && sh.conn.d.conn != sh.conn }
	sh.n.store.claim(req, late, func(answer sessionstore.Claimed, err error) {
		if err != nil {
			sh.w.log("claim   %s %s: %v", sh.n.id, e.ClientID, err)
			sh.post(session.SessionRefused{Reason: packet.ServerUnavailable, Text: "the session store is out of reach; try again"})
			return
		}
		sh.w.log("claim   %s %s: epoch %d, incarnation %d, present %t", sh.n.id, e.ClientID, answer.Session.Epoch, answer.Session.Incarnation, answer.Present)
		sh.claimed(&answer)
	})
}

func (sh *shell) claimed(answer *sessionstore.Claimed) {
	s, key := &answer.Session, sh.key
	if answer.Work {
		sh.n.upkeep.kick()
	}
	sh.resumesFrom(s)
	sh.post(claimed{
		fence: sessionstore.Fence{Key: key, Epoch: s.Epoch},
		lane:  &sessionLane{sh: sh, inbox: inboxOf(key.ClientID, s.Incarnation), made: s.Inbox != ""},
		opened: bridge.Opened{
			Present:         answer.Present,
			State:           sessionState(s),
			MessageIDPrefix: messageIDPrefix(key.ClientID, s.Incarnation, s.Epoch),
			Provenance:      mapping.NewProvenance(key.Tenant, key.Principal, key.ClientID, sh.n.id),
			Publisher:       mapping.Publisher{Tenant: key.Tenant, Principal: key.Principal, ClientID: key.ClientID, Node: sh.n.id},
		},
	})
	sh.epoch = s.Epoch
	if sh.lostEpoch > sh.epoch {
		sh.post(takenOver)
	}
}

func inboxOf(clientID string, incarnation uint64) string {
	return "session." + clientID + "." + strconv.FormatUint(incarnation, 36)
}

// sessionState and storeOps are gateway/records.go.
func sessionState(s *sessionstore.Session) session.State {
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
		st.Outbound = append(st.Outbound, session.Outbound{ID: packet.ID(r.PacketID), Identity: r.Identity, QoS: packet.QoS(r.QoS), Released: r.Released, Done: r.Done, Order: r.Order})
	}
	return st
}

func storeOps(ops []session.Op) []sessionstore.Op {
	out := make([]sessionstore.Op, len(ops))
	for i, op := range ops {
		switch op := op.(type) {
		case session.PutSubscription:
			s := op.Subscription
			out[i] = sessionstore.PutSubscription{Subscription: sessionstore.Subscription{
				Filter: s.Filter, QoS: byte(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished, RetainHandling: s.RetainHandling, ID: s.SubID,
			}}
		case session.DeleteSubscription:
			out[i] = sessionstore.DeleteSubscription{Filter: op.Filter}
		case session.PutInbound:
			r := op.Record
			out[i] = sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(r.ID), MessageID: r.MessageID, Accepted: r.Accepted}}
		case session.DeleteInbound:
			out[i] = sessionstore.DeleteInbound{PacketID: uint16(op.ID)}
		case session.PutOutbound:
			r := op.Record
			out[i] = sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: uint16(r.ID), Identity: r.Identity, QoS: byte(r.QoS), Released: r.Released, Done: r.Done, Order: r.Order}}
		case session.DeleteOutbound:
			out[i] = sessionstore.DeleteOutbound{PacketID: uint16(op.ID)}
		case session.SetExpiry:
			out[i] = sessionstore.SetExpiry{Seconds: op.Seconds}
		default:
			panic(fmt.Sprintf("sim: unknown op %T", op))
		}
	}
	return out
}
