package mqtttest

import (
	"fmt"

	"sluice/mqtt/packet"
)

// Subscribe asks for one filter and returns what SUBACK says of it. Messages that come before are set aside.
func (d *Device) Subscribe(filter string, qos packet.QoS) packet.ReasonCode {
	d.t.Helper()
	id := d.NextID()
	d.Send(&packet.Subscribe{ID: id, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}})
	p := d.await(fmt.Sprintf("SUBACK %d", id), func(p packet.Packet) bool {
		suback, ok := p.(*packet.Suback)
		return ok && suback.ID == id
	})
	reasons := p.(*packet.Suback).Reasons
	if len(reasons) != 1 {
		d.t.Fatalf("device: SUBACK %d has %d reasons for one filter", id, len(reasons))
	}
	return reasons[0]
}

// Publish sends a message and sees its exchange through: PUBACK at QoS 1, PUBREC, PUBREL and PUBCOMP at QoS 2. It returns the
// reason of PUBACK or PUBREC. Packets that come in between are set aside.
func (d *Device) Publish(topic string, payload []byte, qos packet.QoS) packet.ReasonCode {
	d.t.Helper()
	p := &packet.Publish{Topic: topic, Payload: payload, QoS: qos}
	if qos > 0 {
		p.ID = d.NextID()
	}
	d.Send(p)
	switch qos {
	case 0:
		return packet.Success
	case 1:
		return d.awaitAck(packet.PUBACK, p.ID).Reason
	}
	reason := d.awaitAck(packet.PUBREC, p.ID).Reason
	if !reason.Failed() {
		d.Send(&packet.Ack{Kind: packet.PUBREL, ID: p.ID})
		d.awaitAck(packet.PUBCOMP, p.ID)
	}
	return reason
}

// Collect receives n messages, acknowledges each as its QoS asks, and returns them once all their exchanges are complete. A
// QoS 2 message that is sent again within its exchange counts once. Other packets are set aside.
func (d *Device) Collect(n int) []*packet.Publish {
	d.t.Helper()
	var got []*packet.Publish
	var others []packet.Packet
	open := map[packet.ID]bool{} // QoS 2, PUBREC sent, PUBREL awaited
	for len(got) < n || len(open) > 0 {
		p := d.next(fmt.Sprintf("message %d of %d (%d exchanges of QoS 2 are open)", len(got)+1, n, len(open)))
		switch p := p.(type) {
		case *packet.Publish:
			again := p.QoS == 2 && open[p.ID]
			if len(got) == n && !again {
				others = append(others, p)
				continue
			}
			if !again {
				got = append(got, p)
			}
			d.acknowledge(p, open)
		case *packet.Ack:
			if p.Kind != packet.PUBREL {
				others = append(others, p)
				continue
			}
			delete(open, p.ID)
			d.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
		case *packet.Disconnect:
			d.t.Fatalf("device: expected %d messages, got %s after %d", n, Describe(p), len(got))
		default:
			others = append(others, p)
		}
	}
	d.aside = append(others, d.aside...)
	return got
}

func (d *Device) acknowledge(p *packet.Publish, open map[packet.ID]bool) {
	d.t.Helper()
	switch p.QoS {
	case 1:
		d.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case 2:
		d.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
		open[p.ID] = true
	}
}

// Describe is a packet in a few words, with the reason if it has one.
func Describe(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connack:
		return describeReason("CONNACK", p.Reason, &p.Properties)
	case *packet.Publish:
		return fmt.Sprintf("PUBLISH %d to %q, QoS %d, DUP %t, RETAIN %t, %d bytes", p.ID, p.Topic, p.QoS, p.Dup, p.Retain,
			len(p.Payload))
	case *packet.Ack:
		return describeReason(fmt.Sprintf("%s %d", p.Kind, p.ID), p.Reason, p.Properties)
	case *packet.Suback:
		return fmt.Sprintf("SUBACK %d with %v", p.ID, p.Reasons)
	case *packet.Unsuback:
		return fmt.Sprintf("UNSUBACK %d with %v", p.ID, p.Reasons)
	case *packet.Disconnect:
		return describeReason("DISCONNECT", p.Reason, &p.Properties)
	case *packet.Auth:
		return describeReason("AUTH", p.Reason, &p.Properties)
	}
	return p.Type().String()
}

func describeReason(what string, r packet.ReasonCode, p *packet.Properties) string {
	what = fmt.Sprintf("%s, reason 0x%02X %s", what, byte(r), r)
	if p.Has(packet.PropReasonString) {
		what += fmt.Sprintf(" (%q)", p.ReasonString)
	}
	return what
}
