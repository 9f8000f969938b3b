package sim

import (
	"fmt"

	"sluice/mqtt/packet"
)

// packetText is a packet in one line.
func packetText(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connect:
		return fmt.Sprintf("CONNECT %s version=%d clean=%t", p.ClientID, p.Version, p.CleanStart)
	case *packet.Connack:
		return fmt.Sprintf("CONNACK present=%t 0x%02X", p.SessionPresent, byte(p.Reason))
	case *packet.Publish:
		return fmt.Sprintf("PUBLISH %d qos=%d dup=%t retain=%t %s %s", p.ID, p.QoS, p.Dup, p.Retain, p.Topic, p.Payload)
	case *packet.Ack:
		return fmt.Sprintf("%s %d 0x%02X", ackNames[p.Kind-packet.PUBACK], p.ID, byte(p.Reason))
	case *packet.Subscribe:
		return fmt.Sprintf("SUBSCRIBE %d %v", p.ID, p.Subscriptions)
	case *packet.Suback:
		return fmt.Sprintf("SUBACK %d %v", p.ID, p.Reasons)
	case *packet.Unsubscribe:
		return fmt.Sprintf("UNSUBSCRIBE %d %v", p.ID, p.Filters)
	case *packet.Unsuback:
		return fmt.Sprintf("UNSUBACK %d", p.ID)
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT 0x%02X", byte(p.Reason))
	case *packet.Pingreq:
		return "PINGREQ"
	case *packet.Pingresp:
		return "PINGRESP"
	}
	return fmt.Sprintf("%T", p)
}

var ackNames = [...]string{"PUBACK", "PUBREC", "PUBREL", "PUBCOMP"}
