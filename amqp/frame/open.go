package frame

import "sluice/amqp/wire"

// Open negotiates connection parameters [AMQP 2.7.1].
type Open struct {
	ContainerID         string // mandatory
	Hostname            string // empty is absent
	MaxFrameSize        uint32 // bytes; written as it is: zero is NOT the default, use DefaultMaxFrameSize
	ChannelMax          uint16 // highest channel number; written as it is: zero means one channel, use DefaultChannelMax
	IdleTimeout         uint32 // milliseconds; zero is absent
	OutgoingLocales     []Symbol
	IncomingLocales     []Symbol
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Descriptor implements Performative.
func (*Open) Descriptor() uint64 { return DescOpen }

// Close ends a connection [AMQP 2.7.9].
type Close struct {
	Error *Error
}

// Descriptor implements Performative.
func (*Close) Descriptor() uint64 { return DescClose }

func (p *Open) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescOpen, "open")
	w.OptString("container-id", Some(p.ContainerID))
	w.String("hostname", p.Hostname)
	w.Uint(p.MaxFrameSize, DefaultMaxFrameSize)
	w.OptUshort(Opt[uint16]{Value: p.ChannelMax, Set: p.ChannelMax != DefaultChannelMax})
	w.Uint(p.IdleTimeout, 0)
	w.Symbols("outgoing-locales", p.OutgoingLocales, MaxSymbols)
	w.Symbols("incoming-locales", p.IncomingLocales, MaxSymbols)
	w.Symbols("offered-capabilities", p.OfferedCapabilities, MaxSymbols)
	w.Symbols("desired-capabilities", p.DesiredCapabilities, MaxSymbols)
	w.Map("properties", p.Properties)
	return w.Finish()
}

func (p *Open) decode(r *wire.Reader) error {
	f := r.Composite("open")
	id := f.String("container-id")
	if !id.Set {
		f.Missing("container-id")
	}
	*p = Open{
		ContainerID:         id.Value,
		Hostname:            f.String("hostname").Value,
		MaxFrameSize:        f.Uint("max-frame-size").Or(DefaultMaxFrameSize),
		ChannelMax:          f.Ushort("channel-max").Or(DefaultChannelMax),
		IdleTimeout:         f.Uint("idle-time-out").Value,
		OutgoingLocales:     f.Symbols("outgoing-locales", MaxSymbols),
		IncomingLocales:     f.Symbols("incoming-locales", MaxSymbols),
		OfferedCapabilities: f.Symbols("offered-capabilities", MaxSymbols),
		DesiredCapabilities: f.Symbols("desired-capabilities", MaxSymbols),
		Properties:          f.Map("properties"),
	}
	return f.End()
}

func (p *Close) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescClose, "close")
	writeError(&w, p.Error)
	return w.Finish()
}

func (p *Close) decode(r *wire.Reader) error {
	f := r.Composite("close")
	*p = Close{Error: readError(&f)}
	return f.End()
}
