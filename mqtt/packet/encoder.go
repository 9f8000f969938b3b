package packet

import "slices"

// layout is what the first pass over a packet finds: the lengths that must be written before what they count.
type layout struct {
	body  int       // Remaining Length
	props int       // Property Length
	will  int       // Property Length of the Will
	form  shortForm // how much of reason and properties is written
}

// shortForm is how much of reason code and properties a packet carries that may leave them out at its end.
type shortForm uint8

const (
	nothing shortForm = iota
	reasonOnly
	reasonAndProperties
)

// encodable is a packet that checks and measures itself, then writes itself.
type encodable interface {
	Packet
	layout(v Version) (layout, error)
	appendBody(dst []byte, l layout, v Version) []byte
}

// Append writes p behind dst and returns the longer slice. A CONNECT is written in its own Version, all others in v. When
// dst has room, nothing is allocated. On an error, an *EncodeError, dst comes back as it was.
//
// 3.1.1 has no properties and no reasons: they are left out. A reason that changes the meaning of the packet is an error
// there (ErrNotInVersion), except in CONNACK and SUBACK, which have codes of their own for it.
func Append(dst []byte, p Packet, v Version) ([]byte, error) {
	if ready, ok := p.(*Prepared); ok {
		return ready.append(dst, v)
	}
	e, l, err := measure(p, v)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, 1+varintSize(uint32(l.body))+l.body)
	dst = append(dst, firstByte(e))
	dst = appendVarint(dst, uint32(l.body))
	return e.appendBody(dst, l, v), nil
}

// Size is the number of bytes that Append would write, for a Maximum Packet Size. The error is that of Append.
func Size(p Packet, v Version) (int, error) {
	if ready, ok := p.(*Prepared); ok {
		return ready.size(v)
	}
	_, l, err := measure(p, v)
	if err != nil {
		return 0, err
	}
	return 1 + varintSize(uint32(l.body)) + l.body, nil
}

func measure(p Packet, v Version) (encodable, layout, error) {
	e, ok := p.(encodable)
	if !ok {
		return nil, layout{}, &EncodeError{Detail: "it is not a packet of this package"}
	}
	if v != V311 && v != V5 && p.Type() != CONNECT {
		return nil, layout{}, unwritable(p.Type(), "the version is not set")
	}
	l, err := e.layout(v)
	if err == nil && l.body > maxRemainingLength {
		err = unwritable(p.Type(), "it takes %d bytes; %d are the most [MQTT 5, 2.1.4]", l.body, maxRemainingLength)
	}
	return e, l, err
}

func firstByte(p Packet) byte {
	t := p.Type()
	if publish, ok := p.(*Publish); ok {
		return byte(t)<<4 | publish.flags()
	}
	return byte(t)<<4 | fixedFlags(t)
}

// addProperties adds a block of properties that is always there.
func (l *layout) addProperties(p *Properties, t Type) (err error) {
	l.props, err = p.size(t, place(t))
	l.body += varintSize(uint32(l.props)) + l.props
	return err
}

// addReason adds reason and properties in their shortest form: nothing for Success, the reason alone without properties.
// AUTH has no such middle form (MQTT 5, 3.15.2), and does not need it: its reason never comes without a property.
func (l *layout) addReason(r ReasonCode, p *Properties, t Type) error {
	switch {
	case p.Empty() && r == Success:
		return nil
	case p.Empty():
		l.form = reasonOnly
		l.body++
		return nil
	}
	l.form = reasonAndProperties
	l.body++
	return l.addProperties(p, t)
}

func (l *layout) appendReason(dst []byte, r ReasonCode, p *Properties) []byte {
	switch l.form {
	case reasonOnly:
		dst = append(dst, byte(r))
	case reasonAndProperties:
		dst = p.append(append(dst, byte(r)), l.props)
	}
	return dst
}

func checkText(t Type, field, s string) error {
	if len(s) > maxFieldBytes {
		return unwritable(t, "%s has %d bytes; 65535 are the most [MQTT 5, 1.5.4]", field, len(s))
	}
	if !wellFormed(s) {
		return unwritable(t, "%s is not UTF-8 without U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2]", field)
	}
	return nil
}

func checkBinary(t Type, field string, b []byte) error {
	if len(b) > maxFieldBytes {
		return unwritable(t, "%s has %d bytes; 65535 are the most [MQTT 5, 1.5.6]", field, len(b))
	}
	return nil
}

func checkWritableTopic(t Type, field, topic string) error {
	if topic == "" {
		return unwritable(t, "%s is empty [MQTT-4.7.3-1]", field)
	}
	if wildcardIn(topic) >= 0 {
		return unwritable(t, "%s holds a wildcard [MQTT-3.3.2-2]", field)
	}
	return checkText(t, field, topic)
}

func checkFilter(t Type, filter string) error {
	if filter == "" {
		return unwritable(t, "a Topic Filter is empty [MQTT-4.7.3-1]")
	}
	return checkText(t, "a Topic Filter", filter)
}
