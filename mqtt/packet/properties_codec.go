package packet

import (
	"fmt"
	"math/bits"
	"strings"
)

// wire is the data type of a property on the wire (MQTT 5, table 2-4).
type wire uint8

const (
	wireByte wire = iota
	wireUint16
	wireUint32
	wireText
	wireBinary
)

// rule is what a value must keep to beyond its data type.
type rule uint8

const (
	ruleNone      rule = iota
	ruleZeroOrOne      // a flag, or a Maximum QoS
	ruleNotZero
	ruleAlias // not zero, with a reason code of its own
	ruleTopicName
)

// place is where a block of properties stands: in a packet of that type, or, as zero, in the Will of a CONNECT.
type place Type

const placeWill place = 0

func (at place) String() string {
	if at == placeWill {
		return "Will Properties"
	}
	return Type(at).String()
}

const willOnly packetSet = 1 << placeWill

type propDef struct {
	id     byte
	name   string
	wire   wire
	rule   rule
	in     packetSet
	clause string // where the standard says what the value may be, and that it may be there once
}

var (
	application = in(PUBLISH) | willOnly
	session     = in(CONNECT, CONNACK, DISCONNECT)
	handshake   = in(CONNECT, CONNACK)
	authPackets = in(CONNECT, CONNACK, AUTH)
	answers     = in(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)
	redirecting = in(CONNACK, DISCONNECT)

	// everywhere is where User Properties may stand: in each packet that has properties at all.
	everywhere     = answers | application | in(CONNECT, SUBSCRIBE, UNSUBSCRIBE)
	subscriptionIn = in(PUBLISH, SUBSCRIBE)
)

// propDefs is MQTT 5, table 2-4 for all properties that may stand in a packet once, in the order of their bits in
// PropertySet. The two that may repeat, User Property and Subscription Identifier, have code of their own.
var propDefs = [...]propDef{
	{0x01, "Payload Format Indicator", wireByte, ruleZeroOrOne, application, "MQTT 5, 3.3.2.3.2"},
	{0x02, "Message Expiry Interval", wireUint32, ruleNone, application, "MQTT 5, 3.3.2.3.3"},
	{0x03, "Content Type", wireText, ruleNone, application, "MQTT 5, 3.3.2.3.9"},
	{0x08, "Response Topic", wireText, ruleTopicName, application, "MQTT-3.3.2-14"},
	{0x09, "Correlation Data", wireBinary, ruleNone, application, "MQTT 5, 3.3.2.3.6"},
	{0x11, "Session Expiry Interval", wireUint32, ruleNone, session, "MQTT 5, 3.1.2.11.2"},
	{0x12, "Assigned Client Identifier", wireText, ruleNone, in(CONNACK), "MQTT 5, 3.2.2.3.7"},
	{0x13, "Server Keep Alive", wireUint16, ruleNone, in(CONNACK), "MQTT 5, 3.2.2.3.14"},
	{0x15, "Authentication Method", wireText, ruleNone, authPackets, "MQTT 5, 3.1.2.11.9"},
	{0x16, "Authentication Data", wireBinary, ruleNone, authPackets, "MQTT 5, 3.1.2.11.10"},
	{0x17, "Request Problem Information", wireByte, ruleZeroOrOne, in(CONNECT), "MQTT 5, 3.1.2.11.7"},
	{0x18, "Will Delay Interval", wireUint32, ruleNone, willOnly, "MQTT 5, 3.1.3.2.2"},
	{0x19, "Request Response Information", wireByte, ruleZeroOrOne, in(CONNECT), "MQTT 5, 3.1.2.11.6"},
	{0x1A, "Response Information", wireText, ruleNone, in(CONNACK), "MQTT 5, 3.2.2.3.15"},
	{0x1C, "Server Reference", wireText, ruleNone, redirecting, "MQTT 5, 3.2.2.3.16"},
	{0x1F, "Reason String", wireText, ruleNone, answers, "MQTT 5, 3.2.2.3.9"},
	{0x21, "Receive Maximum", wireUint16, ruleNotZero, handshake, "MQTT 5, 3.1.2.11.3"},
	{0x22, "Topic Alias Maximum", wireUint16, ruleNone, handshake, "MQTT 5, 3.1.2.11.5"},
	{0x23, "Topic Alias", wireUint16, ruleAlias, in(PUBLISH), "MQTT-3.3.2-8"},
	{0x24, "Maximum QoS", wireByte, ruleZeroOrOne, in(CONNACK), "MQTT 5, 3.2.2.3.4"},
	{0x25, "Retain Available", wireByte, ruleZeroOrOne, in(CONNACK), "MQTT 5, 3.2.2.3.5"},
	{0x27, "Maximum Packet Size", wireUint32, ruleNotZero, handshake, "MQTT 5, 3.1.2.11.4"},
	{0x28, "Wildcard Subscription Available", wireByte, ruleZeroOrOne, in(CONNACK), "MQTT 5, 3.2.2.3.11"},
	{0x29, "Subscription Identifier Available", wireByte, ruleZeroOrOne, in(CONNACK), "MQTT 5, 3.2.2.3.12"},
	{0x2A, "Shared Subscription Available", wireByte, ruleZeroOrOne, in(CONNACK), "MQTT 5, 3.2.2.3.13"},
}

const (
	idSubscription = 0x0B
	idUser         = 0x26
)

// bitOf leads from a property identifier to its place in propDefs, plus one; zero is unknown.
var bitOf = func() (t [256]uint8) {
	for i, d := range propDefs {
		t[d.id] = uint8(i + 1)
	}
	return t
}()

// legalSets are the properties that may stand at each place.
var legalSets = func() (t [16]PropertySet) {
	for i, d := range propDefs {
		for at := range t {
			if d.in&(1<<at) != 0 {
				t[at] |= 1 << i
			}
		}
	}
	return t
}()

// check says what is wrong with a value, in words, or "".
func (d *propDef) check(n uint32, s string) string {
	switch d.rule {
	case ruleZeroOrOne:
		if n > 1 {
			return fmt.Sprintf("%s is %d; it may be 0 or 1", d.name, n)
		}
	case ruleNotZero, ruleAlias:
		if n == 0 {
			return d.name + " is 0; send at least 1, or leave it out"
		}
	case ruleTopicName:
		if i := wildcardIn(s); i >= 0 {
			return fmt.Sprintf("%s holds the wildcard %q at byte %d", d.name, s[i], i)
		}
	}
	return ""
}

// decode reads a Property Length and the properties behind it (MQTT 5, 2.2.2). p is empty when it is called.
func (p *Properties) decode(c *cursor, at place) error {
	n, err := c.varint("the Property Length")
	if err != nil {
		return err
	}
	if int(n) > len(c.b) {
		return malformed("MQTT 5, 2.2.2.1", "%s: the Property Length is %d, but %d bytes are left", at, n, len(c.b))
	}
	if n == 0 {
		return nil
	}
	block := c.split(int(n))
	for len(block.b) > 0 {
		id, _ := block.uint8("a property identifier")
		switch id {
		case idUser:
			err = p.decodeUser(&block, at)
		case idSubscription:
			err = p.decodeSubscriptionID(&block, at)
		default:
			err = p.decodeSingle(&block, at, id)
		}
		if err != nil {
			return err
		}
	}
	if p.Set&(PropAuthData|PropAuthMethod) == PropAuthData {
		return violation("MQTT 5, 3.1.2.11.10", "%s has Authentication Data without an Authentication Method", at)
	}
	return nil
}

func misplaced(at place, name string) error {
	return malformed("MQTT 5, 2.2.2.2", "%s: the property %s does not belong there", at, name)
}

func (p *Properties) decodeUser(c *cursor, at place) error {
	if everywhere&(1<<at) == 0 {
		return misplaced(at, "User Property")
	}
	if len(p.User) == UserPropertiesMax {
		return refuse(QuotaExceeded, "MQTT 5, 4.13.2", "%s has more than %d User Properties", at, UserPropertiesMax)
	}
	key, err := c.text("the name of a User Property")
	if err != nil {
		return err
	}
	value, err := c.text("the value of a User Property")
	if err != nil {
		return err
	}
	p.User = append(p.User, UserProperty{Key: key, Value: value})
	return nil
}

func (p *Properties) decodeSubscriptionID(c *cursor, at place) error {
	if subscriptionIn&(1<<at) == 0 {
		return misplaced(at, "Subscription Identifier")
	}
	id, err := c.varint("the Subscription Identifier")
	if err != nil {
		return err
	}
	if id == 0 {
		return violation("MQTT 5, 3.8.2.1.2", "%s: the Subscription Identifier is 0; it must be 1 to 268435455", at)
	}
	if at == place(SUBSCRIBE) && len(p.SubscriptionIDs) > 0 {
		return violation("MQTT 5, 3.8.2.1.2", "%s has more than one Subscription Identifier", at)
	}
	p.SubscriptionIDs = append(p.SubscriptionIDs, id)
	return nil
}

func (p *Properties) decodeSingle(c *cursor, at place, id byte) error {
	i := int(bitOf[id]) - 1
	if i < 0 {
		return malformed("MQTT 5, 2.2.2.2", "%s: there is no property with the identifier 0x%02X", at, id)
	}
	d := &propDefs[i]
	if d.in&(1<<at) == 0 {
		return misplaced(at, d.name)
	}
	if p.Set&(1<<i) != 0 {
		return violation(d.clause, "%s has the property %s twice", at, d.name)
	}
	n, s, b, err := c.value(d)
	if err != nil {
		return err
	}
	if d.rule != ruleNone {
		if wrong := d.check(n, s); wrong != "" {
			reason := ProtocolError
			if d.rule == ruleAlias {
				reason = TopicAliasInvalid // MQTT 5, 3.3.4
			}
			return refuse(reason, d.clause, "%s: %s", at, wrong)
		}
	}
	p.store(1<<i, n, s, b)
	return nil
}

// value reads a value of the type of d; the two results of other types are zero.
func (c *cursor) value(d *propDef) (n uint32, s string, b []byte, err error) {
	switch d.wire {
	case wireByte:
		var v byte
		v, err = c.uint8(d.name)
		n = uint32(v)
	case wireUint16:
		var v uint16
		v, err = c.uint16(d.name)
		n = uint32(v)
	case wireUint32:
		n, err = c.uint32(d.name)
	case wireText:
		s, err = c.text(d.name)
	case wireBinary:
		b, err = c.binary(d.name)
	}
	return n, s, b, err
}

// size is the size of the properties in bytes, without the Property Length, after checking that they may be written at that
// place of a packet of type t.
func (p *Properties) size(t Type, at place) (int, error) {
	if p.Set&^legalSets[at] != 0 {
		return 0, unwritable(t, "%s may not hold %s [MQTT 5, 2.2.2.2]", at, names(p.Set&^legalSets[at]))
	}
	size := 0
	for left := p.Set; left != 0; left &= left - 1 {
		n, err := p.singleSize(t, bits.TrailingZeros32(uint32(left)))
		if err != nil {
			return 0, err
		}
		size += n
	}
	if p.Set&(PropAuthData|PropAuthMethod) == PropAuthData {
		return 0, unwritable(t, "Authentication Data needs an Authentication Method [MQTT 5, 3.1.2.11.10]")
	}
	n, err := p.listSize(t, at)
	return size + n, err
}

func (p *Properties) singleSize(t Type, i int) (int, error) {
	d := &propDefs[i]
	n, s, b := p.load(1 << i)
	if d.rule != ruleNone {
		if wrong := d.check(n, s); wrong != "" {
			return 0, unwritable(t, "%s [%s]", wrong, d.clause)
		}
	}
	switch d.wire {
	case wireByte:
		return 2, nil
	case wireUint16:
		return 3, nil
	case wireUint32:
		return 5, nil
	case wireText:
		return 3 + len(s), checkText(t, d.name, s)
	default:
		return 3 + len(b), checkBinary(t, d.name, b)
	}
}

func (p *Properties) listSize(t Type, at place) (int, error) {
	size := 0
	if len(p.SubscriptionIDs) > 0 && subscriptionIn&(1<<at) == 0 {
		return 0, unwritable(t, "%s may not hold a Subscription Identifier [MQTT 5, 2.2.2.2]", at)
	}
	if len(p.SubscriptionIDs) > 1 && at == place(SUBSCRIBE) {
		return 0, unwritable(t, "it may hold one Subscription Identifier, not %d [MQTT 5, 3.8.2.1.2]", len(p.SubscriptionIDs))
	}
	for _, id := range p.SubscriptionIDs {
		if id == 0 || id > maxRemainingLength {
			return 0, unwritable(t, "Subscription Identifier %d is not in 1 to 268435455 [MQTT 5, 3.8.2.1.2]", id)
		}
		size += 1 + varintSize(id)
	}
	for i := range p.User {
		u := &p.User[i]
		if err := checkText(t, "the name of a User Property", u.Key); err != nil {
			return 0, err
		}
		if err := checkText(t, "the value of a User Property", u.Value); err != nil {
			return 0, err
		}
		size += 5 + len(u.Key) + len(u.Value)
	}
	return size, nil
}

// append writes the Property Length, which is the result of size, and the properties.
func (p *Properties) append(dst []byte, size int) []byte {
	dst = appendVarint(dst, uint32(size))
	for left := p.Set; left != 0; left &= left - 1 {
		i := bits.TrailingZeros32(uint32(left))
		d := &propDefs[i]
		n, s, b := p.load(1 << i)
		dst = append(dst, d.id)
		switch d.wire {
		case wireByte:
			dst = append(dst, byte(n))
		case wireUint16:
			dst = appendUint16(dst, uint16(n))
		case wireUint32:
			dst = appendUint32(dst, n)
		case wireText:
			dst = appendText(dst, s)
		case wireBinary:
			dst = appendBinary(dst, b)
		}
	}
	for _, id := range p.SubscriptionIDs {
		dst = appendVarint(append(dst, idSubscription), id)
	}
	for i := range p.User {
		dst = appendText(append(dst, idUser), p.User[i].Key)
		dst = appendText(dst, p.User[i].Value)
	}
	return dst
}

// names lists the properties of s by name.
func names(s PropertySet) string {
	var list []string
	for i, d := range propDefs {
		if s&(1<<i) != 0 {
			list = append(list, d.name)
		}
	}
	if list == nil {
		return "an unknown property"
	}
	return strings.Join(list, ", ")
}
