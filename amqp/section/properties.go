package section

import (
	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// The types a message-id may have [AMQP 3.2.11 to 3.2.14].
const messageID = wire.KindUlong | wire.KindUUID | wire.KindBinary | wire.KindString

// propertyFields are the fields of the properties section, in their order [AMQP 3.2.4].
var propertyFields = [...]struct {
	name string
	kind wire.Kind
}{
	{"message-id", messageID},
	{"user-id", wire.KindBinary},
	{"to", wire.KindString},
	{"subject", wire.KindString},
	{"reply-to", wire.KindString},
	{"correlation-id", messageID},
	{"content-type", wire.KindSymbol},
	{"content-encoding", wire.KindSymbol},
	{"absolute-expiry-time", wire.KindTimestamp},
	{"creation-time", wire.KindTimestamp},
	{"group-id", wire.KindString},
	{"group-sequence", wire.KindUint},
	{"reply-to-group-id", wire.KindString},
}

func checkProperties(r *wire.Reader) error {
	f := r.Composite("properties")
	for _, p := range propertyFields {
		f.Check(p.name, p.kind)
	}
	return f.End()
}

func readProperties(r *wire.Reader) (message.Properties, error) {
	f := r.Composite("properties")
	p := message.Properties{
		MessageID:       f.Value("message-id", messageID),
		UserID:          f.Binary("user-id"),
		To:              f.String("to").Value,
		Subject:         f.String("subject").Value,
		ReplyTo:         f.String("reply-to").Value,
		CorrelationID:   f.Value("correlation-id", messageID),
		ContentType:     string(f.Symbol("content-type")),
		ContentEncoding: string(f.Symbol("content-encoding")),
		AbsoluteExpiry:  f.Timestamp("absolute-expiry-time"),
		CreationTime:    f.Timestamp("creation-time"),
		GroupID:         f.String("group-id").Value,
	}
	if seq := f.Uint("group-sequence"); seq.Set {
		p.GroupSequence = &seq.Value
	}
	p.ReplyToGroupID = f.String("reply-to-group-id").Value
	return p, f.End()
}

func appendProperties(dst []byte, p *message.Properties) ([]byte, error) {
	w := wire.NewFieldWriter(dst, descProperties, "properties")
	writeMessageID(&w, "message-id", p.MessageID)
	w.Binary(p.UserID)
	w.String("to", p.To)
	w.String("subject", p.Subject)
	w.String("reply-to", p.ReplyTo)
	writeMessageID(&w, "correlation-id", p.CorrelationID)
	w.Symbol("content-type", message.Symbol(p.ContentType))
	w.Symbol("content-encoding", message.Symbol(p.ContentEncoding))
	w.Timestamp(p.AbsoluteExpiry)
	w.Timestamp(p.CreationTime)
	w.String("group-id", p.GroupID)
	if p.GroupSequence != nil {
		w.MustUint(*p.GroupSequence)
	} else {
		w.Null()
	}
	w.String("reply-to-group-id", p.ReplyToGroupID)
	return w.Finish()
}

func writeMessageID(w *wire.FieldWriter, field string, id any) {
	switch id.(type) {
	case nil, string, uint64, message.UUID, []byte:
		w.Value(field, id)
	default:
		w.Fail(field, "it is a string, uint64, UUID or []byte")
	}
}
