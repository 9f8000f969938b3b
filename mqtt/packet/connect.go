package packet

// The bits of the Connect Flags (MQTT 5, 3.1.2.3).
const (
	flagReserved    = 0x01
	flagCleanStart  = 0x02
	flagWill        = 0x04
	flagWillQoS     = 0x18
	flagWillRetain  = 0x20
	flagPassword    = 0x40
	flagUsername    = 0x80
	willQoSShift    = 3
	connectNameSize = 2 + len(protocolName)
)

const (
	protocolName    = "MQTT"
	protocolName310 = "MQIsdp" // MQTT 3.1
)

func (p *Connect) decode(c *cursor, _ Header) error {
	if err := p.decodeVersion(c); err != nil {
		return err
	}
	flags, err := c.uint8("the Connect Flags")
	if err != nil {
		return err
	}
	if err := checkConnectFlags(c, flags); err != nil {
		return err
	}
	p.CleanStart = flags&flagCleanStart != 0
	p.HasUsername = flags&flagUsername != 0
	p.HasPassword = flags&flagPassword != 0
	if p.KeepAlive, err = c.uint16("the Keep Alive"); err != nil {
		return err
	}
	if p.Version == V5 {
		if err := p.Properties.decode(c, place(CONNECT)); err != nil {
			return err
		}
	}
	if p.ClientID, err = c.text("the Client Identifier"); err != nil {
		return err
	}
	if flags&flagWill != 0 {
		p.Will = &Will{QoS: QoS(flags & flagWillQoS >> willQoSShift), Retain: flags&flagWillRetain != 0}
		if err := p.Will.decode(c); err != nil {
			return err
		}
	}
	return p.decodeCredentials(c)
}

// decodeVersion reads Protocol Name and Protocol Version. Both come first and never move, in whatever version, so that a
// server can tell a client of another version so [MQTT-3.1.2-1, MQTT-3.1.2-2].
func (p *Connect) decodeVersion(c *cursor) error {
	name, err := c.text("the Protocol Name")
	if err != nil {
		return err
	}
	if name != protocolName && name != protocolName310 {
		return refuse(UnsupportedProtocolVersion, "MQTT-3.1.2-1", `the Protocol Name of CONNECT is not "MQTT"`)
	}
	level, err := c.uint8("the Protocol Version")
	if err != nil {
		return err
	}
	p.Version = Version(level)
	if name == protocolName310 || p.Version != V311 && p.Version != V5 {
		answer := V5
		if level < byte(V311) || name == protocolName310 {
			answer = V311
		}
		return &Error{
			Reason: UnsupportedProtocolVersion, Clause: "MQTT-3.1.2-2", Version: answer,
			Detail: "CONNECT asks for " + p.Version.String() + "; 3.1.1 (level 4) and 5.0 (level 5) are spoken here",
		}
	}
	c.v = p.Version
	return nil
}

func checkConnectFlags(c *cursor, flags byte) error {
	willQoS := flags & flagWillQoS >> willQoSShift
	switch {
	case flags&flagReserved != 0:
		return malformed(c.clause("MQTT-3.1.2-3", "3.1.1 MQTT-3.1.2-3"), "the reserved bit of the Connect Flags is 1")
	case willQoS > 2:
		return malformed(c.clause("MQTT-3.1.2-12", "3.1.1 MQTT-3.1.2-14"), "the Will QoS is 3; it may be 0, 1 or 2")
	case flags&flagWill == 0 && willQoS != 0:
		return malformed(c.clause("MQTT-3.1.2-11", "3.1.1 MQTT-3.1.2-13"), "the Will QoS is %d without a Will", willQoS)
	case flags&flagWill == 0 && flags&flagWillRetain != 0:
		return malformed(c.clause("MQTT-3.1.2-13", "3.1.1 MQTT-3.1.2-15"), "Will Retain is 1 without a Will")
	case c.v == V311 && flags&flagPassword != 0 && flags&flagUsername == 0:
		return malformed("3.1.1 MQTT-3.1.2-22", "CONNECT has a Password without a User Name, which only MQTT 5 allows")
	}
	return nil
}

func (w *Will) decode(c *cursor) error {
	if c.v == V5 {
		if err := w.Properties.decode(c, placeWill); err != nil {
			return err
		}
	}
	var err error
	if w.Topic, err = c.text("the Will Topic"); err != nil {
		return err
	}
	if w.Topic == "" {
		return refuse(TopicNameInvalid, c.clause("MQTT-4.7.3-1", "3.1.1 MQTT-4.7.3-1"), "the Will Topic is empty")
	}
	if err := checkTopicName(c, "the Will Topic", w.Topic); err != nil {
		return err
	}
	w.Payload, err = c.binary("the Will Payload")
	return err
}

func (p *Connect) decodeCredentials(c *cursor) (err error) {
	if p.HasUsername {
		if p.Username, err = c.text("the User Name"); err != nil {
			return err
		}
	}
	if p.HasPassword {
		p.Password, err = c.binary("the Password")
	}
	return err
}

func (p *Connect) flags() byte {
	var flags byte
	if p.CleanStart {
		flags |= flagCleanStart
	}
	if p.Will != nil {
		flags |= flagWill | byte(p.Will.QoS)<<willQoSShift
		if p.Will.Retain {
			flags |= flagWillRetain
		}
	}
	if p.HasPassword {
		flags |= flagPassword
	}
	if p.HasUsername {
		flags |= flagUsername
	}
	return flags
}

func (p *Connect) layout(Version) (l layout, err error) {
	if p.Version != V311 && p.Version != V5 {
		return l, unwritable(CONNECT, "its Version is %d; it may be 4 (3.1.1) or 5", byte(p.Version))
	}
	if err := checkText(CONNECT, "the Client Identifier", p.ClientID); err != nil {
		return l, err
	}
	l.body = connectNameSize + 1 + 1 + 2 + 2 + len(p.ClientID)
	if p.Version == V5 {
		if l.props, err = p.Properties.size(CONNECT, place(CONNECT)); err != nil {
			return l, err
		}
		l.body += varintSize(uint32(l.props)) + l.props
	}
	if p.Will != nil {
		if err := p.Will.layout(p.Version, &l); err != nil {
			return l, err
		}
	}
	return l, p.layoutCredentials(&l)
}

func (w *Will) layout(v Version, l *layout) (err error) {
	if w.QoS > 2 {
		return unwritable(CONNECT, "the Will QoS is %d [MQTT-3.1.2-12]", w.QoS)
	}
	if err := checkWritableTopic(CONNECT, "the Will Topic", w.Topic); err != nil {
		return err
	}
	if err := checkBinary(CONNECT, "the Will Payload", w.Payload); err != nil {
		return err
	}
	if v == V5 {
		if l.will, err = w.Properties.size(CONNECT, placeWill); err != nil {
			return err
		}
		l.body += varintSize(uint32(l.will)) + l.will
	}
	l.body += 2 + len(w.Topic) + 2 + len(w.Payload)
	return nil
}

func (p *Connect) layoutCredentials(l *layout) error {
	if p.HasUsername {
		if err := checkText(CONNECT, "the User Name", p.Username); err != nil {
			return err
		}
		l.body += 2 + len(p.Username)
	}
	if p.HasPassword {
		if p.Version == V311 && !p.HasUsername {
			return notInVersion(CONNECT, "a Password without a User Name [3.1.1 MQTT-3.1.2-22]")
		}
		if err := checkBinary(CONNECT, "the Password", p.Password); err != nil {
			return err
		}
		l.body += 2 + len(p.Password)
	}
	return nil
}

func (p *Connect) appendBody(dst []byte, l layout, _ Version) []byte {
	dst = appendText(dst, protocolName)
	dst = append(dst, byte(p.Version), p.flags())
	dst = appendUint16(dst, p.KeepAlive)
	if p.Version == V5 {
		dst = p.Properties.append(dst, l.props)
	}
	dst = appendText(dst, p.ClientID)
	if p.Will != nil {
		if p.Version == V5 {
			dst = p.Will.Properties.append(dst, l.will)
		}
		dst = appendText(dst, p.Will.Topic)
		dst = appendBinary(dst, p.Will.Payload)
	}
	if p.HasUsername {
		dst = appendText(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendBinary(dst, p.Password)
	}
	return dst
}
