package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/mapping"
	"sluice/mqtt/packet"
)

// Table is a list of compiled rules. A nil Table has none. It implements mapping.Resolver.
type Table struct {
	dialect mapping.Dialect
	rules   []*rule
	up      *index // of rules
	entries []*entry
	down    struct { // of entries
		exchanges map[string]*index // by key
		queues    *index
		subjects  *index // of those that hold for any address
	}
	bind     bool // see Bind
	warnings []Fault
}

// Message is what rules look at on the way up.
type Message struct {
	Topic             string
	QoS               packet.QoS
	Tenant, Principal string
}

// Match is the rule that a message matched.
type Match struct {
	Number  int // from 1
	Name    string
	Outcome mapping.OutcomeRule
	OnError OnError
	// Elsewhere: it does not send to the exchange of all topics, which is always there, but to something that may be missing.
	Elsewhere bool
}

// String is the number of the rule, and its name if it has one.
func (m Match) String() string {
	if m.Name == "" {
		return strconv.Itoa(m.Number)
	}
	return strconv.Itoa(m.Number) + " (" + m.Name + ")"
}

// rule is a compiled rule. topic is nil with direction down.
type rule struct {
	dialect mapping.Dialect

	match Match
	when  condition
	topic *pattern

	exchange     string        // empty with a queue
	key          *text         // nil: that of the topic
	queue        *text         // nil: an exchange
	to           string        // the whole address where it is constant
	subject      *text         // nil: the topic
	fixed        mapping.Route // what needs no values
	groupID      *text
	partitionKey *text
	properties   []property

	names  []variable
	oneWay string // why the rule has no way down; empty: it has one
}

type property struct {
	name  string
	value *text
	boxed any // the value where it is constant
}

// condition is what a rule asks besides the topic.
type condition struct {
	qos                 uint8 // a bit for each QoS; zero: any
	principals, tenants []name
}

// name is a name, or all that begin so.
type name struct {
	text   string
	prefix bool
}

func (c *condition) holds(m *Message) bool {
	return (c.qos == 0 || c.qos&(1<<m.QoS) != 0) && among(c.principals, m.Principal) && among(c.tenants, m.Tenant)
}

func (c *condition) always() bool { return c.qos == 0 && len(c.principals) == 0 && len(c.tenants) == 0 }

func among(names []name, s string) bool {
	if len(names) == 0 {
		return true
	}
	for i := range names {
		if n := &names[i]; n.text == s || n.prefix && strings.HasPrefix(s, n.text) {
			return true
		}
	}
	return false
}

// Len is the number of rules, those of the way down included.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.rules)
}

// Warnings tells what is odd about the rules: those that are not reversible without saying direction: up, and those that can never match.
func (t *Table) Warnings() []Fault {
	if t == nil {
		return nil
	}
	return slices.Clone(t.warnings)
}

// Resolver is the table for mapping.DownlinkOptions, nil without rules.
func (t *Table) Resolver() mapping.Resolver {
	if t == nil {
		return nil
	}
	return t
}

// OneWay says why rule number (from 1) does not work on the way down; empty when it does.
func (t *Table) OneWay(number int) string { return t.rules[number-1].oneWay }

// Route finds the first rule that matches a message and fills in route, whose list of properties it uses again. ok is false when none
// matches: the defaults hold, and route is as it was.
func (t *Table) Route(m Message, route *mapping.Route) (match Match, ok bool) {
	if t == nil {
		return Match{}, false
	}
	r := t.find(&m)
	if r == nil {
		return Match{}, false
	}
	var v values
	r.topic.match(m.Topic, &v)
	properties := route.Properties[:0]
	for i := range r.properties {
		p := &r.properties[i]
		value := p.boxed
		if value == nil {
			value = p.value.string(&v)
		}
		properties = append(properties, mapping.Property{Name: p.name, Value: value})
	}
	*route = r.fixed
	route.To = r.address(m.Topic, &v)
	route.Subject = r.subjectOf(m.Topic, &v)
	route.GroupID = r.groupID.string(&v)
	route.PartitionKey = r.partitionKey.string(&v)
	route.Properties = properties
	return r.match, true
}

func (t *Table) find(m *Message) *rule {
	f := finder{table: t, up: m, best: math.MaxInt}
	f.look(t.up, m.Topic, true)
	if f.best == math.MaxInt {
		return nil
	}
	return t.rules[f.best]
}

// address is where the rule sends a message on this topic.
func (r *rule) address(topic string, v *values) string {
	if r.to != "" {
		return r.to
	}
	var buf, addressBuf [scratch]byte
	switch {
	case r.queue != nil:
		return string(r.dialect.AppendToQueue(addressBuf[:0], r.queue.append(buf[:0], v)))
	case r.key == nil:
		return string(r.dialect.AppendTo(addressBuf[:0], r.exchange, r.dialect.AppendKey(buf[:0], topic)))
	}
	return string(r.dialect.AppendTo(addressBuf[:0], r.exchange, r.key.appendKey(r.dialect, buf[:0], v)))
}

func (r *rule) subjectOf(topic string, v *values) string {
	if r.subject == nil {
		return topic
	}
	return r.subject.string(v)
}

// Sends implements mapping.Resolver.
func (t *Table) Sends(topic string, qos packet.QoS, from mapping.Publisher, to mapping.Address) bool {
	if t == nil {
		return false
	}
	r := t.find(&Message{Topic: topic, QoS: qos, Tenant: from.Tenant, Principal: from.Principal})
	if r == nil {
		return false
	}
	var v values
	r.topic.match(topic, &v)
	return r.address(topic, &v) == r.dialect.Format(to)
}

// Topic implements mapping.Resolver.
func (t *Table) Topic(at mapping.Address, subject string) (string, bool) {
	name, _, ok := t.Resolve(at, subject)
	return name, ok
}

// Resolve is Topic, and says by which rule.
func (t *Table) Resolve(at mapping.Address, subject string) (topic string, match Match, ok bool) {
	if t == nil || len(t.entries) == 0 {
		return "", Match{}, false
	}
	a := arrived{at: at, subject: subject}
	f := finder{table: t, down: &a, best: math.MaxInt}
	if at.Queue != "" {
		f.look(t.down.queues, at.Queue, false)
	} else {
		f.look(t.down.exchanges[at.Exchange], at.Key, false)
	}
	f.look(t.down.subjects, subject, false)
	if f.best == math.MaxInt {
		return "", Match{}, false
	}
	return a.topic, t.entries[f.best].rule.match, true
}
