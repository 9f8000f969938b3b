package sim

import (
	"slices"
	"strings"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping"
)

// broker is the bus: a topic exchange, queues that keep messages in order, consumers with credit.
type broker struct {
	w      *world
	queues []*queue
	conns  []*busConn
	serial uint64
	// dedup: a queue takes a message-id once, as buses with duplicate detection do.
	dedup bool
	// stalled: senders get no credit. What arrives waits.
	stalled bool
	waiting []func()
	// unreadable: a message-id that is refused for good, or not, is so for each copy that comes.
	unreadable map[string]bool
	removed    map[string]bool // by name
}

type queue struct {
	name      string
	single    bool
	patterns  []string
	ready     []*entry // by serial
	consumers []*consumer
	taken     []string // message-ids it ever took
	// stray: it was removed before, and made again by a node that had not heard of that. Its name is that of nothing any more; it expires on the bus
	// when nobody receives from it.
	stray bool
}

// entry is a message in one queue.
type entry struct {
	serial     uint64
	q          *queue
	m          *message.Message
	r          *record // the application message, for the oracle
	via        via
	key        string // r's, and via
	deliveries int
	over       bool // settled for good
}

type consumer struct {
	q         *queue
	link      *link
	credit    int
	unsettled []*entry
	gone      bool
}

func newBroker(w *world) *broker {
	return &broker{w: w, unreadable: map[string]bool{}, removed: map[string]bool{}}
}

// cannotRead draws once for each message-id. Copies of a message can be on their way over two nodes, and a bus does not take one and
// refuse the other for what it is.
func (b *broker) cannotRead(m *message.Message) bool {
	id, _ := m.Properties.MessageID.(string)
	unreadable, drawn := b.unreadable[id]
	if !drawn {
		unreadable = b.w.chance(b.w.plan.busRejects)
		b.unreadable[id] = unreadable
	}
	return unreadable
}

func (b *broker) queue(name string) *queue {
	for _, q := range b.queues {
		if q.name == name {
			return q
		}
	}
	return nil
}

func (b *broker) ensure(inbox amqp.Inbox) error {
	if b.queue(inbox.Name) == nil {
		b.queues = append(b.queues, &queue{name: inbox.Name, single: inbox.SingleActive, stray: b.removed[inbox.Name]})
	}
	return nil
}

func (b *broker) bind(name string, patterns []string) error {
	q := b.queue(name)
	if q == nil {
		return amqp.ErrNotFound
	}
	q.patterns = with(q.patterns, patterns)
	return nil
}

func (b *broker) unbind(name string, patterns []string) error {
	if q := b.queue(name); q != nil {
		q.patterns = without(q.patterns, patterns)
	}
	return nil
}

func (b *broker) remove(name string) error {
	b.removed[name] = true
	q := b.queue(name)
	if q == nil {
		return nil
	}
	b.w.oracle.queueGoes(q)
	b.queues = slices.DeleteFunc(b.queues, func(other *queue) bool { return other == q })
	for _, c := range slices.Clone(q.consumers) {
		b.detach(c)
		c.link.down.send(func() { c.link.r.c.n.do(func() { c.link.r.lose(amqp.ErrNotFound) }) })
	}
	return nil
}

// transfer takes a message from a node and answers with its outcome.
func (b *broker) transfer(conn *busConn, m *message.Message, settled bool, answer func(message.Outcome)) {
	if !conn.brokerUp || conn.send[0].broken {
		return // nothing is read from a connection that is gone
	}
	if b.stalled {
		b.waiting = append(b.waiting, func() { b.transfer(conn, m, settled, answer) })
		return
	}
	if mapping.MarkerName(m) != "" {
		b.transferMarker(conn, m, answer)
		return
	}
	w, p := b.w, &b.w.plan
	if settled {
		w.oracle.transferredSettled(m)
		b.route(m)
		return
	}
	switch {
	case w.chance(p.busCutsBefore):
		w.log("bus     %v: connection cut, not taken", m.Properties.MessageID)
		conn.cut()
		return
	case w.chance(p.busRejectsForNow):
		b.refuse(m, answer, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:resource-limit-exceeded", Info: map[string]any{"reason": "unavailable"}}})
		return
	case w.chance(p.busModifies):
		b.refuse(m, answer, message.Outcome{Kind: message.Modified, DeliveryFailed: true})
		return
	case !direct(m) && b.cannotRead(m):
		b.refuse(m, answer, message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:decode-error"}})
		return
	}
	o := message.Outcome{Kind: message.Released}
	if b.route(m) {
		o.Kind = message.Accepted
	}
	if !direct(m) {
		w.oracle.taken(m, o)
	}
	w.log("bus     %v from %s: %s", m.Properties.MessageID, conn.c.n.id, o.Kind)
	if w.chance(p.busCutsAfter) {
		w.log("bus     %v: connection cut, outcome lost", m.Properties.MessageID)
		conn.cut()
		return
	}
	w.after(w.between(0, p.busThinks), func() { answer(o) })
}

// transferMarker takes a message of a node to itself, with the faults that any other has. It is none of the application, so the oracle has no
// part in it.
func (b *broker) transferMarker(conn *busConn, m *message.Message, answer func(message.Outcome)) {
	w, p := b.w, &b.w.plan
	if w.chance(p.busCutsBefore) {
		w.log("bus     %s: connection cut, not taken", mapping.MarkerName(m))
		conn.cut()
		return
	}
	o := message.Outcome{Kind: message.Released}
	to, _ := mapping.RabbitMQ.ParseAddress(m.Properties.To)
	if q := b.queue(to.Queue); q != nil {
		o.Kind = message.Accepted
		b.serial++
		q.ready = append(q.ready, &entry{serial: b.serial, q: q, m: m, key: "marker " + mapping.MarkerName(m)})
		b.deliver(q)
	}
	if w.chance(p.busCutsAfter) {
		w.log("bus     %s: connection cut, outcome lost", mapping.MarkerName(m))
		conn.cut()
		return
	}
	w.after(w.between(0, p.busThinks), func() { answer(o) })
}

func (b *broker) refuse(m *message.Message, answer func(message.Outcome), o message.Outcome) {
	b.w.log("bus     %v: %s", m.Properties.MessageID, o.Kind)
	switch {
	case direct(m):
	case o.Kind == message.Rejected && o.Error.Info == nil:
		b.w.oracle.rejectedByBus(m)
	default:
		b.w.oracle.transferred(m)
	}
	b.w.after(b.w.between(0, 2*time.Millisecond), func() { answer(o) })
}

// direct reports whether a message is a node's copy for one inbox.
func direct(m *message.Message) bool {
	to, _ := mapping.RabbitMQ.ParseAddress(m.Properties.To)
	return to.Queue != ""
}

// route puts a message into each queue that matches, or into the one it is for, and reports whether there was one.
func (b *broker) route(m *message.Message) (routed bool) {
	to, ok := mapping.RabbitMQ.ParseAddress(m.Properties.To)
	if !ok {
		b.w.fail("the bus got a message for %q", m.Properties.To)
		return false
	}
	for _, q := range b.queues {
		if to.Queue == q.name || to.Queue == "" && slices.ContainsFunc(q.patterns, func(p string) bool { return matches(p, to.Key) }) {
			routed = true
			b.put(q, m)
		}
	}
	if !routed && to.Queue != "" {
		b.w.oracle.lapses(to.Queue, m)
	}
	return routed
}

func (b *broker) put(q *queue, m *message.Message) {
	id, _ := m.Properties.MessageID.(string)
	if b.dedup && slices.Contains(q.taken, id) && !direct(m) { // RabbitMQ, the one bus that copies are made on, has no duplicate detection
		return
	}
	q.taken = append(q.taken, id)
	b.serial++
	e := &entry{serial: b.serial, q: q, m: m, r: b.w.oracle.records[keyOfMessage(m)], via: viaOf(q, m)}
	e.key = e.r.key + e.via.suffix()
	q.ready = append(q.ready, e)
	b.w.oracle.queued(e)
	b.deliver(q)
}

// matches is the topic exchange's rule: words between dots, * is one, # any number.
func matches(pattern, key string) bool {
	return matchWords(strings.Split(pattern, "."), strings.Split(key, "."))
}

func matchWords(pattern, key []string) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case pattern[0] == "#":
		return matchWords(pattern[1:], key) || len(key) > 0 && matchWords(pattern, key[1:])
	case len(key) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == key[0]) && matchWords(pattern[1:], key[1:])
}

func (b *broker) attach(l *link) (*consumer, error) {
	if !l.conn.brokerUp {
		return nil, amqp.ErrUnavailable
	}
	q := b.queue(l.r.inbox)
	if q == nil {
		return nil, amqp.ErrNotFound
	}
	c := &consumer{q: q, link: l}
	q.consumers = append(q.consumers, c)
	l.conn.consumers = append(l.conn.consumers, c)
	b.w.log("bus     %s attaches to %s, %d wait there", l.r.c.n.id, q.name, len(q.ready))
	return c, nil
}

func (b *broker) credit(c *consumer, n int) {
	if c.gone {
		return
	}
	c.credit += n
	b.deliver(c.q)
}

// deliver sends what is ready to who has credit. With a single active consumer that is the first only; else they compete.
func (b *broker) deliver(q *queue) {
	for len(q.ready) > 0 {
		var with []*consumer
		for i, c := range q.consumers {
			if c.credit > 0 && (i == 0 || !q.single) {
				with = append(with, c)
			}
		}
		if len(with) == 0 {
			return
		}
		to := with[0]
		if len(with) > 1 {
			to = with[b.w.rng.IntN(len(with))]
		}
		e := q.ready[0]
		q.ready = q.ready[1:]
		to.credit--
		m, redelivered := copyMessage(e.m), e.deliveries > 0
		if redelivered {
			b.w.oracle.marks.redelivered++
		}
		m.Header.DeliveryCount, m.Header.FirstAcquirer = uint32(e.deliveries), !redelivered
		e.deliveries++
		l := to.link
		if l.r.topUp == 0 {
			to.unsettled = append(to.unsettled, e)
		}
		b.w.log("bus     %s to %s: %s redelivered=%t", q.name, l.r.c.n.id, e.key, redelivered)
		l.down.send(func() { l.r.c.n.do(func() { l.delivered(e, m, redelivered) }) })
	}
}

func (b *broker) settle(c *consumer, e *entry, o message.Outcome) {
	i := slices.Index(c.unsettled, e)
	if c.gone || i < 0 {
		return
	}
	c.unsettled = slices.Delete(c.unsettled, i, i+1)
	b.w.log("bus     %s: %s settled %s", c.q.name, e.key, o.Kind)
	b.w.oracle.settled(c, e, o)
	if e.over = o.Kind != message.Released && o.Kind != message.Modified; !e.over {
		b.giveBack(c.q, e)
		b.deliver(c.q)
	}
}

// giveBack puts an entry into its old place.
func (b *broker) giveBack(q *queue, e *entry) {
	i, _ := slices.BinarySearchFunc(q.ready, e, func(a, b *entry) int {
		if a.serial < b.serial {
			return -1
		}
		return 1
	})
	q.ready = slices.Insert(q.ready, i, e)
}

// detach removes a consumer; what it has not settled is ready again, in its old order.
func (b *broker) detach(c *consumer) {
	if c == nil || c.gone {
		return
	}
	c.gone = true
	for _, e := range c.unsettled {
		b.giveBack(c.q, e)
	}
	c.unsettled = nil
	c.q.consumers = slices.DeleteFunc(c.q.consumers, func(other *consumer) bool { return other == c })
	c.link.conn.consumers = slices.DeleteFunc(c.link.conn.consumers, func(other *consumer) bool { return other == c })
	b.deliver(c.q)
}

// drop is the end of a connection as the bus sees it.
func (b *busConn) drop() {
	if !b.brokerUp {
		return
	}
	b.brokerUp = false
	w := b.c.n.w
	w.log("bus     gives up the connection of %s", b.c.n.id)
	for _, c := range slices.Clone(b.consumers) {
		b.b.detach(c)
	}
	b.consumers = nil
	b.b.conns = slices.DeleteFunc(b.b.conns, func(other *busConn) bool { return other == b })
	if !b.c.n.toBus.blocked {
		b.sever()
		b.c.n.after(w.between(0, 5*time.Millisecond), b.lose)
	}
}

func (b *broker) stall() { b.stalled = true }

func (b *broker) unstall() {
	b.stalled = false
	waiting := b.waiting
	b.waiting = nil
	for _, f := range waiting {
		f()
	}
}
