package rules

import (
	"strings"

	"sluice/mapping"
)

// compileDown compiles a rule that works from the bus to devices only.
func (c *compiler) compileDown(r *rule) {
	e := &entry{rule: r, exchange: c.in.Exchange}
	c.onlyUp()
	c.keyless()
	if c.in.Exchange != "" {
		c.exchange(c.in.Exchange)
		e.key = &pattern{separator: '.', segments: []segment{{kind: remainder, variable: noVariable}}}
	}
	switch {
	case c.in.Exchange == "" && c.in.Queue == "" && c.in.Subject == nil:
		c.fault("direction", string(Down), "the rule names neither exchange nor queue nor subject", "say by which of them a message comes")
	case c.in.Key != nil && c.in.Exchange == "":
		c.fault("key", *c.in.Key, "goes with an exchange", "name the exchange, such as "+c.table.dialect.Exchange())
	case c.in.Queue != "" && c.in.Exchange != "":
		c.fault("queue", c.in.Queue, "goes with no exchange", "leave out queue or exchange")
	case c.in.Key != nil:
		e.key = c.condition("key", *c.in.Key, '.')
	case c.in.Queue != "":
		c.entity("queue", c.in.Queue)
		e.queue = c.condition("queue", c.in.Queue, '/')
	}
	if c.in.Subject != nil {
		e.subject = c.condition("subject", *c.in.Subject, '/')
	}
	if len(c.faults) > 0 {
		return
	}
	if c.in.Topic == "" {
		c.fault("topic", "", "it is missing", "write the topic that devices get, such as commands/{device}")
		return
	}
	e.result = c.text("topic", c.in.Topic)
	if e.result == nil {
		return
	}
	for _, p := range e.result.pieces {
		if i := strings.IndexAny(p.literal, "+#"); i >= 0 {
			c.flaw("topic", c.in.Topic, &flaw{p.at, "+ and # are in no topic", "take them out: with direction down the topic is a result"})
			return
		}
	}
	r.oneWay, r.names = "direction is down", c.names
	c.table.enter(e)
}

// condition is the pattern of a text that declares its variables.
func (c *compiler) condition(key, value string, separator byte) *pattern {
	pieces, f := scan(value, func(v variable) (int, *flaw) {
		for _, n := range c.names {
			if n.name == v.name {
				return 0, &flaw{0, "{" + v.name + "} occurs twice", "give each part a name of its own"}
			}
		}
		if len(c.names) == maxVariables {
			return 0, &flaw{0, "there are more than 16 variables", "use fewer"}
		}
		c.names = append(c.names, v)
		return len(c.names) - 1, nil
	})
	if f != nil {
		c.flaw(key, value, f)
		return nil
	}
	var keys *mapping.Dialect
	if key == "key" {
		keys = &c.table.dialect
	}
	r := (&text{pieces: pieces}).read(c.names, separator, keys)
	if r.unclear != "" {
		c.fault(key, value, "it cannot be taken apart: "+r.unclear, "put "+string(separator)+" between variables, and {name...} alone at the end")
	}
	return r.pattern
}

// onlyUp refuses what says nothing on the way down.
func (c *compiler) onlyUp() {
	in := c.in
	for _, k := range []struct {
		key string
		set bool
	}{
		{"qos", len(in.QoS) > 0}, {"principal", len(in.Principals) > 0}, {"tenant", len(in.Tenants) > 0},
		{"content_type", in.ContentType != ""}, {"content_encoding", in.ContentEncoding != ""},
		{"ttl", in.TTL != 0}, {"ttl_max", in.TTLMax != 0}, {"priority", in.Priority != nil},
		{"group_id", in.GroupID != ""}, {"partition_key", in.PartitionKey != ""}, {"properties", len(in.Properties) > 0},
		{"require_route", in.RequireRoute}, {"on_error", in.OnError != ""},
	} {
		if k.set {
			c.fault(k.key, "", "says nothing with direction down", "leave it out, or make a rule for the way up")
		}
	}
}
