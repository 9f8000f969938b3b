package packet

func (p *Connack) decode(c *cursor, _ Header) error {
	flags, err := c.uint8("the Connect Acknowledge Flags")
	if err != nil {
		return err
	}
	if flags > 1 {
		return malformed(c.clause("MQTT-3.2.2-1", "MQTT 3.1.1, 3.2.2.1"), "the reserved bits of the Connect Acknowledge Flags are not 0")
	}
	p.SessionPresent = flags == 1
	if c.v == V311 {
		err = p.decodeReturnCode(c)
	} else if p.Reason, err = c.reason(); err == nil {
		err = p.Properties.decode(c, place(CONNACK))
	}
	if err != nil {
		return err
	}
	if p.SessionPresent && p.Reason != Success {
		return violation(c.clause("MQTT-3.2.2-6", "3.1.1 MQTT-3.2.2-4"), "CONNACK refuses and says Session Present")
	}
	return nil
}

func (p *Connack) decodeReturnCode(c *cursor) error {
	code, err := c.uint8("the Connect Return code")
	if err != nil {
		return err
	}
	if int(code) >= len(connackReasons) {
		return violation("MQTT 3.1.1, 3.2.2.3", "the Connect Return code is %d; 6 to 255 are reserved", code)
	}
	p.Reason = connackReasons[code]
	return nil
}

func (p *Connack) layout(v Version) (l layout, err error) {
	if err := checkReason(CONNACK, p.Reason); err != nil {
		return l, err
	}
	if p.SessionPresent && p.Reason != Success {
		return l, unwritable(CONNACK, "Session Present with a refusal [MQTT-3.2.2-6]")
	}
	l.body = 2
	if v == V5 {
		err = l.addProperties(&p.Properties, CONNACK)
	}
	return l, err
}

func (p *Connack) appendBody(dst []byte, l layout, v Version) []byte {
	dst = append(dst, oneIf(p.SessionPresent))
	if v == V311 {
		return append(dst, p.Reason.ConnackReturnCode())
	}
	return p.Properties.append(append(dst, byte(p.Reason)), l.props)
}
