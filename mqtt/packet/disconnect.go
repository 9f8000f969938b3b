package packet

func (p *Disconnect) decode(c *cursor, _ Header) (err error) {
	// No byte says Normal disconnection, one byte a reason without properties (MQTT 5, 3.14.2.1 and 3.14.2.2.1).
	if c.v == V311 || len(c.b) == 0 {
		return nil
	}
	if p.Reason, err = c.reason(); err != nil || len(c.b) == 0 {
		return err
	}
	return p.Properties.decode(c, place(DISCONNECT))
}

// layout writes a DISCONNECT without a reason in 3.1.1: it is how a client takes its leave. A reason there would be a
// server's, and a 3.1.1 server only closes the connection (MQTT 3.1.1, 3.14).
func (p *Disconnect) layout(v Version) (l layout, err error) {
	if err := checkReason(DISCONNECT, p.Reason); err != nil {
		return l, err
	}
	if v == V311 {
		if p.Reason != Success {
			return l, notInVersion(DISCONNECT, "it has no reason, and this one is 0x%02X", byte(p.Reason))
		}
		return l, nil
	}
	return l, l.addReason(p.Reason, &p.Properties, DISCONNECT)
}

func (p *Disconnect) appendBody(dst []byte, l layout, _ Version) []byte {
	return l.appendReason(dst, p.Reason, &p.Properties)
}
