package config

import (
	"time"

	"sluice/gateway/quota"
)

// Quotas are those of principals and tenants, and how their exceptions are found.
type Quotas struct {
	Principal, Tenant quota.Limits
	DelayMax          time.Duration
	File              string // empty: there are no exceptions
}

// Rules are the quotas with the exceptions of the file, nil for none.
func (q *Quotas) Rules(e *quota.Exceptions) *quota.Rules {
	return &quota.Rules{Principal: q.Principal, Tenant: q.Tenant, DelayMax: q.DelayMax, Exceptions: e}
}

// quotaKeys are the keys of quotas (docs/quotas.md).
func quotaKeys(c *Config) []key {
	q := &c.Quotas
	limits := func(scope, whose, all string, l *quota.Limits) []key {
		k := func(name, doc string, dst *int) key {
			return key{"quota." + scope + "." + name, 0, doc, integer(dst, 0, quota.Most)}
		}
		return []key{
			k("connections", "Connections of "+whose+" to this node. One more is refused: CONNACK with 0x97. 0 is no quota, here and below.", &l.Connections),
			k("connect_rate", "New connections of "+whose+" to this node in a second, and at once. More are refused: CONNACK with 0x9F.", &l.ConnectRate),
			k("publish_rate", "Messages in a second that "+all+" may publish on this node. Who publishes faster is read more slowly; what would need longer than quota.delay_max is refused with 0x97.", &l.PublishRate),
			k("publish_burst", "Messages at once beyond that rate, after a time with fewer. 0: as many as in a second.", &l.PublishBurst),
			k("publish_bytes", "Bytes in a second, and at once, as quota."+scope+".publish_rate: topics, payloads and User Properties.", &l.PublishBytes),
			k("in_flight", "Messages that "+all+" may have under way to the bus, on this node. More are refused with 0x97.", &l.InFlight),
			k("subscriptions", "Subscriptions of the sessions of "+whose+" that are connected to this node. More are refused with 0x97.", &l.Subscriptions),
		}
	}
	all := limits("principal", "one principal", "the connections of one principal together", &q.Principal)
	all = append(all, limits("tenant", "one tenant", "one tenant", &q.Tenant)...)
	return append(all,
		key{"quota.delay_max", "2s", "How long reading from a device may be paused because of what it publishes beyond its rate. What would need longer is refused.", duration(&q.DelayMax, 10*time.Millisecond, time.Minute)},
		key{"quota.file", "", "YAML file with quotas of single tenants and principals, in place of those above (docs/quotas.md). It is read again when it changes.", text(&q.File)},
		key{"limits.memory", 0, "Bytes of live memory (heap and stacks) of this node beyond which new connections are refused: with 0x89 in a CONNACK on plain TCP, else by closing them. 0: four fifths of GOMEMLIMIT, where that is set.", integer(&c.MemoryMax, 0, 1<<50)},
	)
}
