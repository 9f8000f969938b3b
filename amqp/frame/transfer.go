package frame

import "sluice/amqp/wire"

// Transfer carries a message or a part of one [AMQP 2.7.5]. The payload is not part of the struct: it follows it in the frame.
type Transfer struct {
	Handle             uint32
	DeliveryID         Opt[uint32] // mandatory on the first transfer of a delivery
	DeliveryTag        []byte      // likewise; at most MaxDeliveryTag bytes; nil is absent
	MessageFormat      Opt[uint32]
	Settled            bool // on a later transfer of a delivery, false is "as before"
	More               bool
	ReceiverSettleMode Opt[ReceiverSettleMode]
	State              DeliveryState // nil is absent
	Resume             bool
	Aborted            bool
	Batchable          bool
}

// Descriptor implements Performative.
func (*Transfer) Descriptor() uint64 { return DescTransfer }

func (p *Transfer) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescTransfer, "transfer")
	w.MustUint(p.Handle)
	w.OptUint(p.DeliveryID)
	if len(p.DeliveryTag) > MaxDeliveryTag {
		w.Fail("delivery-tag", "it is longer than 32 bytes")
	}
	w.Binary(p.DeliveryTag)
	w.OptUint(p.MessageFormat)
	w.Bool(p.Settled, false)
	w.Bool(p.More, false)
	w.OptUbyte(Opt[uint8]{Value: uint8(p.ReceiverSettleMode.Value), Set: p.ReceiverSettleMode.Set})
	writeState(&w, "state", p.State)
	w.Bool(p.Resume, false)
	w.Bool(p.Aborted, false)
	w.Bool(p.Batchable, false)
	return w.Finish()
}

func (p *Transfer) decode(r *wire.Reader) error {
	f := r.Composite("transfer")
	*p = Transfer{
		Handle:             f.MustUint("handle"),
		DeliveryID:         f.Uint("delivery-id"),
		DeliveryTag:        f.Binary("delivery-tag"),
		MessageFormat:      f.Uint("message-format"),
		Settled:            f.Bool("settled", false),
		More:               f.Bool("more", false),
		ReceiverSettleMode: readReceiverSettleMode(&f),
		State:              readState(&f, "state"),
		Resume:             f.Bool("resume", false),
		Aborted:            f.Bool("aborted", false),
		Batchable:          f.Bool("batchable", false),
	}
	if len(p.DeliveryTag) > MaxDeliveryTag {
		f.Fail("delivery-tag", wire.CondInvalidField, "it is longer than 32 bytes")
	}
	return f.End()
}
