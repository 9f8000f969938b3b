package frame

import "sluice/amqp/wire"

// Flow updates session windows and, with Handle set, a link's credit [AMQP 2.7.4].
type Flow struct {
	NextIncomingID Opt[uint32] // absent only before the peer's begin has come
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         Opt[uint32]
	DeliveryCount  Opt[uint32]
	LinkCredit     Opt[uint32]
	Available      Opt[uint32]
	Drain          bool
	Echo           bool
	Properties     Map
}

// Descriptor implements Performative.
func (*Flow) Descriptor() uint64 { return DescFlow }

func (p *Flow) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescFlow, "flow")
	w.OptUint(p.NextIncomingID)
	w.MustUint(p.IncomingWindow)
	w.MustUint(p.NextOutgoingID)
	w.MustUint(p.OutgoingWindow)
	w.OptUint(p.Handle)
	w.OptUint(p.DeliveryCount)
	w.OptUint(p.LinkCredit)
	w.OptUint(p.Available)
	w.Bool(p.Drain, false)
	w.Bool(p.Echo, false)
	w.Map("properties", p.Properties)
	return w.Finish()
}

func (p *Flow) decode(r *wire.Reader) error {
	f := r.Composite("flow")
	*p = Flow{
		NextIncomingID: f.Uint("next-incoming-id"),
		IncomingWindow: f.MustUint("incoming-window"),
		NextOutgoingID: f.MustUint("next-outgoing-id"),
		OutgoingWindow: f.MustUint("outgoing-window"),
		Handle:         f.Uint("handle"),
		DeliveryCount:  f.Uint("delivery-count"),
		LinkCredit:     f.Uint("link-credit"),
		Available:      f.Uint("available"),
		Drain:          f.Bool("drain", false),
		Echo:           f.Bool("echo", false),
		Properties:     f.Map("properties"),
	}
	return f.End()
}
