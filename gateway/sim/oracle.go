package sim

import (
	"slices"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// oracle knows what was published, taken and delivered, and says what must never happen. It is told by the places where things happen and decides
// nothing. P4 is checked in store.go, P5 in shell.go.
type oracle struct {
	w       *world
	records map[string]*record
	order   []*record // by publication
	got     map[receipt]*got
	latest  map[string]uint64 // per queue: the greatest place in it of what was delivered for the first time
	pending []*due
	// unanswered are the sessions of which a claim had no answer in time. It may have been applied, or be, and nobody serves the session then.
	unanswered map[sessionstore.Key]bool

	topics    map[string]*retainedTopic
	groups    map[string]*sharedGroup // by filter
	wills     map[string]*will
	standing  map[sessionstore.Key]*will // of the connections that the store takes for the owners
	willOrder []*will
	handed    map[string]*handed
	marks     marks
}

// record is an application message and what became of it.
type record struct {
	*appMessage
	publisher *device
	acked     bool     // the publisher has its positive PUBACK or PUBREC
	refused   bool     // a negative one
	abandoned bool     // the publisher's session ended before it was answered
	positive  bool     // a node learned that the bus has taken it, or that nobody subscribes
	rejected  bool     // the bus refused it for good, once at least
	ids       []string // it was sent to the bus under, since the bus last refused it for good
	arrived   bool     // at the bus, once at least
	unflagged int      // copies on the bus that do not say that they may be duplicates
	stored    int      // times the bus took it
	copies    []*entry // in queues
	ackedAt   time.Time
	retained  bool // it came to the store, once at least
}

// due is a delivery owed to a subscriber.
type due struct {
	r      *record
	d      *device
	done   bool
	waived bool // the subscription or the session has ended
}

type receipt struct{ device, key string }

// got is what a device has had of a message.
type got struct {
	times    int
	atQoS0   bool // a node sent it so
	exactly  int  // passed to the application at QoS 2
	answered bool // the device's PUBACK or PUBREC is on its way
	refused  bool // and it was negative
	took     bool // or positive, once at least
	// completed is how many QoS 2 exchanges the device had completed when it completed this one first.
	completed int
}

// marks count what must happen now and then: a run in which nothing happens shows nothing.
type marks struct {
	published, acked, delivered, again, fenced, takeovers, duplicates, released  int
	redelivered, resumed, sweeps, wills, worksAgain, spent, sweptWills, perished int

	retained, removals, retainedCopies, retainedSent, shared, handedOver, elsewhere, groupsOver, refusedShared int
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, records: map[string]*record{}, got: map[receipt]*got{}, wills: map[string]*will{}, standing: map[sessionstore.Key]*will{}, handed: map[string]*handed{}, latest: map[string]uint64{}, topics: map[string]*retainedTopic{}, unanswered: map[sessionstore.Key]bool{}, groups: map[string]*sharedGroup{}}
}

func (o *oracle) gotBy(d *device, key string) *got {
	g := o.got[receipt{d.id, key}]
	if g == nil {
		g = &got{}
		o.got[receipt{d.id, key}] = g
	}
	return g
}

// payloadKey is the key of an application message as it is published: its payload, or what it removes.
func payloadKey(topic string, payload []byte) string {
	if len(payload) == 0 {
		return "remove " + topic
	}
	return string(payload)
}

func keyOfMessage(m *message.Message) string {
	var payload []byte
	for _, d := range m.Data {
		payload = append(payload, d...)
	}
	to, _ := mapping.RabbitMQ.ParseAddress(m.Properties.To)
	return payloadKey(mapping.RabbitMQ.Topic(to.Key), payload)
}

// published: the device sends a message for the first time. Who has a confirmed subscription is owed it.
func (o *oracle) published(d *device, m *appMessage) {
	r := &record{appMessage: m, publisher: d}
	o.records[m.key] = r
	o.order = append(o.order, r)
	o.marks.published++
	if m.retain {
		o.topic(m.topic).published = append(o.topic(m.topic).published, r)
	}
	if m.qos == 0 {
		return
	}
	for _, s := range o.w.devices {
		if s.persistent && s.known && !s.gone && s.owed(r) {
			o.pending = append(o.pending, &due{r: r, d: s})
		}
	}
}

// owed: a subscription in force asks for the message at QoS 1 or 2.
func (d *device) owed(r *record) bool {
	return slices.ContainsFunc(d.filters, func(f subscription) bool {
		return f.confirmed && !d.unbound && f.qos > 0 && topic.Match(f.filter, r.topic) && !(f.noLocal && r.publisher == d)
	})
}

func (o *oracle) subscriptionsChange(d *device) {
	for _, due := range o.pending {
		if due.d == d && !due.done && !d.owed(due.r) {
			due.waived = true
		}
	}
}

// unbinds: a node has the bus take a binding from a session's queue. When another one owns the session by now, that one's bindings suffer: the bus has
// no fence, and such a request can be under way for long. What the session is owed then cannot be told.
func (o *oracle) unbinds(n *node, inbox string) {
	for _, d := range o.w.devices {
		s := o.w.store.session(keyOf(d.id))
		if s != nil && s.Inbox == inbox && s.Owner != n.life {
			o.w.log("oracle  %s unbinds late what is another's", n.id)
			d.unbound = true
			o.subscriptionsChange(d)
		}
	}
}

func (o *oracle) sessionForgotten(d *device) { o.subscriptionsChange(d) }

func (o *oracle) abandoned(_ *device, m *appMessage) {
	if r := o.records[m.key]; r != nil {
		r.abandoned = true
	}
}

// transferred: a message arrives at the bus, for the first time or again. At QoS 2 it keeps its message-id for ever.
func (o *oracle) transferred(m *message.Message) *record {
	r := o.records[keyOfMessage(m)]
	id, _ := m.Properties.MessageID.(string)
	if !slices.Contains(r.ids, id) {
		r.ids = append(r.ids, id)
	}
	if !r.arrived {
		r.arrived = true
		o.inOrder(r)
		o.willArrives(r)
	}
	if (r.qos == 2 || o.wills[r.key] != nil) && len(r.ids) > 1 {
		o.w.fail("duplicates: QoS 2 message %s comes to the bus as %q", r.key, r.ids)
	}
	return r
}

// transferredSettled: at QoS 0 only a Will has anything to keep.
func (o *oracle) transferredSettled(m *message.Message) {
	if o.wills[keyOfMessage(m)] != nil {
		o.transferred(m)
	}
}

// inOrder: messages of one device, topic and QoS come to the bus in the order of their first sending.
func (o *oracle) inOrder(r *record) {
	if r.abandoned {
		return // a straggler of a session that is gone
	}
	for i := len(o.order) - 1; i >= 0 && o.order[i] != r; i-- {
		if later := o.order[i]; later.publisher == r.publisher && later.topic == r.topic && later.qos == r.qos && later.arrived {
			o.w.fail("order: %s comes to the bus after %s", r.key, later.key)
		}
	}
}

// taken: the bus has a message, or says that nobody subscribes.
func (o *oracle) taken(m *message.Message, outcome message.Outcome) {
	r := o.transferred(m)
	if outcome.Kind == message.Released {
		o.marks.released++
		return
	}
	r.stored++
	if r.stored > 1 {
		o.marks.duplicates++
		o.onceOnTheBus(r)
	}
	if o.wills[r.key] != nil {
		o.marks.wills++
	}
	if !mapping.PossibleDuplicate(m) {
		r.unflagged++
	}
	if r.unflagged > 1 {
		o.w.fail("duplicates: the bus has %s twice, and neither says that it may be a duplicate", r.key)
	}
}

// onceOnTheBus: a device that changes nodes in the middle makes no duplicate at QoS 2, as long as no node dies, is cut off or loses its
// connection to the bus [MQTT-4.3.3-10].
func (o *oracle) onceOnTheBus(r *record) {
	if o.w.plan.changes && r.qos == 2 && !o.w.healed {
		o.w.fail("exactly once: the bus has %s %d times, and nobody but the device has changed", r.key, r.stored)
	}
}

// rejectedByBus: the bus refuses a message for good. A 3.1.1 device cannot be told, so it will send the message again, as a new one.
func (o *oracle) rejectedByBus(m *message.Message) {
	r := o.transferred(m)
	r.rejected, r.ids = true, nil
}

// outcome: a node learns what the bus said.
func (o *oracle) outcome(m *message.Message, outcome message.Outcome) {
	if outcome.Kind == message.Accepted || outcome.Kind == message.Released {
		o.records[keyOfMessage(m)].positive = true
	}
}

// acknowledged: the publisher gets PUBACK or PUBREC. P1.
func (o *oracle) acknowledged(d *device, m *appMessage, p *packet.Ack) {
	r := o.records[m.key]
	switch {
	case p.Reason.Failed() && !r.rejected:
		o.w.fail("%s got 0x%02X for %s, which the bus never refused for good", d.id, byte(p.Reason), m.key)
	case p.Reason.Failed():
		r.refused = true
	case !r.positive:
		o.w.fail("P1: %s got %s for %s, and no node had a positive outcome of the bus", d.id, packetText(p), m.key)
	default:
		r.acked = true
		if r.ackedAt.IsZero() {
			r.ackedAt = o.w.now
		}
		o.marks.acked++
	}
}

// queued: a copy lies in a queue.
func (o *oracle) queued(e *entry) {
	e.r.copies = append(e.r.copies, e)
	switch e.via {
	case viaRetained:
		o.marks.retainedCopies++
	case viaHandOver:
		o.marks.handedOver++
	}
}

// owner is the device whose session has the queue, nil for the queue of a node.
func (o *oracle) owner(q *queue) *device {
	for _, d := range o.w.devices {
		if strings.HasPrefix(q.name, "session."+d.id+".") {
			return d
		}
	}
	return nil
}

// copies of a message that the sessions of a device have, or had, in their queues. The key says by which way.
func (o *oracle) copies(d *device, key string) []*entry {
	var list []*entry
	for _, e := range o.record(key).copies {
		if e.key == key && o.owner(e.q) == d {
			list = append(list, e)
		}
	}
	return list
}

// delivered: a device's application gets a message, or refuses it.
func (o *oracle) delivered(d *device, p *packet.Publish, key string, taken bool) {
	r := o.record(key)
	if r == nil || r.topic != p.Topic || p.QoS > r.qos {
		o.w.fail("%s got %s, which nobody published so", d.id, packetText(p))
		return
	}
	g := o.gotBy(d, key)
	g.times++
	o.marks.delivered++
	switch suffixOf(key) {
	case viaRetained.suffix():
		o.retainedDelivered(d, p, r, key, taken)
		return
	case viaHandOver.suffix():
		o.sharedDelivered(d, p, r, key, taken)
		return
	}
	if p.QoS == 0 {
		return
	}
	if g.times == 1 {
		o.firstInOrder(d, r)
	} else {
		o.marks.again++
	}
	if p.QoS == 2 && taken {
		copies := o.copies(d, key)
		if g.exactly++; g.exactly > len(copies) {
			o.w.fail("exactly once: %s was passed %s %d times, the bus had it %d times", d.id, key, g.exactly, len(copies))
		}
	}
	for _, due := range o.pending {
		due.done = due.done || due.d == d && due.r == r
	}
}

// firstInOrder: what comes for the first time comes in the order of the queue.
func (o *oracle) firstInOrder(d *device, r *record) {
	copies := o.copies(d, r.key)
	if len(copies) == 0 {
		o.w.fail("%s got %s, which its session's queue never had", d.id, r.key)
		return
	}
	first, last := copies[0], copies[len(copies)-1]
	if first.q != last.q {
		return
	}
	if !slices.ContainsFunc(o.pending, func(due *due) bool { return due.r == r && due.d == d }) {
		return // it came to the queue before the subscription was confirmed: nothing was promised yet
	}
	if last.serial < o.latest[first.q.name] {
		o.w.fail("order: %s got %s after messages that were behind it in its queue", d.id, r.key)
	}
	o.latest[first.q.name] = max(o.latest[first.q.name], first.serial)
}

// answers: the device sends its PUBACK or PUBREC.
func (o *oracle) answers(d *device, key string, refused bool) {
	g := o.gotBy(d, key)
	g.answered, g.refused, g.took = true, g.refused || refused, g.took || !refused
}

// settled: a node settles a delivery. P2.
func (o *oracle) settled(c *consumer, e *entry, outcome message.Outcome) {
	d, r := o.owner(e.q), e.r
	switch {
	case e.via == viaGroup:
		o.settledByMember(c, e, outcome)
		return
	case d == nil:
		return
	case e.via != viaTopic:
		o.copySettled(d, e, outcome)
		return
	}
	g := o.gotBy(d, e.key)
	switch outcome.Kind {
	case message.Accepted:
		own := r.publisher == d && slices.ContainsFunc(d.filters, func(f subscription) bool { return f.noLocal })
		// What the queue still has for a subscription that has ended is done with, and nobody is told.
		ended := !d.owed(r) && slices.ContainsFunc(d.filters, func(f subscription) bool { return f.volatile && topic.Match(f.filter, r.topic) })
		if !g.answered && !g.atQoS0 && r.qos > 0 && !own && !ended && !secondCopy(e, r) {
			o.w.fail("P2: %s is settled accepted, and %s has not acknowledged it", e.key, d.id)
		}
	case message.Rejected:
		due := slices.ContainsFunc(o.pending, func(due *due) bool { return due.r == r && due.d == d && !due.done && !due.waived })
		if !g.refused && due {
			o.w.fail("%s is settled rejected (%v), and %s has not refused it", e.key, outcome.Error, d.id)
		}
	}
}

// secondCopy: the entry says that it may be a duplicate, and it is one: the queue still has another, which counts.
func secondCopy(e *entry, r *record) bool {
	flagged := mapping.PossibleDuplicate(e.m)
	return flagged && slices.ContainsFunc(r.copies, func(c *entry) bool { return c != e && c.q == e.q && !c.over })
}

// shellWatch is what the oracle knows of a connection.
type shellWatch struct {
	fenced  bool // a write of it was refused: another connection owns the session
	resumed map[string]sessionstore.Outbound
	sent    map[packet.ID]string // the key of what went out under an identifier
	refused map[string]bool      // keys that the device refused, since a shared lane was attached
	since   time.Time
}

func (sh *shell) resumesFrom(s *sessionstore.Session) {
	sh.watch.since = sh.w.now
	sh.watch.resumed = map[string]sessionstore.Outbound{}
	for _, r := range s.Outbound {
		sh.watch.resumed[r.Identity] = r
	}
}

// sends: a node sends a packet. What it confirms is stored (P3), and it is not sent by one who knows that the session is another's (P4).
func (o *oracle) sends(sh *shell, p packet.Packet) {
	if sh.watch.fenced && p.Type() != packet.DISCONNECT {
		o.w.fail("P4: %s sends %s to %s although a write was fenced", sh.n.id, packetText(p), sh.conn.d.id)
	}
	d := sh.conn.d
	if publish, ok := p.(*packet.Publish); ok && publish.QoS == 0 {
		o.gotBy(d, d.keyOf(publish)).atQoS0 = true
	}
	sh.notes(p)
	if !d.persistent || sh.epoch == 0 || sh.epoch != o.w.store.epochs[sh.key] {
		return
	}
	s := o.w.store.session(sh.key)
	if s == nil {
		o.w.fail("P3: %s serves %s, whose session the store does not have", sh.n.id, d.id)
		return
	}
	switch p := p.(type) {
	case *packet.Publish:
		o.sendsPublish(sh, s, p)
	case *packet.Ack:
		o.sendsAck(sh, s, p)
	case *packet.Suback:
		o.sendsSuback(sh, s, p)
	}
}

func (o *oracle) sendsPublish(sh *shell, s *sessionstore.Session, p *packet.Publish) {
	key := sh.conn.d.keyOf(p)
	if p.QoS == 2 && !slices.ContainsFunc(s.Outbound, func(r sessionstore.Outbound) bool { return r.PacketID == uint16(p.ID) && !r.Released }) {
		o.w.fail("P3: %s sends %s to %s, which is not recorded", sh.n.id, packetText(p), sh.conn.d.id)
	}
	copies := o.copies(sh.conn.d, key)
	if p.QoS == 0 || len(copies) != 1 || o.w.now.Sub(sh.watch.since) > 20*time.Second {
		return
	}
	id := copies[0].identity()
	was, resumed := sh.watch.resumed[id]
	if !resumed {
		return
	}
	delete(sh.watch.resumed, id)
	if uint16(p.ID) != was.PacketID || !p.Dup {
		o.w.fail("P3: %s sends %s to %s, which was begun under identifier %d", sh.n.id, packetText(p), sh.conn.d.id, was.PacketID)
	}
}

func (o *oracle) sendsAck(sh *shell, s *sessionstore.Session, p *packet.Ack) {
	inbound := slices.IndexFunc(s.Inbound, func(r sessionstore.Inbound) bool { return r.PacketID == uint16(p.ID) })
	outbound := slices.IndexFunc(s.Outbound, func(r sessionstore.Outbound) bool { return r.PacketID == uint16(p.ID) })
	told := func(what string) {
		o.w.fail("P3: %s sends %s to %s, but %s", sh.n.id, packetText(p), sh.conn.d.id, what)
	}
	switch {
	case p.Reason != packet.Success && p.Reason != packet.NoMatchingSubscribers:
	case p.Kind == packet.PUBREC && (inbound < 0 || !s.Inbound[inbound].Accepted):
		told("the store does not say that the bus has the message")
	case p.Kind == packet.PUBCOMP && inbound >= 0:
		told("the store still has its record")
	case p.Kind == packet.PUBREL && sh.conn.d.version == packet.V5 && (outbound < 0 || !s.Outbound[outbound].Released):
		told("the store does not say that the device has the message")
	}
}

func (o *oracle) sendsSuback(sh *shell, s *sessionstore.Session, p *packet.Suback) {
	r := sh.conn.d.requests[p.ID]
	if sh.conn.d.conn != sh.conn || r == nil {
		return
	}
	for i, k := range r.index {
		filter := sh.conn.d.filters[k].filter
		if !p.Reasons[i].Failed() && !slices.ContainsFunc(s.Subscriptions, func(r sessionstore.Subscription) bool {
			return r.Filter == filter && r.QoS == byte(p.Reasons[i])
		}) {
			o.w.fail("P3: %s confirms %q to %s, which is not stored", sh.n.id, filter, sh.conn.d.id)
		}
	}
}
