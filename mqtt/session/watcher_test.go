package session

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// watcher follows events and effects from outside and knows only the promises: it would find a machine that keeps its own books in
// order and still lies.
type watcher struct {
	m *Machine

	asksAuth                           bool // Authenticate has no answer
	asked, connected, closed, finished bool
	persistent                         bool
	window                             int
	maxPacket                          uint32

	stores  map[uint64]Store   // without answer
	tokens  map[uint64]Publish // without answer
	owed    []uint64           // QoS 1 tokens whose PUBACK has not been sent, in order
	success map[uint64]bool    // answered tokens
	backed  map[packet.ID]bool // QoS 2: PUBREC may be positive
	// messageIDs are those of the records of QoS 2 messages from the device.
	messageIDs map[packet.ID]string
	sent       map[packet.ID]*sentOut    // PUBLISH to the device without end
	open       map[uint64]MessageArrived // deliveries without settlement
	kept       map[packet.ID]string      // from earlier connections, and not sent on this one
	known      map[string]bool           // identities the device has acknowledged
	asQoS0     map[uint64]bool           // deliveries that were sent at QoS 0
	credit     map[string]int            // by lane
	lanes      int                       // shared lanes attached so far
	// How much of the shared lanes was seen: messages handed over, PUBLISH packets sent.
	handovers, ofGroups int
	handed              map[uint64]bool // deliveries that are being handed over
	begun               map[string]bool // identities that were sent, or were on an earlier connection

	under   Subscribe       // the SUBSCRIBE under way
	filters map[string]bool // true: subscribed; false: no longer, or never after all
	excused map[uint64]bool // deliveries that came for a subscription which has ended
}

type sentOut struct {
	identity string
	qos      packet.QoS
	released bool
}

func newWatcher(m *Machine) *watcher {
	return &watcher{
		m: m, stores: map[uint64]Store{}, tokens: map[uint64]Publish{}, success: map[uint64]bool{}, backed: map[packet.ID]bool{}, messageIDs: map[packet.ID]string{},
		sent: map[packet.ID]*sentOut{}, open: map[uint64]MessageArrived{}, known: map[string]bool{}, kept: map[packet.ID]string{}, asQoS0: map[uint64]bool{},
		filters: map[string]bool{}, excused: map[uint64]bool{}, credit: map[string]int{}, handed: map[uint64]bool{}, begun: map[string]bool{},
	}
}

func (w *watcher) step(now time.Time, ev Event, effects []Effect) error {
	if w.finished && len(effects) > 0 {
		return fmt.Errorf("effects after Finish")
	}
	if err := w.event(ev); err != nil {
		return err
	}
	w.noteQoS0(ev, effects)
	for i, e := range effects {
		if err := w.effect(e, effects[:i]); err != nil {
			return fmt.Errorf("%T: %w", e, err)
		}
	}
	if err := w.bounds(); err != nil {
		return err
	}
	return w.m.Check()
}

func (w *watcher) event(ev Event) error {
	switch ev := ev.(type) {
	case PacketReceived:
		w.received(ev.Packet)
	case AuthContinue, AuthSucceeded, AuthFailed:
		w.asksAuth = false
	case SessionOpened:
		if !w.asked {
			break
		}
		w.asked = false
		for _, s := range ev.State.Subscriptions {
			w.filters[s.Filter] = true
		}
		for _, r := range ev.State.Inbound {
			w.backed[r.ID] = r.Accepted
			w.messageIDs[r.ID] = r.MessageID
		}
		for _, r := range ev.State.Outbound {
			w.kept[r.ID] = r.Identity
			w.begun[r.Identity] = true
			if r.Released {
				w.known[r.Identity] = true
			}
			if r.Released && !r.Done {
				w.sent[r.ID] = &sentOut{identity: r.Identity, qos: 2, released: true}
			}
		}
	case PublishAnswered:
		p, ok := w.tokens[ev.Token]
		if !ok {
			break
		}
		delete(w.tokens, ev.Token)
		w.success[ev.Token] = !ev.Reason.Failed()
		if p.Packet.QoS == 2 && !w.persistent && !ev.Reason.Failed() {
			w.backed[p.Packet.ID] = true
		}
	case Recalled:
		for _, r := range ev.Inbound {
			w.backed[r.ID] = w.backed[r.ID] || r.Accepted && w.messageIDs[r.ID] == r.MessageID
		}
	case Stored:
		s, ok := w.stores[ev.ID]
		if !ok || ev.Err != StoreOK {
			break
		}
		delete(w.stores, ev.ID)
		for _, op := range s.Ops {
			switch op := op.(type) {
			case PutInbound:
				w.backed[op.Record.ID] = op.Record.Accepted
			case AcceptInbound:
				w.backed[op.ID] = true
			case PutOutbound:
				if op.Record.Released {
					w.known[op.Record.Identity] = true
				}
			}
		}
	case LaneAttached:
		w.credit[ev.Lane] = 0
		if ev.Lane != "" {
			w.lanes++
		}
	case LaneDetached:
		w.credit[ev.Lane] = 0
		maps.DeleteFunc(w.open, func(_ uint64, m MessageArrived) bool { return m.Lane == ev.Lane })
	case HandedOver:
		if w.handed[ev.Delivery] {
			delete(w.handed, ev.Delivery)
			delete(w.open, ev.Delivery)
		}
	case MessageUnusable:
		if !w.closed && w.credit[ev.Lane] > 0 {
			w.credit[ev.Lane]--
		}
	case MessageArrived:
		if ev.Delivery != 0 && !w.closed && w.credit[ev.Lane] > 0 {
			w.credit[ev.Lane]--
		}
		if ev.Delivery != 0 && w.connected && !w.closed {
			w.open[ev.Delivery] = ev
			w.excused[ev.Delivery] = ev.Lane == "" && (w.excuse(ev.Message) || w.heldBack(ev.Message.Publish.Topic))
		}
	case Subscribed:
		if ev.ID != w.under.ID {
			break
		}
		for i, s := range w.under.Subscriptions {
			ok := i < len(ev.Reasons) && !ev.Reasons[i].Failed()
			w.filters[s.Filter] = w.filters[s.Filter] || ok
		}
		w.under = Subscribe{}
	}
	return nil
}

// excuse reports whether a message may be settled accepted because the subscription it came for has ended, and no other wants it.
func (w *watcher) excuse(msg Message) bool {
	if topic.IsShared(msg.For) && !msg.Retained {
		return w.begun[msg.Identity] // the same copy once more
	}
	if msg.For != "" {
		return !w.filters[msg.For] && !slices.ContainsFunc(w.under.Subscriptions, func(s packet.Subscription) bool { return s.Filter == msg.For })
	}
	ended := false
	for filter, on := range w.filters {
		if topic.Match(filter, msg.Publish.Topic) {
			if on {
				return false
			}
			ended = true
		}
	}
	return ended
}

func (w *watcher) received(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Connect:
		w.window = int(w.m.window)
		if p.Properties.Has(packet.PropReceiveMaximum) {
			w.window = min(w.window, int(p.Properties.ReceiveMaximum))
		}
		w.maxPacket = p.Properties.MaximumPacketSize
	case *packet.Ack:
		o := w.sent[p.ID]
		if o == nil {
			if identity, ok := w.kept[p.ID]; ok && p.Kind == packet.PUBACK && !p.Reason.Failed() {
				w.known[identity] = true
			}
			return
		}
		switch {
		case p.Kind == packet.PUBACK && o.qos == 1, p.Kind == packet.PUBREC && p.Reason.Failed() && !o.released:
			if !p.Reason.Failed() {
				w.known[o.identity] = true
			}
			delete(w.sent, p.ID)
		case p.Kind == packet.PUBREC && !w.persistent:
			w.known[o.identity] = true
		case p.Kind == packet.PUBCOMP && o.released:
			delete(w.sent, p.ID)
		}
	}
}

func (w *watcher) effect(e Effect, before []Effect) error {
	switch e := e.(type) {
	case SendPacket:
		return w.sending(e.Packet)
	case Authenticate:
		if w.asksAuth {
			return fmt.Errorf("asked again before it was answered")
		}
		w.asksAuth = true
	case OpenSession:
		if w.asksAuth {
			return fmt.Errorf("the authentication is not over")
		}
		w.persistent = e.Expiry > 0
		w.asked = true
	case Publish:
		w.tokens[e.Token] = e
		if e.Packet.QoS == 1 {
			w.owed = append(w.owed, e.Token)
		}
		if e.Packet.Topic == "" || e.Packet.Properties.Has(packet.PropTopicAlias) {
			return fmt.Errorf("the alias was not resolved")
		}
		if e.Packet.QoS == 2 && w.backed[e.Packet.ID] {
			return fmt.Errorf("the bus has accepted identifier %d already", e.Packet.ID)
		}
		if e.Packet.QoS == 2 && w.persistent {
			for _, s := range w.stores {
				for _, op := range s.Ops {
					if put, ok := op.(PutInbound); ok && put.Record.ID == e.Packet.ID {
						return fmt.Errorf("published before its record was stored")
					}
				}
			}
		}
	case Store:
		if !w.persistent {
			return fmt.Errorf("the session is not persistent")
		}
		if e.ID != 0 {
			w.stores[e.ID] = e
		}
		for _, op := range e.Ops {
			switch op := op.(type) {
			case PutInbound:
				w.messageIDs[op.Record.ID] = op.Record.MessageID
			case PutOutbound:
				w.begun[op.Record.Identity] = true
			}
		}
	case Subscribe:
		w.under = e
	case Unsubscribe:
		for _, f := range e.Filters {
			w.filters[f] = false
		}
	case Settle:
		return w.settled(e)
	case HandOver:
		ev, ok := w.open[e.Delivery]
		if !ok || ev.Lane == "" || ev.Message.Publish.QoS != 2 || w.handed[e.Delivery] {
			return fmt.Errorf("delivery %d is not one to hand over", e.Delivery)
		}
		w.handed[e.Delivery] = true
		w.handovers++
	case GrantCredit:
		w.credit[e.Lane] += int(e.N)
	case CloseConnection:
		if w.closed {
			return fmt.Errorf("closed twice")
		}
		w.closed = true
	case Finish:
		w.finished = true
	}
	return nil
}
