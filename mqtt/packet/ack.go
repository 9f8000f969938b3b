package packet

// isAck reports whether t is one of the four packets that an Ack can be.
func isAck(t Type) bool { return PUBACK <= t && t <= PUBCOMP }

func (p *Ack) decode(c *cursor, h Header) (err error) {
	p.Kind = h.Type
	if p.ID, err = c.id(); err != nil {
		return err
	}
	// Two bytes say Success, three a reason without properties (MQTT 5, 3.4.2.1 and 3.4.2.2.1).
	if c.v == V311 || len(c.b) == 0 {
		return nil
	}
	if p.Reason, err = c.reason(); err != nil || len(c.b) == 0 {
		return err
	}
	var props Properties
	if err := props.decode(c, place(p.Kind)); err != nil || props.Empty() {
		return err
	}
	p.Properties = &props
	return nil
}

func (p *Ack) layout(v Version) (l layout, err error) {
	if !isAck(p.Kind) {
		return l, unwritable(p.Kind, "it is not one of the acknowledgements that an Ack can be")
	}
	if p.ID == 0 {
		return l, unwritable(p.Kind, "Packet Identifier 0 [MQTT-2.2.1-3]")
	}
	if err := checkReason(p.Kind, p.Reason); err != nil {
		return l, err
	}
	l.body = 2
	if v == V311 {
		// Without its reason a refusal would read as an acceptance. PUBREL and PUBCOMP accept nothing.
		if p.Reason.Failed() && (p.Kind == PUBACK || p.Kind == PUBREC) {
			return l, notInVersion(p.Kind, "there is no negative %s, and the reason is 0x%02X", p.Kind, byte(p.Reason))
		}
		return l, nil
	}
	return l, l.addReason(p.Reason, p.Properties, p.Kind)
}

func (p *Ack) appendBody(dst []byte, l layout, _ Version) []byte {
	return l.appendReason(appendUint16(dst, uint16(p.ID)), p.Reason, p.Properties)
}
