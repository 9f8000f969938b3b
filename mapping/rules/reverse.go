package rules

import (
	"slices"
	"strings"

	"sluice/mapping"
	"sluice/mqtt/topic"
)

// entry is the way down of a rule: the address and subject by which a message comes, and the topic it has then.
type entry struct {
	rule     *rule
	exchange string   // empty: see queue
	key      *pattern // with exchange
	queue    *pattern // with neither: any address
	subject  *pattern // nil: any

	whole  whole
	result *text // the topic, where it is not whole
	// sent is set where the entry follows from a way up: the subjects that the way up gives. The topic must then go up to the address by which the
	// message came.
	sent *pattern
}

// whole says that the topic is, as a whole, in one place.
type whole uint8

const (
	inParts whole = iota
	inKey         // the key is that of the topic
	inSubject
)

// arrived is a message on its way down, and the topic found for it.
type arrived struct {
	at      mapping.Address
	subject string
	topic   string
}

// accepts finds the topic of a message. It is false where the entry does not hold for it, or would give no valid topic name.
func (e *entry) accepts(a *arrived) bool {
	var v values
	switch {
	case e.exchange != "" && (a.at.Queue != "" || a.at.Exchange != e.exchange || !e.key.match(a.at.Key, &v)),
		e.queue != nil && (a.at.Queue == "" || !e.queue.match(a.at.Queue, &v)),
		e.subject != nil && !e.subject.match(a.subject, &v):
		return false
	}
	var name string
	switch e.whole {
	case inKey:
		name = e.rule.dialect.Topic(a.at.Key)
	case inSubject:
		name = a.subject
	default:
		name = e.result.string(&v)
	}
	if topic.ValidateName(name) != nil || e.sent != nil && !e.sends(name, a) {
		return false
	}
	a.topic = name
	return true
}

// sends reports whether a topic goes up to where the message came from.
func (e *entry) sends(name string, a *arrived) bool {
	var v values
	return !(strings.HasPrefix(name, "$") && e.rule.topic.segments[0].kind != literal) &&
		e.rule.topic.match(name, &v) && e.rule.address(name, &v) == e.rule.dialect.Format(a.at)
}

// takes reports whether some message that the way up of f sends may come by e. It errs on the side of yes.
func (e *entry) takes(f *entry) bool {
	switch {
	case e.exchange != "" && f.exchange != "":
		if e.exchange != f.exchange || !e.key.overlaps(f.key) {
			return false
		}
	case e.queue != nil && f.queue != nil:
		if !e.queue.overlaps(f.queue) {
			return false
		}
	case e.exchange != "" && f.queue != nil, e.queue != nil && f.exchange != "":
		return false
	}
	return e.subject == nil || e.subject.overlaps(f.sent)
}

// reverse makes the entry of a rule's way up, or says why there is none: what the topic is made of must be in the address and the subject.
func (r *rule) reverse(template *text) (e *entry, why string) {
	e = &entry{rule: r, exchange: r.exchange, result: template, sent: r.topic}
	var subject reading
	if r.subject != nil {
		subject = r.subject.read(r.names, '/', nil)
		e.sent = subject.pattern
	}
	var address reading
	switch {
	case r.queue != nil:
		address = r.queue.read(r.names, '/', nil)
		e.queue = address.pattern
	case r.key == nil:
		e.key, e.whole = r.topic.ofKey(&r.dialect), inKey
		return e, ""
	default:
		address = r.key.read(r.names, '.', &r.dialect)
		e.key = address.pattern
	}
	named := !slices.ContainsFunc(r.topic.segments, func(s segment) bool { return s.kind != literal && s.variable == noVariable })
	if named && r.missing(address) == "" {
		return e, ""
	}
	if r.subject == nil {
		e.subject, e.whole = r.topic, inSubject
		return e, ""
	}
	if !named {
		return nil, "the levels that + and # stand for are in neither address nor subject"
	}
	e.subject = subject.pattern
	if name := r.missing(address, subject); name != "" {
		for _, reading := range []reading{address, subject} {
			if reading.unclear != "" {
				return nil, "{" + name + "} cannot be read from address and subject: " + reading.unclear
			}
		}
		return nil, "{" + name + "} is in neither address nor subject"
	}
	return e, ""
}

// missing names a variable that none of the readings gives.
func (r *rule) missing(readings ...reading) string {
	for i, v := range r.names {
		if !slices.ContainsFunc(readings, func(r reading) bool { return r.known[i] }) {
			return v.name
		}
	}
	return ""
}

// enter adds an entry, unless an earlier one takes some of what its way up sends: then it gives that one. Explicit rules for the way down may
// overlap, as first match wins; a way up that overlaps would bring topics back as others.
func (t *Table) enter(e *entry) (owner *entry) {
	if e.sent != nil {
		for _, other := range t.entries {
			if other.takes(e) {
				return other
			}
		}
	}
	number := len(t.entries)
	t.entries = append(t.entries, e)
	t.bind = t.bind || e.binds()
	switch {
	case e.exchange != "":
		if t.down.exchanges == nil {
			t.down.exchanges = make(map[string]*index)
		}
		x := t.down.exchanges[e.exchange]
		if x == nil {
			x = newIndex('.')
			t.down.exchanges[e.exchange] = x
		}
		x.add(e.key, number)
	case e.queue != nil:
		if t.down.queues == nil {
			t.down.queues = newIndex('/')
		}
		t.down.queues.add(e.queue, number)
	default:
		if t.down.subjects == nil {
			t.down.subjects = newIndex('/')
		}
		t.down.subjects.add(e.subject, number)
	}
	return nil
}
