package packet

func (p *Suback) decode(c *cursor, _ Header) (err error) {
	if p.ID, err = c.id(); err != nil {
		return err
	}
	if c.v == V5 {
		if err := p.Properties.decode(c, place(SUBACK)); err != nil {
			return err
		}
	}
	p.Reasons, err = c.reasons()
	return err
}

// reasons reads the list of reason codes at the end of SUBACK and UNSUBACK. There is one for each filter, so at least one.
func (c *cursor) reasons() ([]ReasonCode, error) {
	if len(c.b) == 0 {
		return nil, violation(c.clause(listClause(c.pkt), "3.1.1 MQTT-3.8.4-5"), "%s has no Reason Code; it needs one for each filter", c.pkt)
	}
	list := make([]ReasonCode, 0, len(c.b))
	for len(c.b) > 0 {
		r, err := c.listReason()
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// listReason reads one entry. 3.1.1 has four of them in SUBACK and no list in UNSUBACK.
func (c *cursor) listReason() (ReasonCode, error) {
	if c.v == V5 {
		return c.reason()
	}
	b, err := c.uint8("the return code")
	if err == nil && b > 2 && b != byte(UnspecifiedError) {
		err = violation("3.1.1 MQTT-3.9.3-2", "SUBACK has return code 0x%02X; it may be 0, 1, 2 or 0x80", b)
	}
	return ReasonCode(b), err
}

// listClause is the statement that demands a reason code for each filter.
func listClause(t Type) string {
	if t == UNSUBACK {
		return "MQTT 5, 3.11.3"
	}
	return "MQTT-3.8.4-6"
}

func (p *Suback) layout(v Version) (l layout, err error) {
	if l.body, err = listSize(SUBACK, p.ID, p.Reasons); err != nil {
		return l, err
	}
	if v == V5 {
		err = l.addProperties(&p.Properties, SUBACK)
	}
	return l, err
}

func listSize(t Type, id ID, reasons []ReasonCode) (int, error) {
	if id == 0 {
		return 0, unwritable(t, "Packet Identifier 0 [MQTT-2.2.1-3]")
	}
	if len(reasons) == 0 {
		return 0, unwritable(t, "no Reason Code [%s]", listClause(t))
	}
	for _, r := range reasons {
		if err := checkReason(t, r); err != nil {
			return 0, err
		}
	}
	return 2 + len(reasons), nil
}

// appendBody writes each failure as 0x80 in 3.1.1, which has no other (MQTT 3.1.1, 3.9.3).
func (p *Suback) appendBody(dst []byte, l layout, v Version) []byte {
	dst = appendUint16(dst, uint16(p.ID))
	if v == V5 {
		dst = p.Properties.append(dst, l.props)
	}
	for _, r := range p.Reasons {
		if v == V311 && r.Failed() {
			r = UnspecifiedError
		}
		dst = append(dst, byte(r))
	}
	return dst
}

func (p *Unsuback) decode(c *cursor, _ Header) (err error) {
	if p.ID, err = c.id(); err != nil || c.v == V311 {
		return err
	}
	if err := p.Properties.decode(c, place(UNSUBACK)); err != nil {
		return err
	}
	p.Reasons, err = c.reasons()
	return err
}

// layout leaves the reasons out in 3.1.1: its UNSUBACK has no payload and is sent whatever the outcome [3.1.1 MQTT-3.10.4-5].
func (p *Unsuback) layout(v Version) (l layout, err error) {
	if v == V311 {
		if p.ID == 0 {
			return l, unwritable(UNSUBACK, "Packet Identifier 0 [MQTT-2.2.1-3]")
		}
		l.body = 2
		return l, nil
	}
	if l.body, err = listSize(UNSUBACK, p.ID, p.Reasons); err != nil {
		return l, err
	}
	return l, l.addProperties(&p.Properties, UNSUBACK)
}

func (p *Unsuback) appendBody(dst []byte, l layout, v Version) []byte {
	dst = appendUint16(dst, uint16(p.ID))
	if v == V311 {
		return dst
	}
	dst = p.Properties.append(dst, l.props)
	for _, r := range p.Reasons {
		dst = append(dst, byte(r))
	}
	return dst
}
