package rules

import (
	"slices"
	"strconv"
	"strings"

	"sluice/mapping"
)

// Binding is a place of the bus from which a subscription gets messages: an exchange, and a pattern of its keys.
type Binding struct {
	Exchange, Pattern string
	Rule              Match // that asks for it; zero: the default
}

// Bindings is where messages that a topic filter matches can come from: the exchange of all topics, and what the rules that work on the way down add. It
// is never too little, and it may be more: a level that is in no key cannot be asked for. What comes has to be matched again, by its topic.
//
// The filter must be valid and without "$share/group/".
func (t *Table) Bindings(dialect mapping.Dialect, filter string) []Binding {
	list := []Binding{{Exchange: dialect.Exchange(), Pattern: dialect.Pattern(filter)}}
	if t == nil {
		return list
	}
	for _, e := range t.entries {
		for _, pattern := range e.patterns(filter) {
			list = append(list, Binding{e.exchange, pattern, e.rule.match})
		}
	}
	return reduce(list)
}

// reduce takes out what says nothing new. Where one exchange has more than maxBindings it is bound as a whole: a subscription must not cost more.
func reduce(list []Binding) []Binding {
	count := make(map[string]int)
	all := make(map[string]bool)
	for _, b := range list {
		if count[b.Exchange]++; b.Pattern == "#" || count[b.Exchange] > maxBindings {
			all[b.Exchange] = true
		}
	}
	kept := list[:0]
	for _, b := range list {
		if all[b.Exchange] {
			b.Pattern = "#"
		}
		if !slices.ContainsFunc(kept, func(k Binding) bool { return k.Exchange == b.Exchange && k.Pattern == b.Pattern }) {
			kept = append(kept, b)
		}
	}
	return kept
}

// patterns are the keys under which messages come whose topic, as the entry finds it, the filter can match. There are none where it comes by no
// exchange: a subscription cannot be bound to a queue.
func (e *entry) patterns(filter string) []string {
	if !e.binds() {
		return nil
	}
	topics, names := e.topics()
	parts, both, ok := topics.meet(filter, len(names))
	switch {
	case !ok:
		return nil
	case e.whole == inKey:
		return []string{e.rule.dialect.Pattern(both)}
	}
	for i, v := range names {
		if parts[i] == "" {
			parts[i] = anyOf(v)
		}
	}
	return e.key.binding(e.rule.dialect, parts)
}

// binds reports whether subscriptions are bound to something because of the entry, and not by default.
func (e *entry) binds() bool {
	return e.exchange != "" && (e.whole != inKey || e.exchange != e.rule.dialect.Exchange())
}

// Bind reports whether some filter may have other bindings than its default.
func (t *Table) Bind() bool { return t != nil && t.bind }

// topics are those that the entry gives, and the variables that stand in them.
func (e *entry) topics() (*pattern, []variable) {
	if e.sent != nil {
		return e.rule.topic, e.rule.names
	}
	return e.result.read(e.rule.names, '/', nil).pattern, e.rule.names
}

func anyOf(v variable) string {
	if v.rest {
		return "+/#"
	}
	return "+"
}

// meet is what the topics of p have in common with those of a filter: both, a filter again, and for each variable a part of it. It may be more than that
// where a variable is only a part of its level.
func (p *pattern) meet(filter string, variables int) (parts []string, both string, ok bool) {
	levels := strings.Split(filter, "/")
	if first := &p.segments[0]; (levels[0] == "+" || levels[0] == "#") && first.kind == literal && strings.HasPrefix(first.prefix, "$") {
		return nil, "", false // [MQTT-4.7.2-1]
	}
	parts = make([]string, variables)
	var common []string
	for i := range p.segments {
		s := &p.segments[i]
		var part string
		switch {
		case s.kind == remainder:
			return parts, strings.Join(append(common, levels[i:]...), "/"), true
		case i >= len(levels):
			return nil, "", false
		case levels[i] == "#":
			levels = append(levels[:i:i], "+", "#") // one more of any kind, and so on
			fallthrough
		default:
			if s.kind == rest {
				part = strings.Join(levels[i:], "/")
				break
			}
			if part, ok = s.meet(levels[i]); !ok {
				return nil, "", false
			}
		}
		if s.variable != noVariable {
			parts[s.variable] = s.value(part)
		}
		common = append(common, part)
		if s.kind == rest {
			return parts, strings.Join(common, "/"), true
		}
	}
	left := levels[len(p.segments):]
	return parts, strings.Join(common, "/"), len(left) == 0 || left[0] == "#"
}

// meet is the filter level that both stand for.
func (s *segment) meet(level string) (string, bool) {
	switch {
	case s.kind == literal && (level == "+" || level == s.prefix):
		return s.prefix, true
	case s.kind == literal, level != "+" && !s.accepts(level):
		return "", false
	}
	return level, true
}

// value is what a variable stands for where its level is this one.
func (s *segment) value(level string) string {
	if level == "+" || s.kind != one {
		return level
	}
	return level[len(s.prefix) : len(level)-len(s.suffix)]
}

// binding is the pattern of the keys in which variables stand for these parts of a filter. A word that is not known as a whole is '*'.
func (p *pattern) binding(dialect mapping.Dialect, parts []string) []string {
	words := make([]string, len(p.segments))
	for i := range p.segments {
		s := &p.segments[i]
		part := ""
		if s.variable != noVariable {
			part = parts[s.variable]
		}
		switch {
		case s.kind == literal:
			words[i] = s.prefix
		case s.kind == remainder:
			words[i] = "#"
		case s.kind == rest && part == "":
			words[i] = "*.#"
		case s.kind == rest:
			words[i] = dialect.Pattern(part)
		case s.variable == noVariable || part == "+":
			words[i] = "*"
		default:
			words[i] = s.prefix + dialect.Key(part) + s.suffix
		}
	}
	pattern := strings.Join(words, ".")
	switch first := &p.segments[0]; {
	case first.prefix+first.suffix != "":
	case pattern == "*": // the value may be empty, and a key without any word matches no '*'
		return []string{pattern, ""}
	case pattern == "*.#":
		return []string{"#"}
	}
	return []string{pattern}
}

// Matches reports whether the bus puts what is sent to an address into a queue with this binding.
func (b Binding) Matches(at mapping.Address) bool {
	return at.Queue == "" && at.Exchange == b.Exchange && matchWords(words(b.Pattern), words(at.Key))
}

// words takes a key or a pattern apart. An empty one has none.
func words(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

func matchWords(pattern, key []string) bool {
	for i, w := range pattern {
		if w == "#" {
			for skip := len(key) - i; skip >= 0; skip-- {
				if matchWords(pattern[i+1:], key[len(key)-skip:]) {
					return true
				}
			}
			return false
		}
		if i >= len(key) || w != "*" && w != key[i] {
			return false
		}
	}
	return len(pattern) == len(key)
}

// Unheard is a rule whose messages no subscription gets.
type Unheard struct {
	Rule Match
	Why  string
}

// Unheard lists the rules whose topics a filter can match and that put messages where it is not bound to.
func (t *Table) Unheard(filter string) []Unheard {
	if t == nil {
		return nil
	}
	var list []Unheard
	for _, r := range t.rules {
		if why := t.unheard(r, filter); why != "" {
			list = append(list, Unheard{r.match, why})
		}
	}
	return list
}

func (t *Table) unheard(r *rule, filter string) string {
	if r.topic == nil {
		i := slices.IndexFunc(t.entries, func(e *entry) bool { return e.rule == r })
		e := t.entries[i]
		topics, names := e.topics()
		if _, _, ok := topics.meet(filter, len(names)); !ok || e.exchange != "" {
			return ""
		}
		return "it names no exchange that a subscription could be bound to; it gives messages a topic that come by another way"
	}
	_, _, ok := r.topic.meet(filter, len(r.names))
	switch {
	case !ok, r.queue == nil && (r.oneWay == "" || r.key == nil && r.exchange == r.dialect.Exchange()):
		return ""
	case r.queue != nil:
		return "it sends to a queue, and what is there is for whoever consumes from it"
	}
	return "it works one way only, from devices to the bus: " + r.oneWay
}

// Target is a place on the bus that rules name and that must be there.
type Target struct {
	Exchange, Queue string // one of them
	Rules           []Match
}

// String names the target and its rules.
func (t Target) String() string {
	what := "the exchange " + strconv.Quote(t.Exchange)
	if t.Queue != "" {
		what = "the queue " + strconv.Quote(t.Queue)
	}
	names := make([]string, len(t.Rules))
	for i, m := range t.Rules {
		names[i] = m.String()
	}
	return what + " of rule " + strings.Join(names, ", ")
}

// Targets lists the exchanges and queues that rules name, but for the exchange of all topics, which each bus has. A queue whose name has variables
// is not among them: nobody knows beforehand which there will be.
func (t *Table) Targets() []Target {
	if t == nil {
		return nil
	}
	var list []Target
	add := func(exchange, queue string, m Match) {
		i := slices.IndexFunc(list, func(t Target) bool { return t.Exchange == exchange && t.Queue == queue })
		if i < 0 {
			i = len(list)
			list = append(list, Target{Exchange: exchange, Queue: queue})
		}
		if !slices.ContainsFunc(list[i].Rules, func(known Match) bool { return known.Number == m.Number }) {
			list[i].Rules = append(list[i].Rules, m)
		}
	}
	for _, r := range t.rules {
		switch {
		case r.queue != nil && r.queue.fixed:
			add("", r.queue.constant, r.match)
		case r.exchange != "" && r.exchange != r.dialect.Exchange():
			add(r.exchange, "", r.match)
		}
	}
	for _, e := range t.entries {
		if e.sent == nil && e.exchange != "" && e.exchange != e.rule.dialect.Exchange() {
			add(e.exchange, "", e.rule.match)
		}
	}
	return list
}
