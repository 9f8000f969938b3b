package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// retainedTopic is a topic with retained messages. It has one publisher, so there is an order.
type retainedTopic struct {
	published []*record // in order; removals as well
	latest    int       // place of the latest that came to the store
	epoch     uint64    // under which it came
	// overtaken: an older one came after it; see storesRetained.
	overtaken bool
}

func (o *oracle) topic(name string) *retainedTopic {
	t := o.topics[name]
	if t == nil {
		t = &retainedTopic{latest: -1}
		o.topics[name] = t
	}
	return t
}

// acknowledged is the place of the last message that was acknowledged before that time, -1 for none.
func (t *retainedTopic) acknowledged(before time.Time) int {
	for i := len(t.published) - 1; i >= 0; i-- {
		if r := t.published[i]; r.acked && r.ackedAt.Before(before) {
			return i
		}
	}
	return -1
}

// storesRetained: the store has a retained message, or has removed one, and the bus had it before. A later one is not replaced: not by a connection
// that is over and late, for the store knows its epoch. The exceptions are those in which the store cannot know better. A QoS 2 message is stored again when the mark that it was taken could not be
// written, though those of later ones were. And what the bus refused a 3.1.1 device sends again, after what it has sent since.
func (o *oracle) storesRetained(sh *shell, key string) {
	r := o.records[key]
	t := o.topic(r.topic)
	i := slices.Index(t.published, r)
	if !r.positive {
		o.w.fail("retained: %s is stored, and no node had a positive outcome of the bus", key)
	}
	if sh.epoch < t.epoch {
		o.w.log("oracle  %s comes late, of a connection that is over", key)
		o.unchanged(sh, t, key)
		return
	}
	t.epoch = sh.epoch
	switch {
	case i >= t.latest:
		t.latest, t.overtaken = i, false
	case !r.retained && !r.rejected, r.qos < 2 && i < t.acknowledged(o.w.now):
		o.w.fail("retained: %s is stored after a later message of its topic", key)
	default:
		o.w.log("oracle  %s is stored late, or again", key)
		t.overtaken = true
	}
	r.retained = true
	o.marks.retained++
	if r.remove {
		o.marks.removals++
	}
}

// unchanged: what came late has neither replaced nor removed the message of a later connection.
func (o *oracle) unchanged(sh *shell, t *retainedTopic, key string) {
	last := t.published[t.latest]
	kept, _ := o.w.store.held.GetRetained(context.Background(), sh.key.Tenant, []string{last.topic})
	switch {
	case len(kept) == 0 && !last.remove:
		o.w.fail("retained: %s came late and removed %s", key, last.key)
	case len(kept) > 0 && kept[0].Epoch < t.epoch:
		o.w.fail("retained: %s came late and replaced %s", key, last.key)
	}
}

// current checks that a message was retained at some moment since then: that no later one was acknowledged before.
func (o *oracle) current(r *record, since time.Time) error {
	t := o.topic(r.topic)
	i := slices.Index(t.published, r)
	switch {
	case i < 0 || r.remove:
		return fmt.Errorf("%s was never retained", r.key)
	case t.overtaken:
	case i < t.acknowledged(since):
		return fmt.Errorf("%s was not retained any more when the device subscribed", r.key)
	}
	return nil
}

// copiesRetained: a node makes a copy of a retained message for a subscription.
func (o *oracle) copiesRetained(sh *shell, p *packet.Publish, filter string) {
	list := sh.conn.asked
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].filter != filter {
			continue
		}
		if err := o.current(o.records[payloadKey(p.Topic, p.Payload)], list[i].at); err != nil {
			o.w.fail("retained: %s makes a copy for %s of %s: %v", sh.n.id, filter, sh.conn.d.id, err)
		}
		return
	}
	o.w.fail("retained: %s makes a copy for %s, which %s has not asked for", sh.n.id, filter, sh.conn.d.id)
}

// retainedDelivered: a device gets a message with RETAIN 1. At QoS 1 and 2 that is a copy in its inbox. At QoS 0 it can also be straight from the
// store, for a SUBSCRIBE of this connection.
func (o *oracle) retainedDelivered(d *device, p *packet.Publish, r *record, key string, taken bool) {
	t := o.topic(r.topic)
	if slices.Index(t.published, r) < 0 || r.remove {
		o.w.fail("retained: %s got %s with RETAIN, which nobody published so", d.id, key)
		return
	}
	copies := len(o.copies(d, key))
	g := o.gotBy(d, key)
	switch {
	case p.QoS == 2 && taken:
		if g.exactly++; g.exactly > copies {
			o.w.fail("exactly once: %s was passed %s %d times, its inbox had %d copies", d.id, key, g.exactly, copies)
		}
	case copies > 0:
	case p.QoS > 0:
		o.w.fail("retained: %s got %s, and its inbox never had a copy", d.id, key)
	default:
		o.marks.retainedSent++
		err := fmt.Errorf("it has not subscribed")
		for _, a := range d.conn.asked {
			if topic.Match(a.filter, p.Topic) {
				if err = o.current(r, a.at); err == nil {
					return
				}
			}
		}
		o.w.fail("retained: %s got %s: %v", d.id, key, err)
	}
}

// copySettled: a node settles a copy in the inbox of a session. P2, as for other messages.
func (o *oracle) copySettled(d *device, e *entry, outcome message.Outcome) {
	g := o.gotBy(d, e.key)
	// What waits for a subscription that has ended or was never confirmed, or of one's own for No Local, is done with, and nobody is told.
	withheld := e.via == viaRetained && slices.ContainsFunc(d.filters, func(f subscription) bool {
		return f.filter == forFilter(e.m) && (f.volatile || !f.confirmed || f.noLocal && e.r.publisher == d)
	})
	// Of two copies under one message-id the second is done with while the first waits for the device.
	twin := e.via == viaHandOver && slices.ContainsFunc(e.r.copies, func(other *entry) bool {
		return other != e && other.q == e.q && other.key == e.key && !other.over
	})
	switch {
	case outcome.Kind == message.Accepted && !g.answered && !g.atQoS0 && !withheld && !twin && e.r.qos > 0:
		o.w.fail("P2: %s is settled accepted, and %s has not acknowledged it", e.key, d.id)
	case outcome.Kind == message.Rejected && !g.refused:
		o.w.fail("%s is settled rejected (%v), and %s has not refused it", e.key, outcome.Error, d.id)
	}
}

// fresh is a device that subscribes when all is done. What it gets is what is retained.
func (w *world) fresh() *device {
	d := newDevice(w, len(w.devices))
	d.version, d.receiveMax, d.thinks = packet.V5, 65535, time.Millisecond
	d.filters = []subscription{{filter: "r/#", qos: packet.QoS(w.rng.IntN(3)), wanted: true}}
	w.devices = append(w.devices, d)
	d.connect()
	return d
}

// retainedFor says what a fresh subscriber should have got: of each topic the last message that was acknowledged, or a later one.
func (o *oracle) retainedFor(d *device) error {
	for _, r := range o.order {
		t := o.topics[r.topic]
		if t == nil || t.published[0] != r || t.overtaken {
			continue
		}
		got := -1
		for i, r := range t.published {
			if o.gotBy(d, r.key+viaRetained.suffix()).times > 0 {
				if got >= 0 {
					return fmt.Errorf("a fresh subscriber got %s and %s", t.published[got].key, r.key)
				}
				got = i
			}
		}
		last := t.acknowledged(o.w.now)
		removed := slices.ContainsFunc(t.published[max(last, 0):], func(r *record) bool { return r.remove })
		switch {
		case last < 0:
		case got >= last:
		case got < 0 && removed:
		case got < 0:
			return fmt.Errorf("retained: %s was acknowledged, and a fresh subscriber gets nothing", t.published[last].key)
		default:
			return fmt.Errorf("retained: %s was acknowledged, and a fresh subscriber gets %s", t.published[last].key, t.published[got].key)
		}
	}
	return nil
}
