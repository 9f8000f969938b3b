package packet

func (p *Auth) decode(c *cursor, _ Header) (err error) {
	if c.v == V311 {
		return malformed("MQTT 3.1.1, 2.2.1", "packet type 15 (AUTH) does not exist in MQTT 3.1.1")
	}
	// No byte says Success without properties. Unlike DISCONNECT, a reason alone has no short form (MQTT 5, 3.15.2).
	if len(c.b) == 0 {
		return nil
	}
	if p.Reason, err = c.reason(); err != nil {
		return err
	}
	if err := p.Properties.decode(c, place(AUTH)); err != nil {
		return err
	}
	if !p.Properties.Has(PropAuthMethod) {
		return violation("MQTT 5, 3.15.2.2.2", "AUTH has no Authentication Method")
	}
	return nil
}

func (p *Auth) layout(v Version) (l layout, err error) {
	if v == V311 {
		return l, notInVersion(AUTH, "there is no such packet")
	}
	if err := checkReason(AUTH, p.Reason); err != nil {
		return l, err
	}
	if p.Reason == Success && p.Properties.Empty() {
		return l, nil
	}
	if !p.Properties.Has(PropAuthMethod) {
		return l, unwritable(AUTH, "it has no Authentication Method [MQTT 5, 3.15.2.2.2]")
	}
	return l, l.addReason(p.Reason, &p.Properties, AUTH)
}

func (p *Auth) appendBody(dst []byte, l layout, _ Version) []byte {
	return l.appendReason(dst, p.Reason, &p.Properties)
}
