package packet

import "errors"

// Decode decodes the body of one packet: the h.Length bytes behind the fixed header h. v is the version of the connection;
// a CONNECT says its own, and v does not count. Every refusal is an *Error.
//
// The packet shares memory with body (invariant I5).
func Decode(h Header, body []byte, v Version) (Packet, error) {
	switch h.Type {
	case CONNECT:
		return decoded(new(Connect), h, body, v)
	case CONNACK:
		return decoded(new(Connack), h, body, v)
	case PUBLISH:
		return decoded(new(Publish), h, body, v)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return decoded(new(Ack), h, body, v)
	case SUBSCRIBE:
		return decoded(new(Subscribe), h, body, v)
	case SUBACK:
		return decoded(new(Suback), h, body, v)
	case UNSUBSCRIBE:
		return decoded(new(Unsubscribe), h, body, v)
	case UNSUBACK:
		return decoded(new(Unsuback), h, body, v)
	case PINGREQ:
		return decoded(new(Pingreq), h, body, v)
	case PINGRESP:
		return decoded(new(Pingresp), h, body, v)
	case DISCONNECT:
		return decoded(new(Disconnect), h, body, v)
	case AUTH:
		return decoded(new(Auth), h, body, v)
	}
	return nil, h.checkFlags()
}

// decodable is a packet that starts empty and reads itself from a cursor.
type decodable interface {
	Packet
	decode(c *cursor, h Header) error
}

func decoded(p decodable, h Header, body []byte, v Version) (Packet, error) {
	c, err := open(h, body, v)
	if err != nil {
		return nil, err
	}
	if err := p.decode(&c, h); err != nil {
		return nil, answerIn(err, c)
	}
	if err := c.end(); err != nil {
		return nil, answerIn(err, c)
	}
	return p, nil
}

// Decode decodes a PUBLISH into p, which is overwritten. The memory of its User Properties and Subscription Identifiers is
// used again, so that a caller who keeps one Publish decodes without allocating. After an error p holds nothing of use.
//
// p shares memory with body (invariant I5).
func (p *Publish) Decode(h Header, body []byte, v Version) error {
	c, err := open(h, body, v)
	if err != nil {
		return err
	}
	if h.Type != PUBLISH {
		return malformed("MQTT 5, 2.1.2", "%s is not a PUBLISH", h.Type)
	}
	p.Properties.Reset()
	return p.decode(&c, h)
}

// open checks what holds for each packet before its first field is read.
func open(h Header, body []byte, v Version) (cursor, error) {
	if err := h.checkFlags(); err != nil {
		return cursor{}, err
	}
	if h.Length != len(body) {
		return cursor{}, malformed("MQTT 5, 2.1.4", "%s announces %d bytes and has %d", h.Type, h.Length, len(body))
	}
	c := cursor{b: body, pkt: h.Type, v: v}
	switch {
	case h.Type == CONNECT:
		c.v = 0 // its own level is yet to be read
	case v != V311 && v != V5:
		return cursor{}, violation("MQTT-3.1.0-1", "%s came before a CONNECT had said the version of MQTT", h.Type)
	}
	return c, nil
}

// answerIn notes in what version a refused CONNECT is to be answered.
func answerIn(err error, c cursor) error {
	if e := (*Error)(nil); c.pkt == CONNECT && errors.As(err, &e) && e.Version == 0 {
		e.Version = c.v
	}
	return err
}
