package records

import (
	"errors"

	"sluice/mqtt/packet"
)

// EncodePublish is an application message as the store keeps it, of a Will or a retained message: an MQTT 5 PUBLISH packet, a form that is specified,
// versioned and complete.
func EncodePublish(p *packet.Publish) ([]byte, error) {
	c := *p
	c.Dup = false
	c.Properties.Clear(packet.PropTopicAlias)
	if c.QoS > 0 {
		c.ID = 1 // the form wants one; it means nothing
	}
	return packet.Append(nil, &c, packet.V5)
}

// DecodePublish is the reverse. The packet shares memory with b.
func DecodePublish(b []byte) (*packet.Publish, error) {
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if n == 0 || h.Type != packet.PUBLISH || len(b) != n+h.Length {
		return nil, errors.New("what is stored is not one PUBLISH packet")
	}
	p := &packet.Publish{}
	if err := p.Decode(h, b[n:], packet.V5); err != nil {
		return nil, err
	}
	return p, nil
}
