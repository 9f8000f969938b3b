package permit

import (
	"fmt"
	"strings"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// View is a policy as it is for one device. The rules are compiled with the first question: a device that does nothing costs nothing. It is not safe for
// use by several goroutines.
type View struct {
	policy *Policy
	device Device

	compiled   bool
	publishing entries
	hearing    entries
	allowing   []entry // of hearing, the filters of allow
	problems   []Problem

	// What was decided for names, as indexes of entries or noEntry, and for filters.
	published, heard map[string]int32
	subscribed       map[string]Decision
}

// entry is a filter of a rule, in the order of the rules.
type entry struct {
	filter string
	rule   *rule
}

const noEntry = -1

// Problem is something of a rule that does not apply to a device as written.
type Problem struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// For gives the view of a device.
func (p *Policy) For(d Device) *View { return &View{policy: p, device: d} }

// Policy is whose view it is.
func (v *View) Policy() *Policy { return v.policy }

// Problems are what of the rules does not apply to the device as written, because of the values of its placeholders. There are at most 16.
func (v *View) Problems() []Problem {
	v.compile()
	return v.problems
}

func (v *View) compile() {
	if v.compiled {
		return
	}
	v.compiled = true
	for i := range v.policy.rules {
		r := &v.policy.rules[i]
		if ok, _ := r.who.includes(v.device.Principal); !ok {
			continue
		}
		filters := v.filters(r)
		if r.publish {
			v.add(&v.publishing, r, filters)
		}
		if r.subscribe {
			v.add(&v.hearing, r, filters)
		}
	}
	for _, e := range v.hearing.list {
		if e.rule.allow {
			v.allowing = append(v.allowing, e)
		}
	}
}

func (v *View) filters(r *rule) (all []string) {
	for i := range r.topics {
		filters, problems := r.topics[i].expand(&v.device, r.allow)
		all = append(all, filters...)
		for _, p := range problems {
			v.problem(r, fmt.Sprintf("topics %q: %s; %s", r.topics[i].text, p, consequence(r.allow)))
		}
	}
	return all
}

func consequence(allow bool) string {
	if allow {
		return "it allows nothing by that value"
	}
	return "it denies any value in that level"
}

func (v *View) problem(r *rule, text string) {
	if len(v.problems) < problemsMax {
		v.problems = append(v.problems, Problem{Rule: r.name, Text: text})
	}
}

// entries are the filters of one action for a device, in the order of the rules.
type entries struct {
	list []entry
	full bool // from here on nothing is allowed: what could deny it was left out
}

func (v *View) add(to *entries, r *rule, filters []string) {
	if to.full {
		return
	}
	if len(to.list)+len(filters) > filtersMax {
		to.full = true
		v.problem(r, fmt.Sprintf("there are more than %d filters for this device: this rule and those after it allow it nothing", filtersMax))
		return
	}
	for _, f := range filters {
		to.list = append(to.list, entry{filter: f, rule: r})
	}
}

// first gives the index of the entry that decides about a name, and remembers it. It allocates only for a name that it does not remember.
func (e *entries) first(cache *map[string]int32, name string) int32 {
	if at, ok := (*cache)[name]; ok {
		return at
	}
	at := int32(noEntry)
	for i := range e.list {
		if topic.Match(e.list[i].filter, name) {
			at = int32(i)
			break
		}
	}
	remember(cache, name, at)
	return at
}

// remember keeps a decision. The name may share memory with a packet.
func remember[T any](cache *map[string]T, name string, decided T) {
	if *cache == nil {
		*cache = map[string]T{}
	} else if len(*cache) >= cacheMax {
		clear(*cache)
	}
	(*cache)[strings.Clone(name)] = decided
}

// Message is what a device wants to publish. Will: when it is gone.
type Message struct {
	Topic  string
	QoS    packet.QoS
	Retain bool
	Will   bool
}

// Publish decides about a message.
func (v *View) Publish(m Message) Decision {
	v.compile()
	at := v.publishing.first(&v.published, m.Topic)
	if at == noEntry {
		return Decision{Rule: NoRule, Obstacle: NotNamed}
	}
	e := &v.publishing.list[at]
	d := Decision{Rule: e.rule.name, Filter: e.filter, QoSMax: e.rule.qosMax}
	switch r := e.rule; {
	case !r.allow:
		d.Obstacle = Denied
	case m.QoS > r.qosMax:
		d.Obstacle = QoSTooHigh
	case m.Retain && !r.retain:
		d.Obstacle = NoRetain
	case m.Will && !r.will:
		d.Obstacle = NoWill
	}
	return d
}

// Deliver decides about a message for the device. most is the highest QoS that it may have.
func (v *View) Deliver(name string) (most packet.QoS, rule string, ok bool) {
	v.compile()
	at := v.hearing.first(&v.heard, name)
	if at == noEntry {
		return 0, NoRule, false
	}
	r := v.hearing.list[at].rule
	return r.qosMax, r.name, r.allow
}

// Decision is an answer.
type Decision struct {
	Rule     string // that decides, NoRule where none is for the topic
	Filter   string // of that rule, for the device
	Obstacle Obstacle
	QoSMax   packet.QoS // the highest QoS that may be granted
}

// Allowed reports whether it may be done.
func (d *Decision) Allowed() bool { return d.Obstacle == Nothing }

// Obstacle is why something is denied.
type Obstacle uint8

// The obstacles.
const (
	Nothing    Obstacle = iota // it is allowed
	NotNamed                   // no rule is for the topic
	Denied                     // by a rule of deny
	QoSTooHigh                 // qos_max
	NoRetain                   // retain: false
	NoWill                     // will: false
	NoShared                   // shared: false
	NotAll                     // a shared subscription to topics of which not all are allowed
	TooWide                    // a subscription to topics that no rule allows, besides some that may be heard
)

var obstacleTexts = [...]string{"allowed", "no rule allows it", "denied", "the QoS is above qos_max", "retain: false", "will: false", "shared: false",
	"not all topics that the filter matches are allowed, as a shared subscription needs",
	"the filter also matches topics that no rule of allow is for: a narrower one may do"}

// String gives a few words for the operator.
func (o Obstacle) String() string { return obstacleTexts[o] }
