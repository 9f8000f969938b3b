package frame

import "sluice/amqp/wire"

// The terminus durabilities [AMQP 3.5.5].
const (
	DurabilityNone           uint32 = 0
	DurabilityConfiguration  uint32 = 1
	DurabilityUnsettledState uint32 = 2
)

// The terminus expiry policies [AMQP 3.5.6].
const (
	ExpireLinkDetach      Symbol = "link-detach"
	ExpireSessionEnd      Symbol = "session-end" // the default
	ExpireConnectionClose Symbol = "connection-close"
	ExpireNever           Symbol = "never"
)

// The distribution modes [AMQP 3.5.7].
const (
	DistributionMove Symbol = "move"
	DistributionCopy Symbol = "copy"
)

// Source is where a link's messages come from [AMQP 3.5.3].
type Source struct {
	Address               Opt[string]
	Durable               uint32 // Durability...
	ExpiryPolicy          Symbol // Expire...; empty is written as the default, and never decoded
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	DistributionMode      Symbol // empty is absent
	Filter                Map    // filter-set: symbol -> described value
	DefaultOutcome        DeliveryState
	Outcomes              []Symbol
	Capabilities          []Symbol
}

// Target is where a link's messages go [AMQP 3.5.4].
type Target struct {
	Address               Opt[string] // absent on an anonymous terminus: messages name their own address
	Durable               uint32
	ExpiryPolicy          Symbol
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	Capabilities          []Symbol
}

// Coordinator is the target of a transaction controller's link [AMQP 4.5.1].
type Coordinator struct {
	Capabilities []Symbol
}

func (s *Source) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescSource, "source")
	w.OptString("address", s.Address)
	w.Uint(s.Durable, DurabilityNone)
	writeExpiryPolicy(&w, s.ExpiryPolicy)
	w.Uint(s.Timeout, 0)
	w.Bool(s.Dynamic, false)
	w.Map("dynamic-node-properties", s.DynamicNodeProperties)
	w.Symbol("distribution-mode", s.DistributionMode)
	w.Map("filter", s.Filter)
	writeState(&w, "default-outcome", s.DefaultOutcome)
	w.Symbols("outcomes", s.Outcomes, MaxSymbols)
	w.Symbols("capabilities", s.Capabilities, MaxSymbols)
	return w.Finish()
}

func writeSource(w *wire.FieldWriter, s *Source) {
	if s == nil {
		w.Null()
		return
	}
	w.Append(s.append)
}

func readSource(f *wire.Fields) *Source {
	d, present := f.Described("source")
	if !present {
		return nil
	}
	if d != DescSource {
		f.Fail("source", wire.CondDecodeError, unexpected(d))
		return nil
	}
	sub := f.Composite("source")
	s := &Source{
		Address:               sub.String("address"),
		Durable:               readDurability(&sub),
		ExpiryPolicy:          readExpiryPolicy(&sub),
		Timeout:               sub.Uint("timeout").Value,
		Dynamic:               sub.Bool("dynamic", false),
		DynamicNodeProperties: sub.Map("dynamic-node-properties"),
		DistributionMode:      sub.Symbol("distribution-mode"),
		Filter:                sub.Map("filter"),
		DefaultOutcome:        readState(&sub, "default-outcome"),
		Outcomes:              sub.Symbols("outcomes", MaxSymbols),
		Capabilities:          sub.Symbols("capabilities", MaxSymbols),
	}
	f.Sub(sub.End())
	return s
}

func (t *Target) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescTarget, "target")
	w.OptString("address", t.Address)
	w.Uint(t.Durable, DurabilityNone)
	writeExpiryPolicy(&w, t.ExpiryPolicy)
	w.Uint(t.Timeout, 0)
	w.Bool(t.Dynamic, false)
	w.Map("dynamic-node-properties", t.DynamicNodeProperties)
	w.Symbols("capabilities", t.Capabilities, MaxSymbols)
	return w.Finish()
}

func (c *Coordinator) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescCoordinator, "coordinator")
	w.Symbols("capabilities", c.Capabilities, MaxSymbols)
	return w.Finish()
}

func writeTarget(w *wire.FieldWriter, t *Target, c *Coordinator) {
	switch {
	case t != nil && c != nil:
		w.Fail("target", "a link has a target or a coordinator, not both")
	case t != nil:
		w.Append(t.append)
	case c != nil:
		w.Append(c.append)
	default:
		w.Null()
	}
}

func readTarget(f *wire.Fields) (*Target, *Coordinator) {
	d, present := f.Described("target")
	if !present {
		return nil, nil
	}
	switch d {
	case DescTarget:
		sub := f.Composite("target")
		t := &Target{
			Address:               sub.String("address"),
			Durable:               readDurability(&sub),
			ExpiryPolicy:          readExpiryPolicy(&sub),
			Timeout:               sub.Uint("timeout").Value,
			Dynamic:               sub.Bool("dynamic", false),
			DynamicNodeProperties: sub.Map("dynamic-node-properties"),
			Capabilities:          sub.Symbols("capabilities", MaxSymbols),
		}
		f.Sub(sub.End())
		return t, nil
	case DescCoordinator:
		sub := f.Composite("coordinator")
		c := &Coordinator{Capabilities: sub.Symbols("capabilities", MaxSymbols)}
		f.Sub(sub.End())
		return nil, c
	}
	f.Fail("target", wire.CondDecodeError, unexpected(d))
	return nil, nil
}

func readDurability(f *wire.Fields) uint32 {
	d := f.Uint("durable").Or(DurabilityNone)
	if d > DurabilityUnsettledState {
		f.Fail("durable", wire.CondInvalidField, "it is 0 (none), 1 (configuration) or 2 (unsettled-state)")
	}
	return d
}

func readExpiryPolicy(f *wire.Fields) Symbol {
	p := f.Symbol("expiry-policy")
	switch p {
	case "":
		return ExpireSessionEnd
	case ExpireLinkDetach, ExpireSessionEnd, ExpireConnectionClose, ExpireNever:
		return p
	}
	f.Fail("expiry-policy", wire.CondInvalidField, "it is link-detach, session-end, connection-close or never")
	return ""
}

func writeExpiryPolicy(w *wire.FieldWriter, p Symbol) {
	if p == ExpireSessionEnd {
		p = ""
	}
	w.Symbol("expiry-policy", p)
}
