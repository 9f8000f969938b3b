package session

import "sluice/mqtt/packet"

// send gives a packet to the device. A Reason String that would make it too large is left out [MQTT-3.2.2-19, MQTT-3.4.2-2,
// MQTT-3.5.2-2, MQTT-3.14.2-3], then the User Properties [MQTT-3.2.2-20, MQTT-3.4.2-3, MQTT-3.5.2-3, MQTT-3.14.2-4], then a Server Reference.
func (m *Machine) send(p packet.Packet) {
	if !m.fit(p) {
		m.cannotSend(p)
		return
	}
	m.emit(SendPacket{Packet: p})
}

// fit leaves out what send says, and is false for a packet that is too large even so.
func (m *Machine) fit(p packet.Packet) bool {
	if props := propertiesOf(p); props != nil && m.tooLarge(p) {
		props.Clear(packet.PropReasonString)
		if m.tooLarge(p) {
			props.User = nil
		}
		if m.tooLarge(p) {
			props.Clear(packet.PropServerReference)
		}
	}
	return !m.tooLarge(p)
}

// cannotSend: an answer is larger than anything the device takes [MQTT-3.1.2-24]. A device that cannot be answered is not served.
func (m *Machine) cannotSend(p packet.Packet) {
	const text = "the answer is larger than the device's Maximum Packet Size"
	switch p := p.(type) {
	case *packet.Disconnect:
		return // the connection is closed without
	case *packet.Connack:
		if p.Reason == packet.Success {
			m.ending.noWill = true // the device does not know of a connection
			m.explain(Failure{Reason: packet.PacketTooLarge, Clause: "MQTT-3.1.2-24", Text: text})
			m.shut(CloseConnection{Reason: packet.PacketTooLarge, Text: text})
		}
		return
	}
	m.fail(packet.PacketTooLarge, "MQTT-3.1.2-24", text)
}

// propertiesOf are the properties of the packets we give a Reason String.
func propertiesOf(p packet.Packet) *packet.Properties {
	switch p := p.(type) {
	case *packet.Ack:
		return p.Properties
	case *packet.Connack:
		return &p.Properties
	case *packet.Disconnect:
		return &p.Properties
	case *packet.Suback:
		return &p.Properties
	case *packet.Unsuback:
		return &p.Properties
	}
	return nil
}

// writable gives the verdict on a PUBLISH that cannot be sent: the bus brings what no MQTT device could have published.
func (m *Machine) writable(p packet.Packet) (verdict, bool) {
	n, err := packet.Size(p, m.conn.version)
	if err != nil {
		return rejected(NoPacket, packet.ImplementationSpecificError, err.Error()), false
	}
	if m.conn.maxPacket > 0 && uint64(n) > uint64(m.conn.maxPacket) {
		return rejectedTooLarge, false
	}
	return verdict{}, true
}

// tooLarge reports whether the device takes no packet of this size [MQTT-3.1.2-24]. A packet that cannot be written at all counts as
// too large.
func (m *Machine) tooLarge(p packet.Packet) bool {
	if m.conn.maxPacket == 0 {
		return false
	}
	n, err := packet.Size(p, m.conn.version)
	return err != nil || uint64(n) > uint64(m.conn.maxPacket)
}

// sendAck sends PUBACK, PUBREC, PUBREL or PUBCOMP. 3.1.1 has no reasons; a device that does not want them gets no Reason String
// and no User Properties either [MQTT-3.1.2-29].
func (m *Machine) sendAck(kind packet.Type, id packet.ID, reason packet.ReasonCode, x Explanation) {
	a := &packet.Ack{Kind: kind, ID: id}
	if m.v5() {
		a.Reason = reason
		if !reason.LegalIn(kind) {
			a.Reason = packet.ImplementationSpecificError
			if !reason.Failed() {
				a.Reason = packet.Success
			}
		}
		if !m.conn.quiet && (x.Text != "" || len(x.User) > 0) {
			a.Properties = &packet.Properties{}
			m.describe(a.Properties, x)
		}
	}
	m.send(a)
}

// describe adds what is told beside the reason code, for a device that wants it [MQTT-3.1.2-29].
func (m *Machine) describe(p *packet.Properties, x Explanation) {
	if m.conn.quiet {
		return
	}
	if x.Text != "" {
		p.SetReasonString(x.Text)
	}
	p.User = x.User
}
