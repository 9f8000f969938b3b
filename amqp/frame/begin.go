package frame

import "sluice/amqp/wire"

// Begin starts a session on a channel [AMQP 2.7.2].
type Begin struct {
	RemoteChannel       Opt[uint16] // set in the answer to the peer's begin
	NextOutgoingID      uint32
	IncomingWindow      uint32
	OutgoingWindow      uint32
	HandleMax           uint32 // written as it is: zero means one link, use DefaultHandleMax
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Descriptor implements Performative.
func (*Begin) Descriptor() uint64 { return DescBegin }

// End ends a session [AMQP 2.7.8].
type End struct {
	Error *Error
}

// Descriptor implements Performative.
func (*End) Descriptor() uint64 { return DescEnd }

func (p *Begin) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescBegin, "begin")
	w.OptUshort(p.RemoteChannel)
	w.MustUint(p.NextOutgoingID)
	w.MustUint(p.IncomingWindow)
	w.MustUint(p.OutgoingWindow)
	w.Uint(p.HandleMax, DefaultHandleMax)
	w.Symbols("offered-capabilities", p.OfferedCapabilities, MaxSymbols)
	w.Symbols("desired-capabilities", p.DesiredCapabilities, MaxSymbols)
	w.Map("properties", p.Properties)
	return w.Finish()
}

func (p *Begin) decode(r *wire.Reader) error {
	f := r.Composite("begin")
	*p = Begin{
		RemoteChannel:       f.Ushort("remote-channel"),
		NextOutgoingID:      f.MustUint("next-outgoing-id"),
		IncomingWindow:      f.MustUint("incoming-window"),
		OutgoingWindow:      f.MustUint("outgoing-window"),
		HandleMax:           f.Uint("handle-max").Or(DefaultHandleMax),
		OfferedCapabilities: f.Symbols("offered-capabilities", MaxSymbols),
		DesiredCapabilities: f.Symbols("desired-capabilities", MaxSymbols),
		Properties:          f.Map("properties"),
	}
	return f.End()
}

func (p *End) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescEnd, "end")
	writeError(&w, p.Error)
	return w.Finish()
}

func (p *End) decode(r *wire.Reader) error {
	f := r.Composite("end")
	*p = End{Error: readError(&f)}
	return f.End()
}
