package bridge

import (
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// rig drives a bridge with a clock of its own and sorts its effects.
type rig struct {
	t       *testing.T
	b       *Bridge
	now     time.Time
	sent    []SendMessage
	packets []packet.Packet
	settled []SettleDelivery
	changes []ChangeLanes
	resumed []ResumeLanes
	closed  []session.CloseConnection
	reports []Report
	failed  []Failed
	stores  []session.Store
	due     time.Time
	finish  *Finish
	retain  []StoreRetained
	feeds   []SendRetained
	handed  []HandOver
	recalls int
	refused []Refuse
	granted []session.GrantCredit
	spans   []Span
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testConfig() Config {
	return Config{
		Session: session.Config{
			ReceiveMaximum: 50, InboundQoS2Max: 50, MaximumPacketSize: 1 << 18, OutboundWindow: 20, SessionExpiryMax: 3600,
			SubscriptionsMax: 100, ConnectTimeout: time.Minute, LingerTime: time.Second, OrphanTime: time.Second, MaximumQoS: 2,
			RetainAvailable: true, SharedAvailable: true,
		},
		Grace:    30 * time.Second,
		QoS0Hold: time.Second,
	}
}

func newRig(t *testing.T) *rig {
	cfg := testConfig()
	return &rig{t: t, b: New(&cfg, [16]byte{}), now: start}
}

// connected is a rig whose device has an MQTT 5 session.
func connected(t *testing.T, state session.State) *rig {
	return connectedWith(t, testConfig(), state)
}

func connectedWith(t *testing.T, cfg Config, state session.State) *rig {
	r := &rig{t: t, b: New(&cfg, [16]byte{}), now: start}
	r.step(session.ConnectionOpened{AssignedClientID: "assigned"})
	c := &packet.Connect{Version: packet.V5, ClientID: "dev", CleanStart: len(state.Subscriptions) == 0}
	c.Properties.SetSessionExpiry(600)
	r.step(session.PacketReceived{Packet: c})
	r.step(Opened{
		Present: !c.CleanStart, State: state, MessageIDPrefix: "p-",
		Provenance: mapping.NewProvenance("t", "pr", "dev", "n1"),
		Publisher:  mapping.Publisher{Tenant: "t", Principal: "pr", ClientID: "dev", Node: "n1"},
	})
	r.packets = nil
	return r
}

func (r *rig) step(ev Event) {
	r.t.Helper()
	for _, e := range r.b.Step(r.now, ev, nil) {
		switch e := e.(type) {
		case SendMessage:
			r.sent = append(r.sent, e)
		case session.SendPacket:
			if ready, ok := e.Packet.(*packet.Prepared); ok {
				e.Packet = ready.Publish()
			}
			r.packets = append(r.packets, e.Packet)
		case SettleDelivery:
			r.settled = append(r.settled, e)
		case ChangeLanes:
			r.changes = append(r.changes, e)
		case ResumeLanes:
			r.resumed = append(r.resumed, e)
		case session.CloseConnection:
			r.closed = append(r.closed, e)
		case Failed:
			r.failed = append(r.failed, e)
		case Report:
			r.reports = append(r.reports, e)
		case session.Store:
			r.stores = append(r.stores, e)
		case StoreRetained:
			r.retain = append(r.retain, e)
		case HandOver:
			r.handed = append(r.handed, e)
		case Refuse:
			r.refused = append(r.refused, e)
		case session.GrantCredit:
			r.granted = append(r.granted, e)
		case Span:
			r.spans = append(r.spans, e)
		case session.Recall:
			r.recalls++
		case SendRetained:
			r.feeds = append(r.feeds, e)
		case session.SetDeadline:
			r.due = e.At
		case Finish:
			if r.finish != nil {
				r.t.Error("a second Finish")
			}
			r.finish = &e
		}
	}
}

// wait moves the clock to the deadline, if it comes within d, and reports it.
func (r *rig) wait(d time.Duration) {
	r.t.Helper()
	for end := r.now.Add(d); ; {
		if r.due.IsZero() || r.due.After(end) {
			r.now = end
			return
		}
		r.now = r.due
		r.due = time.Time{}
		r.step(session.DeadlineReached{})
	}
}

func (r *rig) publish(id packet.ID, qos packet.QoS, topic string) {
	r.t.Helper()
	r.step(session.PacketReceived{Packet: &packet.Publish{ID: id, QoS: qos, Topic: topic, Payload: []byte("x")}})
}

// answer gives the outcome of the send with this index.
func (r *rig) answer(i int, o message.Outcome) {
	r.t.Helper()
	r.step(OutcomeArrived{Token: r.sent[i].Token, Outcome: o})
}

func (r *rig) puback(i int) *packet.Ack {
	r.t.Helper()
	if len(r.packets) <= i {
		r.t.Fatalf("%d packets to the device, want one at %d", len(r.packets), i)
	}
	a, ok := r.packets[i].(*packet.Ack)
	if !ok {
		r.t.Fatalf("packet %d is %T", i, r.packets[i])
	}
	return a
}

func (r *rig) reported(k ReportKind) int {
	n := 0
	for _, rep := range r.reports {
		if rep.Kind == k {
			n++
		}
	}
	return n
}

// failures is how often a row of the catalogue was told.
func (r *rig) failures(f *failure.Failure) (n int) {
	for _, told := range r.failed {
		if told.Failure == f {
			n++
		}
	}
	return n
}

var (
	accepted = message.Outcome{Kind: message.Accepted}
	lost     = message.Outcome{Kind: message.Lost}
	busy     = message.Outcome{Kind: message.Busy}
	modified = message.Outcome{Kind: message.Modified, DeliveryFailed: true}
)
