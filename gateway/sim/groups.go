package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// sharedGroup is what the oracle knows of a group: those of one filter.
type sharedGroup struct {
	incarnation uint64         // the latest
	exactly     map[string]int // by key: how often some member was passed it at QoS 2
	lapsed      map[string]bool
}

func (o *oracle) group(filter string) *sharedGroup {
	g := o.groups[filter]
	if g == nil {
		g = &sharedGroup{exactly: map[string]int{}, lapsed: map[string]bool{}}
		o.groups[filter] = g
	}
	return g
}

// joined: the store has made a session a member.
func (o *oracle) joined(g sessionstore.Group, incarnation uint64) {
	group := o.group(g.Filter)
	if incarnation < group.incarnation {
		o.w.fail("groups: %s goes back from incarnation %d to %d", g.Filter, group.incarnation, incarnation)
	}
	group.incarnation = incarnation
}

// groupOfQueue is the filter of the group whose queue that is, now or before; empty for another queue.
func groupOfQueue(q *queue) string {
	for _, filter := range groupFilters {
		name, _, _ := strings.Cut(strings.TrimPrefix(filter, "$share/"), "/")
		if strings.HasPrefix(q.name, "shared."+name+".") {
			return filter
		}
	}
	return ""
}

// inGroup is how often a message came to the queues of a group.
func (r *record) inGroup(filter string) (n int) {
	for _, e := range r.copies {
		if e.via == viaGroup && groupOfQueue(e.q) == filter {
			n++
		}
	}
	return n
}

// member is the device's subscription to its group.
func (d *device) member() *subscription {
	i := slices.IndexFunc(d.filters, func(f subscription) bool { return f.filter == d.group })
	return &d.filters[i]
}

// sharedDelivered: a member gets a message of its group. At QoS 2 it is handed over to it before, and no member gets it again [MQTT-4.8.2-4].
func (o *oracle) sharedDelivered(d *device, p *packet.Publish, r *record, key string, taken bool) {
	o.marks.shared++
	_, filter, _ := topic.Shared(d.group)
	f, group := d.member(), o.group(d.group)
	switch {
	case !topic.Match(filter, p.Topic):
		o.w.fail("groups: %s got %s, which %s does not match", d.id, key, d.group)
	case p.QoS < 2 && f.ended:
		o.w.fail("groups: %s got %s at QoS %d after it had left %s", d.id, key, p.QoS, d.group)
	case p.QoS == 2 && len(o.copies(d, key)) == 0:
		o.w.fail("groups: %s got %s, which was not handed over to it", d.id, key)
	case p.QoS == 2 && taken:
		group.exactly[r.key]++
		if n := r.inGroup(d.group); group.exactly[r.key] > n && !o.forgotten(d, key) {
			o.w.fail("exactly once: members of %s were passed %s %d times, the group had it %d times", d.group, r.key, group.exactly[r.key], n)
		}
	}
}

// forgotten: a second copy was in the inbox behind so many messages that the session has forgotten the first by now. It remembers a window of those it
// has completed, and a copy whose outcome got lost is made again by whoever gets the group's message next.
func (o *oracle) forgotten(d *device, key string) bool {
	first := o.gotBy(d, key)
	if len(o.copies(d, key)) < 2 || first.completed == 0 || d.completed-first.completed < outboundWindow {
		return false
	}
	o.w.log("oracle  %s comes to %s again, which has forgotten it", key, d.id)
	return true
}

// settledByMember: a member's node settles a message of the group. P2: the group has done with it when a member has acknowledged it, at QoS 2 when
// it is in the inbox of one, or its taker has ended [MQTT-4.8.2-5]. What a member has refused is not given to another [MQTT-4.8.2-6].
func (o *oracle) settledByMember(c *consumer, e *entry, outcome message.Outcome) {
	filter, key := groupOfQueue(e.q), e.r.key+viaHandOver.suffix()
	sh := c.link.r.h.(*sharedLane).sh
	switch outcome.Kind {
	case message.Accepted:
		served := slices.ContainsFunc(o.w.devices, func(d *device) bool {
			g := o.gotBy(d, key)
			return d.group == filter && (g.took || g.atQoS0)
		})
		handed := slices.ContainsFunc(e.r.copies, func(other *entry) bool { return other.via == viaHandOver && forFilter(other.m) == filter })
		if !served && !handed && !o.group(filter).lapsed[e.r.key] && e.r.qos > 0 {
			o.w.fail("P2: %s is settled accepted, and no member of %s has acknowledged it or has it in its inbox", e.key, filter)
		}
	case message.Rejected:
		o.marks.refusedShared++
		if !o.gotBy(sh.conn.d, key).refused {
			o.w.fail("%s is settled rejected (%v), and %s has not refused it", e.key, outcome.Error, sh.conn.d.id)
		}
	}
	if outcome.Kind != message.Rejected && sh.watch.refused[key] && e.r.inGroup(filter) == 1 {
		o.w.fail("groups: %s has refused %s, and it is settled %s", sh.conn.d.id, e.key, outcome.Kind)
	}
}

// notes what goes out under which identifier; reads what the device refuses.
func (sh *shell) notes(p packet.Packet) {
	if p, ok := p.(*packet.Publish); ok && p.QoS > 0 {
		if sh.watch.sent == nil {
			sh.watch.sent = map[packet.ID]string{}
		}
		sh.watch.sent[p.ID] = ""
		if p.QoS == 1 { // what is refused at QoS 2 is the copy in the inbox
			sh.watch.sent[p.ID] = sh.conn.d.keyOf(p)
		}
	}
}

func (sh *shell) reads(p packet.Packet) {
	if a, ok := p.(*packet.Ack); ok && a.Reason.Failed() && a.Kind != packet.PUBCOMP && a.Kind != packet.PUBREL {
		if sh.watch.refused == nil {
			sh.watch.refused = map[string]bool{}
		}
		sh.watch.refused[sh.watch.sent[a.ID]] = true // of another exchange: nobody asks for ""
	}
}

// lapses: a copy finds no inbox. When the session it is for has ended, the message ends with it.
func (o *oracle) lapses(inbox string, m *message.Message) {
	for _, key := range o.w.store.keys {
		if s := o.w.store.session(key); s != nil && inboxOf(key.ClientID, s.Incarnation) == inbox {
			return
		}
	}
	if filter := forFilter(m); strings.HasPrefix(filter, "$share/") {
		topicName, _ := m.Annotations[mapping.AnnotationTopic].(string)
		o.group(filter).lapsed[payloadKey(topicName, m.Data[0])] = true
	}
}

// queueGoes: a queue is removed. That of a group lives as long as it has a member.
func (o *oracle) queueGoes(q *queue) {
	filter := groupOfQueue(q)
	if filter == "" || q.name != groupInbox(filter, o.group(filter).incarnation) {
		return
	}
	o.marks.groupsOver++
	for _, d := range o.w.devices {
		if d.group == filter && d.persistent && d.known && !d.gone && d.member().confirmed {
			o.w.fail("groups: the queue %s is removed, and %s is a member", q.name, d.id)
		}
	}
}

// groupLeftovers: the queue of a group is there while a session is a member, and what it held is with the members, who can get more. Who has no
// subscription is no member.
func (w *world) groupLeftovers() error {
	for _, key := range w.store.keys {
		s := w.store.session(key)
		if s == nil || s.Expiry == 0 || w.device(key.ClientID).gone {
			continue // of a session that ends with its connection the store has no subscriptions; and nobody has come back for one that was left half-way
		}
		for _, filter := range s.Groups {
			if !slices.ContainsFunc(s.Subscriptions, func(sub sessionstore.Subscription) bool { return sub.Filter == filter }) {
				return fmt.Errorf("%s is a member of %s and has no subscription", key.ClientID, filter)
			}
		}
	}
	for _, q := range w.broker.queues {
		if err := w.groupLeftover(q); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) groupLeftover(q *queue) error {
	filter := groupOfQueue(q)
	if filter == "" || len(q.patterns)+len(q.ready) == 0 {
		return nil
	}
	if q.stray && len(q.consumers) == 0 {
		return nil
	}
	if q.name != groupInbox(filter, w.oracle.group(filter).incarnation) {
		return fmt.Errorf("the queue %s is left of a group that is over", q.name)
	}
	members, serving := 0, 0
	for _, key := range w.store.keys {
		if s := w.store.session(key); s != nil && slices.Contains(s.Groups, filter) {
			members++
			if !w.device(key.ClientID).gone {
				serving++
			}
		}
	}
	consumers := slices.DeleteFunc(slices.Clone(q.consumers), func(c *consumer) bool { return c.link.r.h.(*sharedLane).sh.conn.d.gone })
	switch {
	case members == 0:
		return fmt.Errorf("the queue %s is left of a group without members", q.name)
	case serving == 0:
		return nil // who has gone may come back
	case len(q.ready) > 0:
		return fmt.Errorf("%d messages wait in %s, the first is %s", len(q.ready), q.name, q.ready[0].key)
	case len(consumers) != serving:
		return fmt.Errorf("%s has %d consumers for %d members", q.name, len(consumers), serving)
	}
	for _, c := range q.consumers {
		switch {
		case len(c.unsettled) > 0:
			return fmt.Errorf("%s is not settled in %s", c.unsettled[0].key, q.name)
		case c.credit == 0:
			return fmt.Errorf("credit: %s has none in %s", c.link.r.h.(*sharedLane).sh.conn.d.id, q.name)
		}
	}
	return nil
}

// disband has all members leave, or end their sessions. No queue of a group is left then, but of one whose member has gone for good: a membership without a session would keep
// it.
func (w *world) disband() error {
	for _, d := range w.devices {
		if d.gone || d.group == "" || !d.member().wanted {
			continue
		}
		d.member().wanted = false
		if w.chance(0.5) {
			d.clean = d.persistent
			d.disconnect()
			continue
		}
		d.request(false, []int{slices.IndexFunc(d.filters, func(f subscription) bool { return f.filter == d.group })})
	}
	w.run(w.now.Add(20 * time.Second)) // who has disconnected is back after some
	for _, q := range w.broker.queues {
		filter := groupOfQueue(q)
		if filter == "" || len(q.patterns)+len(q.ready) == 0 || q.stray {
			continue
		}
		if !slices.ContainsFunc(w.store.keys, func(key sessionstore.Key) bool {
			s := w.store.session(key)
			return s != nil && slices.Contains(s.Groups, filter)
		}) {
			return fmt.Errorf("all have left, and the queue %s is still there", q.name)
		}
	}
	return nil
}
