package mapping

import (
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// DownlinkOptions says for whom Downlink converts.
type DownlinkOptions struct {
	Dialect Dialect // of the bus it comes from
	Now     time.Time
	// Version of the device; V311 leaves out all properties, a declared loss. Zero is V5.
	Version packet.Version
	// MessageID shows devices the message-id of messages from other devices, too, as User Property sluice-msgid. That of messages from
	// backends is always shown. Without it such messages arrive with exactly the User Properties they were sent with [MQTT-3.3.2-17].
	MessageID bool
	// Bare leaves out the User Properties sluice-*, which tell what AMQP has and MQTT has not: for a message that is kept as MQTT's.
	Bare bool
	// Rules find topics where the defaults do not; nil: there are no rules.
	Rules Resolver
	// SkipIdentity leaves DownlinkMessage.Identity empty and gives Source instead: at QoS 0 hardly anybody wants to know.
	SkipIdentity bool
}

// DownlinkMessage is a message from the bus, ready to be fitted to a device's subscription. It shares payload and strings with
// the AMQP message, and all copies of Publish share its slices: they must not be changed in place.
type DownlinkMessage struct {
	// Publish is the template: QoS is the message's own, Retain as it was published, Dup and ID are not set, Subscription Identifiers
	// are missing. Message Expiry, if any, is as of DownlinkOptions.Now.
	Publish packet.Publish
	// Identity is the same each time the bus delivers this message, on any node.
	Identity string
	// Source is the message as it came from the bus, only with DownlinkOptions.SkipIdentity: Identity makes up for it.
	Source *message.Message
	// Publisher is for No Local only: anyone with access to the bus can write these annotations.
	Publisher Publisher
	// PossibleDuplicate is the gateway's own flag from the way up.
	PossibleDuplicate bool
	// Expires is when the message expires; zero is never.
	Expires time.Time
	// For is the filter of the one subscription that the message is for (Direct, HandOver); empty is every one that matches. Retained: it is
	// the copy of a retained message.
	For      string
	Retained bool
}

// Publisher is the device a message came from; the zero value is a backend, or unknown.
type Publisher struct {
	Tenant, Principal, ClientID, Node string
}

// Remaining is what is left of the message's life at now, in whole seconds, rounded up: the Message Expiry Interval to send
// [MQTT-3.3.2-6]. live is false when the message has expired and must not be sent any more [MQTT-3.3.2-5]. Without Expires it is 0
// and true.
func (d *DownlinkMessage) Remaining(now time.Time) (seconds uint32, live bool) {
	if d.Expires.IsZero() {
		return 0, true
	}
	if now.After(d.Expires) {
		return 0, false
	}
	left := d.Expires.Sub(now) // saturates after 292 years, which is longer than MQTT can say anyway
	whole := int64(left / time.Second)
	if left%time.Second > 0 {
		whole++
	}
	return uint32(min(whole, maxExpiry)), true
}

const maxExpiry = 1<<32 - 1 // seconds, 136 years

// Undeliverable is the error of a message that cannot become an MQTT message. Settle it as rejected with Condition and Reason; another
// attempt would end the same way.
type Undeliverable struct {
	Condition string // an AMQP condition
	Reason    string // a sentence for the backend that sent the message
}

func (e *Undeliverable) Error() string { return e.Condition + ": " + e.Reason }

// Downlink converts a message from the bus; the package comment has the table. The error is an *Undeliverable. The losses are nil when
// everything crossed; with an error they are meaningless.
func Downlink(m *message.Message, opt DownlinkOptions) (DownlinkMessage, []Loss, error) {
	var lost losses
	marks := readMarks(m, &lost)
	name, err := resolveTopic(m, &marks, opt, &lost)
	if err != nil {
		return DownlinkMessage{}, nil, err
	}
	d := DownlinkMessage{
		Publish:           packet.Publish{Topic: name, Retain: marks.retain},
		Publisher:         marks.publisher,
		PossibleDuplicate: marks.possibleDuplicate,
		For:               marks.onlyFor,
		Retained:          marks.retained,
	}
	if err := setPayload(&d.Publish, m, &marks, &lost); err != nil {
		return DownlinkMessage{}, nil, err
	}
	switch {
	case marks.hasQoS:
		d.Publish.QoS = marks.qos
	case m.Header.Durable:
		d.Publish.QoS = 1
	}
	setExpiry(&d, m, opt.Now, &lost)
	setProperties(&d.Publish.Properties, m, &marks, opt.Dialect, &lost)
	setUser(&d.Publish, m, &marks, opt, &lost)
	if m.Header.Priority != message.DefaultPriority {
		lost.add(FieldPriority, "", ReasonNoPlace)
	}
	if opt.SkipIdentity {
		d.Source = m
	} else if d.Identity = identity(m); d.For != "" {
		d.Identity = DirectedIdentity(d.Identity, d.For)
	}
	if p := &d.Publish.Properties; opt.Version == packet.V311 && (p.Set != 0 || len(p.User) > 0) {
		lost.add(FieldAllProperties, "", ReasonNo311)
		*p = packet.Properties{}
	}
	return d, lost.sorted(), nil
}

// setExpiry finds out when the message expires. absolute-expiry-time wins: it counts down by itself, while nobody says how long the bus
// has already held a message whose ttl it passes on unchanged. A ttl alone counts from now; the waiting before was the bus's to
// judge.
func setExpiry(d *DownlinkMessage, m *message.Message, now time.Time, lost *losses) {
	switch {
	case !m.Properties.AbsoluteExpiry.IsZero():
		d.Expires = m.Properties.AbsoluteExpiry
	case m.Header.TTL > 0:
		d.Expires = now.Add(m.Header.TTL)
	default:
		return
	}
	p := &d.Publish.Properties
	p.MessageExpiry, _ = d.Remaining(now)
	p.Set |= packet.PropMessageExpiry
	if d.Expires.Sub(now) > maxExpiry*time.Second {
		lost.add(FieldExpiry, "", ReasonRange)
	}
}

// setProperties converts what becomes a property of its own in PUBLISH (MQTT 5, 3.3.2.3), but for expiry and User Properties.
func setProperties(p *packet.Properties, m *message.Message, marks *marks, dialect Dialect, lost *losses) {
	setContentType(p, m.Properties.ContentType, marks, lost)
	setResponseTopic(p, m.Properties.ReplyTo, marks, dialect, lost)
	if m.Properties.CorrelationID != nil {
		setCorrelation(p, m.Properties.CorrelationID, lost)
	}
}

// setResponseTopic takes the topic of reply-to, or else the annotation that stands in for it. Where addresses have no place for a topic, the annotation
// goes with reply-to.
func setResponseTopic(p *packet.Properties, replyTo string, marks *marks, dialect Dialect, lost *losses) {
	name, mapped := "", false
	if replyTo != "" {
		name, mapped = dialect.replyTopic(replyTo)
	}
	switch {
	case mapped && marks.responseTopic != "" && marks.responseTopic != name:
		lost.add(FieldAnnotation, AnnotationResponseTopic, ReasonStale)
	case !mapped:
		if replyTo != "" && (dialect.HasKeys() || marks.responseTopic == "") {
			lost.add(FieldReplyTo, "", ReasonUnmapped)
		}
		name = marks.responseTopic
	}
	if name != "" {
		p.ResponseTopic = name
		p.Set |= packet.PropResponseTopic
	}
}

// setContentType takes content-type, or else the annotation that stands in for it.
func setContentType(p *packet.Properties, symbol string, marks *marks, lost *losses) {
	text := symbol
	switch {
	case symbol == "" && !marks.hasContentType:
		return
	case symbol == "":
		text = marks.contentType
	case marks.hasContentType && marks.contentType != symbol:
		lost.add(FieldAnnotation, AnnotationContentType, ReasonStale)
	}
	if why := mqttString(text); why != "" {
		lost.add(FieldContentType, "", why)
		return
	}
	p.ContentType = text
	p.Set |= packet.PropContentType
}

// setCorrelation makes bytes of an id of any type [AMQP 3.2.4]: binary as it is, string as UTF-8, ulong in decimal, uuid as
// "urn:uuid:..." (RFC 9562, 4).
func setCorrelation(p *packet.Properties, id any, lost *losses) {
	data, isBinary := id.([]byte)
	if !isBinary {
		text, _, ok := canonical(id)
		if !ok {
			lost.add(FieldCorrelationID, "", ReasonComplex)
			return
		}
		if _, isUUID := id.(message.UUID); isUUID {
			text = "urn:uuid:" + text
		}
		data = []byte(text)
	}
	if len(data) > maxMQTTString {
		lost.add(FieldCorrelationID, "", ReasonTooLong)
		return
	}
	if !isBinary {
		lost.add(FieldCorrelationID, "", ReasonType)
	}
	p.CorrelationData = data
	p.Set |= packet.PropCorrelationData
}

// setPayload makes the payload of the body [AMQP 3.2.6 to 3.2.8]. Payload bytes are copied only to join several sections or out of
// text.
func setPayload(p *packet.Publish, m *message.Message, marks *marks, lost *losses) error {
	if marks.hasFormat {
		p.Properties.PayloadFormat = marks.format
		p.Properties.Set |= packet.PropPayloadFormat
	}
	switch {
	case len(m.Sequence) > 0:
		return &Undeliverable{"amqp:not-implemented", "An amqp-sequence body has no form as an MQTT payload; send a data section."}
	case m.HasValue:
		return setValue(p, m.Value, lost)
	case len(m.Data) == 1:
		p.Payload = m.Data[0]
	case len(m.Data) > 1:
		n := 0
		for _, section := range m.Data {
			n += len(section)
		}
		p.Payload = make([]byte, 0, n)
		for _, section := range m.Data {
			p.Payload = append(p.Payload, section...)
		}
		lost.add(FieldBody, "", ReasonSections)
	}
	return nil
}

// setValue makes the payload of an amqp-value section. Text is announced as UTF-8 by the Payload Format Indicator.
func setValue(p *packet.Publish, value any, lost *losses) error {
	lost.add(FieldBody, "", ReasonType)
	switch v := value.(type) {
	case nil:
		return nil
	case []byte:
		p.Payload = v
		return nil
	}
	text, _, ok := canonical(value)
	if !ok {
		return &Undeliverable{"amqp:not-implemented",
			"An amqp-value body that is a list, a map or a described type has no form as an MQTT payload; send a data section."}
	}
	p.Payload = []byte(text)
	p.Properties.PayloadFormat = 0
	p.Properties.Set &^= packet.PropPayloadFormat
	if utf8.Valid(p.Payload) {
		p.Properties.PayloadFormat = 1
		p.Properties.Set |= packet.PropPayloadFormat
	}
	return nil
}
