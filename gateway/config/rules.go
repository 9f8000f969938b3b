package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/mapping/rules"
)

// rulesKey is the key of the mapping rules. It is a list, so that it can be set in the file only.
const rulesKey = "rules"

// isRules reports whether a key is rulesKey or something in it.
func isRules(name string) bool { return name == rulesKey || strings.HasPrefix(name, rulesKey+".") }

// ruleField is one key of a rule.
type ruleField struct {
	name string
	doc  string
	set  func(n *yaml.Node) error // the error says what is wrong and what would be right
}

// ruleFields is the table of the keys of a rule, bound to r.
func ruleFields(r *rules.Rule) []ruleField {
	return []ruleField{
		{"name", "Name of the rule, for logs and `sluice explain`.", ruleText(&r.Name)},
		{"direction", "`up`: from devices to the bus only. `down`: from the bus to devices only; then exchange, key, queue and subject are the condition and topic is the result. `both`: refused unless it works both ways. Without it: up, and down where it can be.", ruleText((*string)(&r.Direction))},
		{"topic", "Template of the topics: levels that are text, `{name}`, `+`, and at the end `{name...}` (one or more) or `#` (zero or more).", ruleText(&r.Topic)},
		{"qos", "Condition: 0, 1 or 2, or a list.", ruleQoS(&r.QoS)},
		{"principal", "Condition: a name, a list, or the beginning of names with `*` behind.", ruleNames(&r.Principals)},
		{"tenant", "Condition, as principal.", ruleNames(&r.Tenants)},
		{"exchange", "Topic exchange to send to; it must be on the bus when a node starts. Without it `amq.topic`. Artemis has none.", ruleText(&r.Exchange)},
		{"key", "Routing key, a text with `{name}`. Without it that of the topic, so that bindings by topic work.", ruleOptional(&r.Key)},
		{"queue", "Queue to send to, a text with `{name}`, instead of exchange and key. What is sent there reaches no device by its subscription. It must be on the bus when a node starts, unless its name has variables.", ruleText(&r.Queue)},
		{"subject", "Subject, a text with `{name}`. Without it the topic; \"\" for none.", ruleOptional(&r.Subject)},
		{"content_type", "Content type of messages that name none, as those of MQTT 3.1.1.", ruleText(&r.ContentType)},
		{"content_encoding", "Content encoding.", ruleText(&r.ContentEncoding)},
		{"ttl", "Life of messages without Message Expiry, such as `30s`.", ruleDuration(&r.TTL)},
		{"ttl_max", "Bound of every message's life, also of those without Message Expiry.", ruleDuration(&r.TTLMax)},
		{"priority", "Priority, 0 to 255. Without it 4.", rulePriority(&r.Priority)},
		{"group_id", "Group id, a text with `{name}`.", ruleText(&r.GroupID)},
		{"partition_key", "Annotation `x-opt-partition-key` of Azure Event Hubs and Service Bus, a text with `{name}`.", ruleText(&r.PartitionKey)},
		{"properties", "Application properties: names with texts with `{name}`. A device's User Property of the same name does not cross.", ruleProperties(&r.Properties)},
		{"require_route", "`true`: a message that no queue takes is refused (0x83) instead of acknowledged with 0x10. Not with Artemis, which does not tell.", ruleBool(&r.RequireRoute)},
		{"on_error", "What happens when a message of QoS 1 or 2 is refused for good. `close`: an MQTT 5 device is told by a negative acknowledgement, one of 3.1.1 is disconnected, and the reason waits on its error topic. `report`: one of 3.1.1 gets the reason on its error topic and then its acknowledgement; one that does not subscribe to that is disconnected. `quarantine`: the message is stored at `quarantine.address` with its reason, then acknowledged, in either version.", ruleText(&r.OnError)},
	}
}

// writtenRules are the rules of a file, before they are compiled for a bus.
type writtenRules struct {
	list  []rules.Rule
	lines []int // where each begins
}

// readRules reads the rules of a file. It reads the file itself: viper makes all keys lower case, also the names of application
// properties.
func (c *Config) readRules(file string) (faults []string) {
	if file == "" {
		return nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil // readFile has told it
	}
	c.written.list, c.written.lines, faults = parseRules(content)
	if len(faults) > 0 {
		c.written = writtenRules{}
	}
	return faults
}

// compileRules compiles the rules for Dialect.
func (c *Config) compileRules() (faults, warnings []string) {
	list, lines := c.written.list, c.written.lines
	at := func(f rules.Fault) string { return fmt.Sprintf("rules, line %d: %v", lines[f.Rule-1], f) }
	table, err := rules.Compile(list, c.Dialect)
	var found rules.Faults
	if errors.As(err, &found) {
		for _, f := range found {
			if f.Rule > len(lines) {
				faults = append(faults, "rules: "+f.Error())
			} else {
				faults = append(faults, at(f))
			}
		}
		return faults, nil
	}
	for _, w := range table.Warnings() {
		warnings = append(warnings, at(w))
	}
	c.Rules = table
	return nil, warnings
}

// parseRules takes the list of rules out of a file. lines say where each begins.
func parseRules(content []byte) (list []rules.Rule, lines []int, faults []string) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil || len(document.Content) == 0 {
		return nil, nil, nil // what is no YAML at all has been told already
	}
	node := lookup(document.Content[0], rulesKey)
	if node == nil || node.Tag == "!!null" {
		return nil, nil, nil
	}
	if node.Kind != yaml.SequenceNode {
		return nil, nil, []string{fmt.Sprintf("rules, line %d: is no list; begin each rule with a dash: \"- topic: ...\"", node.Line)}
	}
	for i, n := range node.Content {
		r, found := parseRule(i+1, plain(n))
		list, lines, faults = append(list, r), append(lines, n.Line), append(faults, found...)
	}
	return list, lines, faults
}

func parseRule(number int, n *yaml.Node) (r rules.Rule, faults []string) {
	label := fmt.Sprintf("rule %d", number)
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("rules, line %d: %s: %s", line, label, fmt.Sprintf(format, args...)))
	}
	if n.Kind != yaml.MappingNode {
		fault(n.Line, "is no map of keys; write it like \"- topic: plant/{site}/#\" with further keys below")
		return r, faults
	}
	if name := lookup(n, "name"); name != nil && name.Value != "" {
		label += " (" + name.Value + ")"
	}
	fields := ruleFields(&r)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], plain(n.Content[i+1])
		at := slices.IndexFunc(fields, func(f ruleField) bool { return f.name == key.Value })
		if at < 0 {
			fault(key.Line, "%s: %s", key.Value, unknownField(fields, key.Value))
			continue
		}
		if err := fields[at].set(value); err != nil {
			fault(value.Line, "%s %q: %v", key.Value, value.Value, err)
		}
	}
	return r, faults
}

func unknownField(fields []ruleField, name string) string {
	best, least := "", len(name)/2+1
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
		if d := editDistance(name, f.name); d < least {
			best, least = f.name, d
		}
	}
	if best != "" {
		return "unknown key of a rule; did you mean " + best + "?"
	}
	return "unknown key of a rule; there are " + strings.Join(names, ", ")
}

// lookup finds a key of a map; keys are known in any case, as elsewhere in the file.
func lookup(n *yaml.Node, name string) *yaml.Node {
	n = plain(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, name) {
			return plain(n.Content[i+1])
		}
	}
	return nil
}

// plain follows an alias.
func plain(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("is not a text; write one value behind the colon, in quotes if it begins with {")
	}
	if n.Tag == "!!null" {
		return "", fmt.Errorf("has no value; give it one, or leave the key out")
	}
	return n.Value, nil
}

func ruleText(dst *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *dst, err = scalar(n); err == nil && *dst == "" {
			err = fmt.Errorf("is empty; give it a value, or leave the key out")
		}
		return err
	}
}

// ruleOptional is a text that may be empty, which is something else than absent.
func ruleOptional(dst **string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		*dst = &s
		return err
	}
}

func ruleNames(dst *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		each := []*yaml.Node{n}
		if n.Kind == yaml.SequenceNode {
			each = n.Content
		}
		for _, e := range each {
			s, err := scalar(plain(e))
			if err != nil {
				return err
			}
			*dst = append(*dst, s)
		}
		return nil
	}
}

func ruleQoS(dst *[]int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var one int
		if n.Decode(&one) == nil && n.Kind == yaml.ScalarNode {
			*dst = []int{one}
			return nil
		}
		if n.Kind != yaml.SequenceNode || n.Decode(dst) != nil {
			return fmt.Errorf("is neither 0, 1 or 2 nor a list of them such as [1, 2]")
		}
		return nil
	}
}

func ruleDuration(dst *time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return fmt.Errorf("is not a time with its unit; write it like 500ms, 30s, 5m or 2h")
		}
		*dst = d
		return nil
	}
}

func rulePriority(dst **int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var p int
		if n.Tag == "!!null" || n.Decode(&p) != nil {
			return fmt.Errorf("is not a whole number from 0 to 255")
		}
		*dst = &p
		return nil
	}
}

func ruleBool(dst *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Tag == "!!null" || n.Decode(dst) != nil {
			return fmt.Errorf("is neither true nor false")
		}
		return nil
	}
}

func ruleProperties(dst *map[string]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return fmt.Errorf("is no map; write name: value pairs below it")
		}
		*dst = make(map[string]string, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			s, err := scalar(plain(n.Content[i+1]))
			if err != nil {
				return fmt.Errorf("has %s, which %w", n.Content[i].Value, err)
			}
			(*dst)[n.Content[i].Value] = s
		}
		return nil
	}
}
