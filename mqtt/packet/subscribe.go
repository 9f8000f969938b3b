package packet

import "strings"

// The bits of the Subscription Options (MQTT 5, 3.8.3.1). 3.1.1 has the QoS only.
const (
	optionQoS            = 0x03
	optionNoLocal        = 0x04
	optionRetainAsPub    = 0x08
	optionRetainHandling = 0x30
	optionReserved       = 0xC0
	retainHandlingShift  = 4
)

// sharePrefix starts the filter of a Shared Subscription (MQTT 5, 4.8.2).
const sharePrefix = "$share/"

// filter reads a Topic Filter. Where its wildcards stand is not looked at: SUBACK and UNSUBACK answer that for each filter,
// without harm to the others.
func (c *cursor) filter() (string, error) {
	filter, err := c.text("a Topic Filter")
	if err == nil && filter == "" {
		err = refuse(TopicFilterInvalid, c.clause("MQTT-4.7.3-1", "3.1.1 MQTT-4.7.3-1"), "%s has an empty Topic Filter", c.pkt)
	}
	return filter, err
}

func (p *Subscribe) decode(c *cursor, _ Header) (err error) {
	if p.ID, err = c.id(); err != nil {
		return err
	}
	if c.v == V5 {
		if err := p.Properties.decode(c, place(SUBSCRIBE)); err != nil {
			return err
		}
	}
	if len(c.b) == 0 {
		return violation(c.clause("MQTT-3.8.3-2", "3.1.1 MQTT-3.8.3-3"), "SUBSCRIBE has no Topic Filter; it needs at least one")
	}
	for len(c.b) > 0 {
		var s Subscription
		if s.Filter, err = c.filter(); err != nil {
			return err
		}
		options, err := c.uint8("the Subscription Options")
		if err != nil {
			return err
		}
		if err := s.setOptions(c, options); err != nil {
			return err
		}
		p.Subscriptions = append(p.Subscriptions, s)
	}
	return nil
}

func (s *Subscription) setOptions(c *cursor, b byte) error {
	s.QoS = QoS(b & optionQoS)
	if c.v == V311 {
		if b > 2 { // the number is printed like this in the standard
			return malformed("3.1.1 MQTT-3-8.3-4", "the Requested QoS of a Topic Filter is 0x%02X; it may be 0, 1 or 2", b)
		}
		return nil
	}
	s.NoLocal = b&optionNoLocal != 0
	s.RetainAsPublished = b&optionRetainAsPub != 0
	s.RetainHandling = b & optionRetainHandling >> retainHandlingShift
	switch {
	case b&optionReserved != 0:
		return malformed("MQTT-3.8.3-5", "the reserved bits of the Subscription Options are not 0")
	case s.QoS > 2:
		return violation("MQTT 5, 3.8.3.1", "the Maximum QoS of a Topic Filter is 3; it may be 0, 1 or 2")
	case s.RetainHandling > 2:
		return violation("MQTT 5, 3.8.3.1", "the Retain Handling of a Topic Filter is 3; it may be 0, 1 or 2")
	case s.NoLocal && strings.HasPrefix(s.Filter, sharePrefix):
		return violation("MQTT-3.8.3-4", "a Shared Subscription has the No Local option")
	}
	return nil
}

func (s *Subscription) options() byte {
	b := byte(s.QoS) | s.RetainHandling<<retainHandlingShift
	if s.NoLocal {
		b |= optionNoLocal
	}
	if s.RetainAsPublished {
		b |= optionRetainAsPub
	}
	return b
}

func (s *Subscription) check(v Version) error {
	switch {
	case s.QoS > 2:
		return unwritable(SUBSCRIBE, "the Maximum QoS of a Topic Filter is %d [MQTT 5, 3.8.3.1]", s.QoS)
	case s.RetainHandling > 2:
		return unwritable(SUBSCRIBE, "the Retain Handling of a Topic Filter is %d [MQTT 5, 3.8.3.1]", s.RetainHandling)
	case s.NoLocal && strings.HasPrefix(s.Filter, sharePrefix):
		return unwritable(SUBSCRIBE, "No Local on a Shared Subscription [MQTT-3.8.3-4]")
	case v == V311 && (s.NoLocal || s.RetainAsPublished || s.RetainHandling != 0):
		return notInVersion(SUBSCRIBE, "No Local, Retain As Published and Retain Handling")
	}
	return checkFilter(SUBSCRIBE, s.Filter)
}

func (p *Subscribe) layout(v Version) (l layout, err error) {
	if p.ID == 0 {
		return l, unwritable(SUBSCRIBE, "Packet Identifier 0 [MQTT-2.2.1-3]")
	}
	if len(p.Subscriptions) == 0 {
		return l, unwritable(SUBSCRIBE, "no Topic Filter [MQTT-3.8.3-2]")
	}
	l.body = 2
	for i := range p.Subscriptions {
		if err := p.Subscriptions[i].check(v); err != nil {
			return l, err
		}
		l.body += 2 + len(p.Subscriptions[i].Filter) + 1
	}
	if v == V5 {
		err = l.addProperties(&p.Properties, SUBSCRIBE)
	}
	return l, err
}

func (p *Subscribe) appendBody(dst []byte, l layout, v Version) []byte {
	dst = appendUint16(dst, uint16(p.ID))
	if v == V5 {
		dst = p.Properties.append(dst, l.props)
	}
	for i := range p.Subscriptions {
		dst = appendText(dst, p.Subscriptions[i].Filter)
		dst = append(dst, p.Subscriptions[i].options())
	}
	return dst
}

func (p *Unsubscribe) decode(c *cursor, _ Header) (err error) {
	if p.ID, err = c.id(); err != nil {
		return err
	}
	if c.v == V5 {
		if err := p.Properties.decode(c, place(UNSUBSCRIBE)); err != nil {
			return err
		}
	}
	if len(c.b) == 0 {
		return violation(c.clause("MQTT-3.10.3-2", "3.1.1 MQTT-3.10.3-2"), "UNSUBSCRIBE has no Topic Filter; it needs at least one")
	}
	for len(c.b) > 0 {
		filter, err := c.filter()
		if err != nil {
			return err
		}
		p.Filters = append(p.Filters, filter)
	}
	return nil
}

func (p *Unsubscribe) layout(v Version) (l layout, err error) {
	if p.ID == 0 {
		return l, unwritable(UNSUBSCRIBE, "Packet Identifier 0 [MQTT-2.2.1-3]")
	}
	if len(p.Filters) == 0 {
		return l, unwritable(UNSUBSCRIBE, "no Topic Filter [MQTT-3.10.3-2]")
	}
	l.body = 2
	for _, filter := range p.Filters {
		if err := checkFilter(UNSUBSCRIBE, filter); err != nil {
			return l, err
		}
		l.body += 2 + len(filter)
	}
	if v == V5 {
		err = l.addProperties(&p.Properties, UNSUBSCRIBE)
	}
	return l, err
}

func (p *Unsubscribe) appendBody(dst []byte, l layout, v Version) []byte {
	dst = appendUint16(dst, uint16(p.ID))
	if v == V5 {
		dst = p.Properties.append(dst, l.props)
	}
	for _, filter := range p.Filters {
		dst = appendText(dst, filter)
	}
	return dst
}
