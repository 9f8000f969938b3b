package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
)

// Compile compiles rules in their order, for a bus of this dialect. The error is Faults and names every fault.
func Compile(list []Rule, dialect mapping.Dialect) (*Table, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) > MaxRules {
		return nil, Faults{{Rule: MaxRules + 1, Problem: "there are more than 4096 rules", Mend: "join rules by templates"}}
	}
	t := &Table{dialect: dialect, up: newIndex('/')}
	var faults Faults
	for i := range list {
		c := compiler{table: t, in: &list[i], number: i + 1}
		c.compile()
		faults = append(faults, c.faults...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return t, nil
}

// compiler compiles one rule.
type compiler struct {
	table  *Table
	in     *Rule
	number int
	names  []variable
	faults Faults
}

func (c *compiler) fault(key, value, problem, mend string) {
	c.faults = append(c.faults, Fault{Rule: c.number, Name: c.in.Name, Key: key, Value: value, Problem: problem, Mend: mend})
}

func (c *compiler) flaw(key, value string, f *flaw) {
	if f != nil {
		c.faults = append(c.faults, Fault{Rule: c.number, Name: c.in.Name, Key: key, Value: value, Position: f.position(value), Problem: f.problem, Mend: f.mend})
	}
}

func (c *compiler) warn(key, value, problem, mend string) {
	c.table.warnings = append(c.table.warnings, Fault{Rule: c.number, Name: c.in.Name, Key: key, Value: value, Problem: problem, Mend: mend})
}

func (c *compiler) compile() {
	r := &rule{dialect: c.table.dialect, match: Match{Number: c.number, Name: c.in.Name}}
	c.table.rules = append(c.table.rules, r) // the number of a rule is its place
	c.checkName()
	switch c.in.Direction {
	case Down:
		c.compileDown(r)
		return
	case Auto, Up, Both:
	default:
		c.fault("direction", string(c.in.Direction), "is none of up, down, both", "leave it out for a rule that works both ways where it can")
		return
	}
	var f *flaw
	if r.topic, c.names, f = parseTopic(c.in.Topic); f != nil {
		c.flaw("topic", c.in.Topic, f)
		return // texts cannot be checked without the names
	}
	r.names = c.names
	c.conditions(r)
	c.address(r)
	c.results(r)
	c.limits(r)
	c.outcomes(r)
	if len(c.faults) > 0 {
		return
	}
	c.shadowed(r)
	c.table.up.add(r.topic, c.number-1)
	c.wayDown(r)
}

func (c *compiler) checkName() {
	n := c.in.Name
	if len(n) > maxVariableName || strings.ContainsFunc(n, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.fault("name", n, "is longer than 64 bytes or has control characters", "shorten it: it is for logs and for sluice explain")
	}
}

func (c *compiler) conditions(r *rule) {
	for _, q := range c.in.QoS {
		if q < 0 || q > 2 {
			c.fault("qos", strconv.Itoa(q), "is no QoS", "write 0, 1, 2 or a list of them")
			return
		}
		r.when.qos |= 1 << q
	}
	r.when.principals = c.whom("principal", c.in.Principals)
	r.when.tenants = c.whom("tenant", c.in.Tenants)
}

func (c *compiler) whom(key string, list []string) []name {
	var names []name
	for _, s := range list {
		text, prefix := strings.CutSuffix(s, "*")
		if s == "" || strings.Contains(text, "*") {
			c.fault(key, s, "is no name", "write a name, or the beginning of names and one * at the end")
		}
		names = append(names, name{text, prefix})
	}
	return names
}

// entity checks the name of a queue or an exchange.
func (c *compiler) entity(key, value string) {
	if len(value) > maxEntity {
		c.fault(key, value, "is longer than 255 bytes", "shorten it")
	}
}

// keyless refuses a key on a bus that has none.
func (c *compiler) keyless() {
	if c.in.Key != nil && !c.table.dialect.HasKeys() {
		c.fault("key", *c.in.Key, "is not there: addresses on this bus are names of entities", "leave it out and write a subject, or name an entity with queue")
	}
}

// exchange checks the name of an exchange.
func (c *compiler) exchange(name string) {
	c.entity("exchange", name)
	if d := c.table.dialect; !d.HasExchanges() && name != d.Exchange() {
		c.fault("exchange", name, "is not there: this bus has no exchanges, all topics are under the address "+d.Exchange(), "leave it out, or name an address with queue")
	}
}

func (c *compiler) text(key, value string) *text {
	t, f := parseText(value, c.names)
	c.flaw(key, value, f)
	return t
}

func (c *compiler) address(r *rule) {
	switch {
	case c.in.Queue != "":
		if c.in.Exchange != "" {
			c.fault("queue", c.in.Queue, "goes with no exchange", "leave out queue or exchange")
		}
		if c.in.Key != nil {
			c.fault("queue", c.in.Queue, "goes with no key", "leave out queue or key")
		}
		c.entity("queue", c.in.Queue)
		if r.queue = c.text("queue", c.in.Queue); r.queue != nil && !r.queue.hasLiteral() {
			c.fault("queue", c.in.Queue, "would have no name where a level of a topic is empty", "put text before the variable, such as q."+c.in.Queue)
		}
		if r.queue != nil && !r.queue.fixed && !r.dialect.KeepsWithin(r.queue.pieces[0].literal) {
			c.fault("queue", c.in.Queue, "would let a device name any address, also those by which this bus is managed",
				"begin it with a level of its own and a dot, such as orders."+c.in.Queue)
		}
	default:
		r.exchange = c.in.Exchange
		if r.exchange == "" {
			r.exchange = r.dialect.Exchange()
		}
		c.exchange(r.exchange)
		if i := strings.IndexAny(r.exchange, "{}"); i >= 0 {
			c.flaw("exchange", r.exchange, &flaw{i, "an exchange has no variables", "put them into the key"})
		}
		c.keyless()
		if c.in.Key != nil {
			r.key = c.text("key", *c.in.Key)
		}
	}
	if c.in.Subject != nil {
		r.subject = c.text("subject", *c.in.Subject)
	}
	r.match.Elsewhere = r.queue != nil || r.exchange != r.dialect.Exchange()
	if len(c.faults) > 0 {
		return
	}
	if r.queue != nil && r.queue.fixed || r.key != nil && r.key.fixed {
		r.to = r.address("", nil)
	}
}

func (t *text) hasLiteral() bool {
	return slices.ContainsFunc(t.pieces, func(p piece) bool { return p.variable == noVariable })
}

func (c *compiler) results(r *rule) {
	r.fixed.ContentType = c.symbol("content_type", c.in.ContentType)
	r.fixed.ContentEncoding = c.symbol("content_encoding", c.in.ContentEncoding)
	r.groupID = c.text("group_id", c.in.GroupID)
	r.partitionKey = c.text("partition_key", c.in.PartitionKey)
	r.fixed.Priority = message.DefaultPriority
	if p := c.in.Priority; p != nil {
		if *p < 0 || *p > 255 {
			c.fault("priority", strconv.Itoa(*p), "is no priority", "write a number from 0 to 255; most buses know 0 to 9, and 4 is usual")
		}
		r.fixed.Priority = uint8(*p)
	}
	if len(c.in.Properties) > maxProperties {
		c.fault("properties", "", "there are more than 64", "leave some out")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.in.Properties)) {
		value := c.in.Properties[name]
		key := "properties." + name
		switch {
		case name == "":
			c.fault("properties", "", "one has no name", "give it one")
		case r.dialect.Reserved(name):
			c.fault(key, value, "has a name that is reserved for the gateway or the bus", "take one that does not begin with sluice- or x-opt-, nor with _AMQ_ or JMS_AMQP_ on Artemis")
		}
		c.flaw("properties", name, checkText(name))
		p := property{name: name, value: c.text(key, value)}
		if p.value != nil && p.value.fixed {
			p.boxed = p.value.constant
		}
		r.properties = append(r.properties, p)
	}
}

// symbol checks what AMQP keeps as a symbol [AMQP 1.6.21].
func (c *compiler) symbol(key, value string) string {
	if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		c.flaw(key, value, &flaw{i, "a character is no printable ASCII", "write it in ASCII: AMQP keeps it as a symbol"})
	}
	return value
}

func (c *compiler) limits(r *rule) {
	const longest = time.Duration(1<<32-1) * time.Second
	for _, l := range []struct {
		key string
		d   time.Duration
		to  *time.Duration
	}{{"ttl", c.in.TTL, &r.fixed.TTL}, {"ttl_max", c.in.TTLMax, &r.fixed.TTLMax}} {
		if l.d != 0 && (l.d < time.Millisecond || l.d > longest || l.d%time.Millisecond != 0) {
			c.fault(l.key, l.d.String(), "is no life of a message", "write a time from 1ms to 136 years in whole milliseconds, such as 30s or 24h")
		}
		*l.to = l.d
	}
	if c.in.TTLMax > 0 && c.in.TTL > c.in.TTLMax {
		c.fault("ttl", c.in.TTL.String(), "is longer than ttl_max", "shorten ttl to at most "+c.in.TTLMax.String())
	}
}

func (c *compiler) outcomes(r *rule) {
	r.match.Outcome = mapping.OutcomeRule{RequireRoute: c.in.RequireRoute, TargetsQueue: r.queue != nil}
	if c.in.RequireRoute && r.queue != nil {
		c.fault("require_route", "true", "says nothing about a queue: a message for one that is not there is tried again, then the device is told", "leave it out")
	}
	if c.in.RequireRoute && !c.table.dialect.TellsUnrouted() {
		c.fault("require_route", "true", "cannot be had: this bus does not tell whether anybody takes a message", "leave it out")
	}
	switch c.in.OnError {
	case "", "close":
	case "quarantine":
		r.match.OnError = Quarantine
	case "report":
		r.match.OnError = Report
	default:
		c.fault("on_error", c.in.OnError, "is none of close, report, quarantine", "write one of them, or leave it out")
	}
}

// shadowed warns of a rule that no message reaches.
func (c *compiler) shadowed(r *rule) {
	for _, earlier := range c.table.rules[:c.number-1] {
		if earlier.topic != nil && earlier.when.always() && earlier.topic.covers(r.topic) && !hidesLess(earlier.topic, r.topic) {
			c.warn("topic", c.in.Topic, "no message reaches this rule: rule "+strconv.Itoa(earlier.match.Number)+" matches all of its topics", "move it before that rule")
			return
		}
	}
}

// hidesLess reports whether q may match names with '$' that p, which begins with a wildcard, does not.
func hidesLess(p, q *pattern) bool {
	return p.segments[0].kind != literal && q.segments[0].kind == literal && strings.HasPrefix(q.segments[0].prefix, "$")
}

// wayDown makes the way down of a rule, where it has one.
func (c *compiler) wayDown(r *rule) {
	if c.in.Direction == Up {
		r.oneWay = "direction is up"
		return
	}
	template, _ := parseText(c.in.Topic, c.names)
	e, why := r.reverse(template)
	if e != nil {
		owner := c.table.enter(e)
		if owner == nil {
			return
		}
		why = "rule " + strconv.Itoa(owner.rule.match.Number) + " owns addresses that this rule uses"
	}
	r.oneWay = why
	const mend = "put each named level into key or subject, parted by '.' in a key and '/' elsewhere, or say direction: up"
	if c.in.Direction == Both {
		c.fault("direction", string(Both), "the topic cannot be found again: "+why, mend)
		return
	}
	c.warn("", "", "it works one way only, from devices to the bus: "+why, mend)
}
