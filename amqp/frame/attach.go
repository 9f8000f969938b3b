package frame

import "sluice/amqp/wire"

// Attach attaches a link to a session [AMQP 2.7.3].
type Attach struct {
	Name                 string
	Handle               uint32
	Role                 Role
	SenderSettleMode     SenderSettleMode // default SenderMixed, which is not the zero value
	ReceiverSettleMode   ReceiverSettleMode
	Source               *Source      // nil is null
	Target               *Target      // nil is null, or a Coordinator
	Coordinator          *Coordinator // a transaction coordinator in the place of the target; never set together with Target
	Unsettled            []Unsettled  // nil is null, which is not the same as an empty map when a link is resumed [AMQP 2.6.13]
	IncompleteUnsettled  bool
	InitialDeliveryCount Opt[uint32] // mandatory when Role is RoleSender
	MaxMessageSize       uint64      // bytes; zero is no limit
	OfferedCapabilities  []Symbol
	DesiredCapabilities  []Symbol
	Properties           Map
}

// Unsettled is one entry of an attach's unsettled map.
type Unsettled struct {
	Tag   []byte
	State DeliveryState // nil is null
}

// Descriptor implements Performative.
func (*Attach) Descriptor() uint64 { return DescAttach }

// Detach detaches a link, and with Closed ends it [AMQP 2.7.7].
type Detach struct {
	Handle uint32
	Closed bool
	Error  *Error
}

// Descriptor implements Performative.
func (*Detach) Descriptor() uint64 { return DescDetach }

func (p *Attach) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescAttach, "attach")
	w.OptString("name", Some(p.Name))
	w.MustUint(p.Handle)
	w.MustBool(bool(p.Role))
	w.Ubyte(uint8(p.SenderSettleMode), uint8(SenderMixed))
	w.Ubyte(uint8(p.ReceiverSettleMode), uint8(ReceiverFirst))
	writeSource(&w, p.Source)
	writeTarget(&w, p.Target, p.Coordinator)
	writeUnsettled(&w, p.Unsettled)
	w.Bool(p.IncompleteUnsettled, false)
	if p.Role == RoleSender && !p.InitialDeliveryCount.Set {
		w.Fail("initial-delivery-count", "a sender has to give it")
	}
	w.OptUint(p.InitialDeliveryCount)
	w.Ulong(p.MaxMessageSize, 0)
	w.Symbols("offered-capabilities", p.OfferedCapabilities, MaxSymbols)
	w.Symbols("desired-capabilities", p.DesiredCapabilities, MaxSymbols)
	w.Map("properties", p.Properties)
	return w.Finish()
}

func (p *Attach) decode(r *wire.Reader) error {
	f := r.Composite("attach")
	name := f.String("name")
	if !name.Set {
		f.Missing("name")
	}
	*p = Attach{
		Name:               name.Value,
		Handle:             f.MustUint("handle"),
		Role:               Role(f.MustBool("role")),
		SenderSettleMode:   readSenderSettleMode(&f),
		ReceiverSettleMode: readReceiverSettleMode(&f).Or(ReceiverFirst),
		Source:             readSource(&f),
	}
	p.Target, p.Coordinator = readTarget(&f)
	p.Unsettled = readUnsettled(&f)
	p.IncompleteUnsettled = f.Bool("incomplete-unsettled", false)
	p.InitialDeliveryCount = f.Uint("initial-delivery-count")
	if p.Role == RoleSender && !p.InitialDeliveryCount.Set {
		f.Missing("initial-delivery-count")
	}
	p.MaxMessageSize = f.Ulong("max-message-size").Value
	p.OfferedCapabilities = f.Symbols("offered-capabilities", MaxSymbols)
	p.DesiredCapabilities = f.Symbols("desired-capabilities", MaxSymbols)
	p.Properties = f.Map("properties")
	return f.End()
}

func readSenderSettleMode(f *wire.Fields) SenderSettleMode {
	m := SenderSettleMode(f.Ubyte("snd-settle-mode").Or(uint8(SenderMixed)))
	if m > SenderMixed {
		f.Fail("snd-settle-mode", wire.CondInvalidField, "it is 0 (unsettled), 1 (settled) or 2 (mixed)")
	}
	return m
}

func readReceiverSettleMode(f *wire.Fields) Opt[ReceiverSettleMode] {
	m := f.Ubyte("rcv-settle-mode")
	if m.Value > uint8(ReceiverSecond) {
		f.Fail("rcv-settle-mode", wire.CondInvalidField, "it is 0 (first) or 1 (second)")
	}
	return Opt[ReceiverSettleMode]{Value: ReceiverSettleMode(m.Value), Set: m.Set}
}

// The unsettled map is of delivery-tag to delivery-state [AMQP 2.7.3].
func writeUnsettled(w *wire.FieldWriter, list []Unsettled) {
	if list == nil {
		w.Null()
		return
	}
	if len(list) > MaxUnsettled {
		w.Fail("unsettled", "more deliveries than MaxUnsettled")
		return
	}
	w.AppendMap(len(list), func(dst []byte, i int) ([]byte, error) {
		if len(list[i].Tag) > MaxDeliveryTag {
			return dst, &wire.Error{Condition: wire.CondInvalidField, What: "attach.unsettled.delivery-tag", Offset: -1,
				Reason: "it is longer than 32 bytes"}
		}
		dst = wire.AppendBinary(dst, list[i].Tag)
		if list[i].State == nil {
			return wire.AppendNull(dst), nil
		}
		return appendState(dst, list[i].State)
	})
}

func readUnsettled(f *wire.Fields) []Unsettled {
	entries, present := f.Pairs("unsettled")
	if !present {
		return nil
	}
	if entries.Left() > MaxUnsettled {
		f.Fail("unsettled", wire.CondNotImplemented, "more deliveries than MaxUnsettled")
		return nil
	}
	list := []Unsettled{}
	for entries.Left() > 0 && entries.Err() == nil {
		tag := entries.Binary("delivery-tag")
		if tag == nil {
			entries.Missing("delivery-tag")
		}
		if len(tag) > MaxDeliveryTag {
			entries.Fail("delivery-tag", wire.CondInvalidField, "it is longer than 32 bytes")
		}
		list = append(list, Unsettled{Tag: tag, State: readState(&entries, "state")})
	}
	f.Sub(entries.End())
	return list
}

func (p *Detach) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescDetach, "detach")
	w.MustUint(p.Handle)
	w.Bool(p.Closed, false)
	writeError(&w, p.Error)
	return w.Finish()
}

func (p *Detach) decode(r *wire.Reader) error {
	f := r.Composite("detach")
	*p = Detach{Handle: f.MustUint("handle"), Closed: f.Bool("closed", false), Error: readError(&f)}
	return f.End()
}
