package frame

import "sluice/amqp/wire"

// Disposition tells state and settlement of a range of deliveries [AMQP 2.7.6]. Never loop from First to Last: use Within.
type Disposition struct {
	Role      Role // of the endpoint that SENDS the disposition
	First     uint32
	Last      Opt[uint32] // absent means First
	Settled   bool
	State     DeliveryState // nil is absent
	Batchable bool
}

// Descriptor implements Performative.
func (*Disposition) Descriptor() uint64 { return DescDisposition }

func (p *Disposition) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescDisposition, "disposition")
	w.MustBool(bool(p.Role))
	w.MustUint(p.First)
	w.OptUint(p.Last)
	w.Bool(p.Settled, false)
	writeState(&w, "state", p.State)
	w.Bool(p.Batchable, false)
	return w.Finish()
}

func (p *Disposition) decode(r *wire.Reader) error {
	f := r.Composite("disposition")
	*p = Disposition{
		Role:      Role(f.MustBool("role")),
		First:     f.MustUint("first"),
		Last:      f.Uint("last"),
		Settled:   f.Bool("settled", false),
		State:     readState(&f, "state"),
		Batchable: f.Bool("batchable", false),
	}
	return f.End()
}
