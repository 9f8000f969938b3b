package explain

import (
	"fmt"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// Publish is a message of a device to be explained. Packet must be valid but for its topic, which is checked.
type Publish struct {
	Packet                      packet.Publish
	Version                     packet.Version // of the device that publishes, and of the one that gets the message
	Tenant, Principal, ClientID string
}

// Bus is a message of a backend to be explained.
type Bus struct {
	Address string // "/exchanges/x/key", "/queues/q", percent-encoded; may be empty with a subject
	Message message.Message
	Version packet.Version // of the device that gets the message
}

// Explanation is the answer. The field names of its JSON form are part of the interface of the administration port.
type Explanation struct {
	Direction  string    `json:"direction"` // "up" or "down"
	Question   string    `json:"question"`
	Rule       *Rule     `json:"rule"` // null: no rule matches, the defaults hold
	Message    []Section `json:"message"`
	Outcomes   []Outcome `json:"outcomes,omitempty"`   // up only
	Subscriber string    `json:"subscriber,omitempty"` // who gets it
	Reached    bool      `json:"reached"`              // some device may
	Device     *Device   `json:"device"`               // null: no device can get the message
	Refused    string    `json:"refused,omitempty"`    // why not
	Losses     Losses    `json:"losses"`
}

// Rule is the rule that decided.
type Rule struct {
	Number int    `json:"number"` // from 1
	Name   string `json:"name,omitempty"`
	OneWay string `json:"one_way,omitempty"` // why it does not also work in the other direction
}

// Section is a section of the AMQP message.
type Section struct {
	Name   string  `json:"name"`
	Fields []Field `json:"fields"`
}

// Field is a field of a section, or a property of MQTT.
type Field struct {
	Name  string `json:"name"`
	Type  string `json:"type,omitempty"`
	Value string `json:"value"`
}

// Outcome is what an answer of the bus means for the device.
type Outcome struct {
	Bus    string `json:"bus"`
	Device string `json:"device"`
}

// Device is what a device gets.
type Device struct {
	Topic   string  `json:"topic"`
	FoundBy string  `json:"found_by"` // what says the topic
	Fields  []Field `json:"fields"`
}

// Losses are what does not cross, in each direction.
type Losses struct {
	Up   []string `json:"up"`
	Down []string `json:"down"`
}

// received stands for the moment of receipt. Its date is told to nobody.
var received = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// What a gateway chooses for each message.
const (
	someMessageID = "(one for each message)"
	someNode      = "(the node)"
	someClient    = "(the client id)"
)

// Up explains a message of a device. The error says what is wrong with the question.
func Up(dialect mapping.Dialect, table *rules.Table, in Publish) (Explanation, error) {
	p := &in.Packet
	if err := topic.ValidateName(p.Topic); err != nil {
		return Explanation{}, fmt.Errorf("the topic %q: %w", p.Topic, err)
	}
	if in.ClientID == "" {
		in.ClientID = someClient
	}
	e := Explanation{Direction: "up", Question: fmt.Sprintf("a device publishes to %s at QoS %d, MQTT %s", p.Topic, p.QoS, versionText(in.Version))}
	up := mapping.UplinkMessage{
		Dialect: dialect, Publish: p, From: mapping.NewProvenance(in.Tenant, in.Principal, in.ClientID, someNode),
		MessageID: someMessageID, Received: received,
	}
	var route mapping.Route
	match, ok := table.Route(rules.Message{Topic: p.Topic, QoS: p.QoS, Tenant: in.Tenant, Principal: in.Principal}, &route)
	if ok {
		up.Route = &route
		e.Rule = &Rule{Number: match.Number, Name: match.Name, OneWay: table.OneWay(match.Number)}
	}
	m, lost := mapping.Uplink(up)
	e.Message = sections(m)
	e.Losses.Up = losses(lost)
	e.Outcomes = outcomes(dialect, match, in.Version, p.QoS)
	at, _ := dialect.ParseAddress(m.Properties.To)
	e.Subscriber, e.Reached = subscriber(dialect, table, at, p.Topic)
	e.comeBack(dialect, table, m, at, in.Version)
	return e, nil
}

// Down explains a message of a backend. The error says what is wrong with the question.
func Down(dialect mapping.Dialect, table *rules.Table, in Bus) (Explanation, error) {
	at, ok := dialect.ParseAddress(in.Address)
	if in.Address != "" && !ok {
		return Explanation{}, fmt.Errorf("the address %q is none: write %s", in.Address, dialect.Addresses())
	}
	if in.Address == "" && in.Message.Properties.Subject == "" {
		return Explanation{}, fmt.Errorf("neither address nor subject is given: name the address that the message is sent to, its subject, or both")
	}
	m := in.Message
	m.Properties.To = in.Address
	e := Explanation{Direction: "down", Message: sections(&m), Losses: Losses{Up: []string{}}}
	e.Question = "a backend sends a message"
	if in.Address != "" {
		e.Question += " to " + in.Address
	}
	if m.Properties.Subject != "" {
		e.Question += " with subject " + m.Properties.Subject
	}
	e.comeBack(dialect, table, &m, at, in.Version)
	if _, match, ok := table.Resolve(at, m.Properties.Subject); ok && e.Device != nil && e.Device.FoundBy == byRule(match) {
		e.Rule = &Rule{Number: match.Number, Name: match.Name, OneWay: table.OneWay(match.Number)}
	}
	if e.Device != nil {
		e.Subscriber, e.Reached = subscriber(dialect, table, at, e.Device.Topic)
	}
	return e, nil
}

// comeBack explains what a device gets of a message that comes by an address.
func (e *Explanation) comeBack(dialect mapping.Dialect, table *rules.Table, sent *message.Message, at mapping.Address, version packet.Version) {
	m := routed(dialect, sent, at)
	d, lost, err := mapping.Downlink(m, mapping.DownlinkOptions{Dialect: dialect, Now: received, Version: version, Rules: table, SkipIdentity: true})
	if err != nil {
		e.Refused = err.Error()
		e.Losses.Down = []string{}
		return
	}
	e.Losses.Down = losses(lost)
	e.Device = &Device{Topic: d.Publish.Topic, FoundBy: foundBy(table, m, at, d.Publish.Topic), Fields: publishFields(&d.Publish)}
}

// routed is a message as the bus hands it out.
func routed(dialect mapping.Dialect, sent *message.Message, at mapping.Address) *message.Message {
	m := *sent
	m.Annotations = make(map[string]any, len(sent.Annotations)+2)
	for name, value := range sent.Annotations {
		m.Annotations[name] = value
	}
	switch {
	case !dialect.HasExchanges():
	case at.Queue != "":
		m.Annotations[annotationExchange], m.Annotations[annotationRoutingKey] = "", at.Queue
	case at.Exchange != "":
		m.Annotations[annotationExchange], m.Annotations[annotationRoutingKey] = at.Exchange, at.Key
	}
	return &m
}

// What the bus adds.
const (
	annotationExchange   = "x-exchange"
	annotationRoutingKey = "x-routing-key"
)

// foundBy says which part of the message gave the topic.
func foundBy(table *rules.Table, m *message.Message, at mapping.Address, name string) string {
	if given, _ := m.Annotations[mapping.AnnotationTopic].(string); given == name {
		return "annotation " + mapping.AnnotationTopic
	}
	if given, _ := m.ApplicationProperties[mapping.AnnotationTopic].(string); given == name {
		return "application property " + mapping.AnnotationTopic
	}
	if found, match, ok := table.Resolve(at, m.Properties.Subject); ok && found == name {
		return byRule(match)
	}
	switch {
	case at.Exchange != "" && at.Key != "":
		return "the routing key"
	case m.Properties.Subject == name:
		return "the subject"
	}
	return "to"
}

func byRule(m rules.Match) string { return "rule " + m.String() }

// subscriber says whether a device that subscribes to a topic gets what is sent to an address: whether the address matches a binding.
func subscriber(dialect mapping.Dialect, table *rules.Table, at mapping.Address, name string) (who string, reached bool) {
	switch {
	case at.Queue != "":
		return "no device by its subscription: the message goes to the queue " + at.Queue + ", to whoever consumes from it", false
	case at.Exchange == "":
		return "", true
	case !dialect.HasInboxes():
		return "devices that subscribe to " + name + ", of the nodes that receive from " + at.Exchange + " (bus.azure.receive)", true
	}
	bindings := table.Bindings(dialect, name)
	for _, b := range bindings {
		if b.Matches(at) {
			return "devices that subscribe to " + name, true
		}
	}
	if at.Key == dialect.Key(name) {
		return fmt.Sprintf("devices that subscribe to %s, if the exchange %s is bound to %s on the bus", name, at.Exchange, dialect.Exchange()), true
	}
	where := make([]string, len(bindings))
	for i, b := range bindings {
		where[i] = fmt.Sprintf("%s %q", b.Exchange, b.Pattern)
	}
	return fmt.Sprintf("no device: a subscription to %s is bound to %s, and the message goes to %s %q", name, strings.Join(where, ", "), at.Exchange, at.Key), false
}

func outcomes(dialect mapping.Dialect, match rules.Match, version packet.Version, qos packet.QoS) []Outcome {
	switch {
	case qos == 0 && match.Elsewhere:
		return []Outcome{{"any, or none", "none: QoS 0 is not acknowledged; a refusal is logged and counted"}}
	case qos == 0:
		return []Outcome{{"none: the message is sent settled", "none: QoS 0 is not acknowledged"}}
	}
	var list []Outcome
	accepted := "accepted"
	if !dialect.TellsUnrouted() {
		accepted += " (also if nobody takes it)"
	}
	for _, o := range []struct {
		name string
		kind message.OutcomeKind
	}{{accepted, message.Accepted}, {"released (no queue takes it)", message.Released}, {"rejected", message.Rejected}, {"modified, or no answer", message.Modified}} {
		if o.kind == message.Released && !dialect.TellsUnrouted() {
			continue
		}
		a := mapping.Classify(message.Outcome{Kind: o.kind}, match.Outcome)
		list = append(list, Outcome{o.name, answerText(a, match.OnError, version)})
	}
	return list
}

func answerText(a mapping.Answer, onError rules.OnError, version packet.Version) string {
	switch {
	case a.Class == mapping.Hold:
		return "no answer yet: it is tried again, and after bus.grace the device is disconnected"
	case version == packet.V311 && a.Class == mapping.Success:
		return "acknowledged"
	case a.Class == mapping.Refused && onError == rules.Quarantine:
		return "stored in the quarantine, then acknowledged"
	case version == packet.V311 && onError == rules.Report:
		return "told on $sluice/errors, then acknowledged; disconnected if it does not subscribe to that"
	case version == packet.V311:
		return "disconnected, since MQTT 3.1.1 has no negative acknowledgement"
	case a.Class == mapping.Success:
		return fmt.Sprintf("acknowledged with 0x%02X (%s)", byte(a.Reason), a.Reason)
	}
	return fmt.Sprintf("refused with 0x%02X (%s)", byte(a.Reason), a.Reason)
}

func losses(lost []mapping.Loss) []string {
	list := make([]string, len(lost))
	for i, l := range lost {
		list[i] = l.String()
	}
	return list
}

func versionText(v packet.Version) string {
	if v == packet.V311 {
		return "3.1.1"
	}
	return "5.0"
}
