package session

import (
	"fmt"
	"strings"
	"time"

	"sluice/mqtt/packet"
)

// line builds "word key=value ...".
type line struct{ strings.Builder }

func newLine(word string) *line {
	l := &line{}
	l.WriteString(word)
	return l
}

func (l *line) add(format string, args ...any) { fmt.Fprintf(l, " "+format, args...) }

func (l *line) when(on bool, format string, args ...any) {
	if on {
		l.add(format, args...)
	}
}

func formatToken(t uint64) string { return fmt.Sprintf("%dq%d", t>>2, t&3) }

func code(r packet.ReasonCode) string { return fmt.Sprintf("0x%02X", byte(r)) }

func formatEffect(e Effect, start time.Time) string {
	l := newLine(strings.TrimPrefix(fmt.Sprintf("%T", e), "session."))
	switch e := e.(type) {
	case SendPacket:
		return "> " + formatPacket(e.Packet)
	case Authenticate:
		l.add("%s", e.Method)
		l.when(e.Data != nil, "data=%s", e.Data)
		l.when(e.Start, "start")
		l.when(e.Again, "again")
	case OpenSession:
		l.add("id=%s expiry=%d", e.ClientID, e.Expiry)
		l.when(e.Connect.CleanStart, "clean")
	case Publish:
		l.add("%s id=%s %s", formatToken(e.Token), e.MessageID, formatPublish(e.Packet))
		l.when(e.Duplicate, "duplicate")
	case Subscribe:
		l.add("%d", e.ID)
		for i, s := range e.Subscriptions {
			l.add("%s", formatSubscription(s))
			l.when(e.Retained == nil || !e.Retained[i], "(no retained)")
		}
		l.when(e.SubID != 0, "subid=%d", e.SubID)
	case Unsubscribe:
		l.add("%d %s", e.ID, strings.Join(e.Filters, " "))
	case Store:
		l.add("%d", e.ID)
		for _, op := range e.Ops {
			l.add("%s", formatOp(op))
		}
	case Settle:
		l.add("%d %s", e.Delivery, [...]string{"?", "accepted", "rejected", "released"}[e.Outcome])
		l.when(e.Reason != 0, "%s", code(e.Reason))
		l.when(e.Text != "", "%q", e.Text)
		l.when(e.User != nil, "user=%v", e.User)
	case HandOver:
		l.add("%d", e.Delivery)
	case GrantCredit:
		l.add("%d", e.N)
		l.when(e.Lane != "", "lane=%s", e.Lane)
	case SetDeadline:
		l.add("%v", e.At.Sub(start))
	case CloseConnection:
		l.add("%s", code(e.Reason))
		l.when(e.Text != "", "%q", e.Text)
		l.when(e.ByDevice, "by device")
	case Finish:
		l.when(e.Opened, "opened")
		l.when(e.End, "end")
		l.when(e.Will != nil, "will")
		if e.Will != nil {
			l.add("%s", e.Will.Topic)
			l.when(e.Will.Properties.Has(packet.PropWillDelay), "delay=%d", e.Will.Properties.WillDelay)
		}
	}
	return l.String()
}

func formatPacket(p packet.Packet) string {
	l := newLine(p.Type().String())
	switch p := p.(type) {
	case *packet.Connack:
		l.add("%s", code(p.Reason))
		l.when(p.SessionPresent, "present")
		l.add("%s", formatProperties(&p.Properties))
	case *packet.Publish:
		l.add("%s", formatPublish(p))
	case *packet.Ack:
		l.add("%d %s", p.ID, code(p.Reason))
		if p.Properties != nil {
			l.add("%s", formatProperties(p.Properties))
		}
	case *packet.Suback:
		l.add("%d", p.ID)
		for _, r := range p.Reasons {
			l.add("%s", code(r))
		}
	case *packet.Unsuback:
		l.add("%d", p.ID)
		for _, r := range p.Reasons {
			l.add("%s", code(r))
		}
	case *packet.Auth:
		l.add("%s", code(p.Reason))
		l.add("%s", formatProperties(&p.Properties))
	case *packet.Disconnect:
		l.add("%s", code(p.Reason))
		l.add("%s", formatProperties(&p.Properties))
	}
	return strings.TrimSpace(l.String())
}

func formatPublish(p *packet.Publish) string {
	l := newLine(fmt.Sprintf("q=%d", p.QoS))
	l.when(p.ID != 0, "id=%d", p.ID)
	l.when(p.Topic != "", "t=%s", p.Topic)
	l.when(len(p.Payload) > 0, "p=%s", p.Payload)
	l.when(p.Dup, "dup")
	l.when(p.Retain, "retain")
	l.add("%s", formatProperties(&p.Properties))
	return strings.TrimSpace(l.String())
}

func formatProperties(p *packet.Properties) string {
	l := newLine("")
	l.when(p.Has(packet.PropAuthMethod), "method=%s", p.AuthMethod)
	l.when(p.Has(packet.PropAuthData), "data=%s", p.AuthData)
	l.when(p.Has(packet.PropSessionExpiry), "expiry=%d", p.SessionExpiry)
	l.when(p.Has(packet.PropAssignedClientID), "assigned=%s", p.AssignedClientID)
	l.when(p.Has(packet.PropServerKeepAlive), "keepalive=%d", p.ServerKeepAlive)
	l.when(p.Has(packet.PropReceiveMaximum), "rm=%d", p.ReceiveMaximum)
	l.when(p.Has(packet.PropMaximumQoS), "maxqos=%d", p.MaximumQoS)
	l.when(p.Has(packet.PropRetainAvailable), "retain=%d", p.RetainAvailable)
	l.when(p.Has(packet.PropMaximumPacketSize), "maxpacket=%d", p.MaximumPacketSize)
	l.when(p.Has(packet.PropTopicAliasMaximum), "aliases=%d", p.TopicAliasMaximum)
	l.when(p.Has(packet.PropSharedSubAvailable), "shared=%d", p.SharedSubAvailable)
	l.when(p.Has(packet.PropTopicAlias), "alias=%d", p.TopicAlias)
	l.when(p.Has(packet.PropContentType), "ct=%s", p.ContentType)
	l.when(p.Has(packet.PropMessageExpiry), "expires=%ds", p.MessageExpiry)
	l.when(len(p.SubscriptionIDs) > 0, "subids=%v", p.SubscriptionIDs)
	l.when(p.Has(packet.PropServerReference), "server=%s", p.ServerReference)
	l.when(p.Has(packet.PropReasonString), "%q", p.ReasonString)
	l.when(len(p.User) > 0, "user=%v", p.User)
	return strings.TrimSpace(l.String())
}

func formatSubscription(s packet.Subscription) string {
	flags := ""
	if s.NoLocal {
		flags += "n"
	}
	if s.RetainAsPublished {
		flags += "r"
	}
	if s.RetainHandling > 0 {
		flags += fmt.Sprint(s.RetainHandling)
	}
	if flags != "" {
		flags = ":" + flags
	}
	return fmt.Sprintf("%s:%d%s", s.Filter, s.QoS, flags)
}

func formatOp(op Op) string {
	switch op := op.(type) {
	case PutSubscription:
		s := "+sub=" + formatSubscription(op.Subscription.Subscription)
		if op.Subscription.SubID != 0 {
			s += fmt.Sprintf(" subid=%d", op.Subscription.SubID)
		}
		return s
	case DeleteSubscription:
		return "-sub=" + op.Filter
	case PutInbound:
		return "+in=" + formatInbound(op.Record)
	case AcceptInbound:
		return fmt.Sprintf("!in=%d:%s", op.ID, op.MessageID)
	case DeleteInbound:
		return fmt.Sprintf("-in=%d", op.ID)
	case PutOutbound:
		return "+out=" + formatOutbound(op.Record)
	case DeleteOutbound:
		return fmt.Sprintf("-out=%d", op.ID)
	case SetExpiry:
		return fmt.Sprintf("expiry=%d", op.Seconds)
	}
	return fmt.Sprintf("%T?", op)
}

func formatInbound(r Inbound) string {
	s := fmt.Sprintf("%d:%s", r.ID, r.MessageID)
	if r.Accepted {
		s += ":accepted"
	}
	return s
}

func formatOutbound(r Outbound) string {
	s := fmt.Sprintf("%d:%s:%d:%d", r.ID, r.Identity, r.QoS, r.Order)
	if r.Released {
		s += ":released"
	}
	if r.Done {
		s += ":done"
	}
	return s
}

func formatState(s State) string {
	var b strings.Builder
	for _, sub := range s.Subscriptions {
		fmt.Fprintf(&b, "\tsub=%s\n", formatSubscription(sub.Subscription))
	}
	for _, r := range s.Inbound {
		fmt.Fprintf(&b, "\tin=%s\n", formatInbound(r))
	}
	for _, r := range s.Outbound {
		fmt.Fprintf(&b, "\tout=%s\n", formatOutbound(r))
	}
	return b.String()
}

func formatAny(ev Event) string {
	if m, ok := ev.(MessageArrived); ok {
		return fmt.Sprintf("message %d lane=%s for=%s retained=%t again=%t i=%s self=%t expires=%v %s", m.Delivery, m.Lane, m.Message.For, m.Message.Retained, m.Message.Redelivered,
			m.Message.Identity, m.Message.FromSelf, m.Message.Expires, formatPublish(m.Message.Publish))
	}
	return fmt.Sprintf("%T%+v", ev, ev)
}
