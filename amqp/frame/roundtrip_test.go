package frame

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/amqp/wire"
)

func opt[T any](g *rapid.Generator[T]) *rapid.Generator[Opt[T]] {
	return rapid.Custom(func(t *rapid.T) Opt[T] {
		if rapid.Bool().Draw(t, "set") {
			return Some(g.Draw(t, "value"))
		}
		return Opt[T]{}
	})
}

func genSymbol() *rapid.Generator[Symbol] {
	return rapid.Map(rapid.StringMatching(`[a-z:-]{1,12}`), func(s string) Symbol { return Symbol(s) })
}

// genSymbols draws what comes back: an empty list is written as absent.
func genSymbols() *rapid.Generator[[]Symbol] {
	return rapid.Map(rapid.SliceOfN(genSymbol(), 0, 4), func(l []Symbol) []Symbol {
		if len(l) == 0 {
			return nil
		}
		return l
	})
}

func genMap() *rapid.Generator[Map] {
	value := rapid.OneOf(rapid.Just[any](nil), rapid.String().AsAny(), rapid.Uint32().AsAny(), genSymbol().AsAny(), rapid.Bool().AsAny(),
		rapid.SliceOfN(rapid.Int64().AsAny(), 0, 3).AsAny())
	return rapid.Custom(func(t *rapid.T) Map {
		n := rapid.IntRange(-1, 4).Draw(t, "entries")
		if n < 0 {
			return nil
		}
		m := Map{}
		for range n {
			m = append(m, wire.Pair{Key: genSymbol().Draw(t, "key"), Value: value.Draw(t, "value")})
		}
		return m
	})
}

func genError() *rapid.Generator[*Error] {
	return rapid.Custom(func(t *rapid.T) *Error {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return &Error{Condition: genSymbol().Draw(t, "condition"), Description: rapid.String().Draw(t, "description"),
			Info: genMap().Draw(t, "info")}
	})
}

func genState() *rapid.Generator[DeliveryState] {
	return rapid.Custom(func(t *rapid.T) DeliveryState {
		switch rapid.IntRange(0, 5).Draw(t, "state") {
		case 1:
			return &Received{SectionNumber: rapid.Uint32().Draw(t, "number"), SectionOffset: rapid.Uint64().Draw(t, "offset")}
		case 2:
			return &Accepted{}
		case 3:
			return &Rejected{Error: genError().Draw(t, "error")}
		case 4:
			return &Released{}
		case 5:
			return &Modified{DeliveryFailed: rapid.Bool().Draw(t, "failed"), UndeliverableHere: rapid.Bool().Draw(t, "here"),
				MessageAnnotations: genMap().Draw(t, "annotations")}
		}
		return nil
	})
}

func genBytes(limit int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "nil") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, limit).Draw(t, "bytes")
	})
}

func genSource(t *rapid.T) *Source {
	if rapid.Bool().Draw(t, "no source") {
		return nil
	}
	return &Source{
		Address:               opt(rapid.String()).Draw(t, "address"),
		Durable:               rapid.Uint32Range(0, 2).Draw(t, "durable"),
		ExpiryPolicy:          genPolicy().Draw(t, "expiry"),
		Timeout:               rapid.Uint32().Draw(t, "timeout"),
		Dynamic:               rapid.Bool().Draw(t, "dynamic"),
		DynamicNodeProperties: genMap().Draw(t, "node properties"),
		DistributionMode:      rapid.SampledFrom([]Symbol{"", DistributionMove, DistributionCopy}).Draw(t, "mode"),
		Filter:                genMap().Draw(t, "filter"),
		DefaultOutcome:        genState().Draw(t, "default outcome"),
		Outcomes:              genSymbols().Draw(t, "outcomes"),
		Capabilities:          genSymbols().Draw(t, "capabilities"),
	}
}

func genPolicy() *rapid.Generator[Symbol] {
	return rapid.SampledFrom([]Symbol{ExpireLinkDetach, ExpireSessionEnd, ExpireConnectionClose, ExpireNever})
}

func genAttach(t *rapid.T) *Attach {
	a := &Attach{
		Name:                 rapid.String().Draw(t, "name"),
		Handle:               rapid.Uint32().Draw(t, "handle"),
		Role:                 Role(rapid.Bool().Draw(t, "role")),
		SenderSettleMode:     SenderSettleMode(rapid.Uint8Range(0, 2).Draw(t, "snd")),
		ReceiverSettleMode:   ReceiverSettleMode(rapid.Uint8Range(0, 1).Draw(t, "rcv")),
		Source:               genSource(t),
		IncompleteUnsettled:  rapid.Bool().Draw(t, "incomplete"),
		InitialDeliveryCount: Some(rapid.Uint32().Draw(t, "count")),
		MaxMessageSize:       rapid.Uint64().Draw(t, "size"),
		OfferedCapabilities:  genSymbols().Draw(t, "offered"),
		DesiredCapabilities:  genSymbols().Draw(t, "desired"),
		Properties:           genMap().Draw(t, "properties"),
	}
	switch rapid.IntRange(0, 2).Draw(t, "target") {
	case 1:
		a.Target = &Target{Address: opt(rapid.String()).Draw(t, "address"), Durable: rapid.Uint32Range(0, 2).Draw(t, "durable"),
			ExpiryPolicy: genPolicy().Draw(t, "expiry"), Timeout: rapid.Uint32().Draw(t, "timeout"), Dynamic: rapid.Bool().Draw(t, "dynamic"),
			DynamicNodeProperties: genMap().Draw(t, "node properties"), Capabilities: genSymbols().Draw(t, "capabilities")}
	case 2:
		a.Coordinator = &Coordinator{Capabilities: genSymbols().Draw(t, "capabilities")}
	}
	if n := rapid.IntRange(-1, 3).Draw(t, "unsettled"); n >= 0 {
		a.Unsettled = []Unsettled{}
		for range n {
			a.Unsettled = append(a.Unsettled, Unsettled{Tag: rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "tag"), State: genState().Draw(t, "state")})
		}
	}
	return a
}

// generators has one per performative.
var generators = map[string]func(t *rapid.T) Performative{
	"open": func(t *rapid.T) Performative {
		return &Open{ContainerID: rapid.String().Draw(t, "id"), Hostname: rapid.String().Draw(t, "host"),
			MaxFrameSize: rapid.Uint32().Draw(t, "frame"), ChannelMax: rapid.Uint16().Draw(t, "channels"),
			IdleTimeout: rapid.Uint32().Draw(t, "idle"), OutgoingLocales: genSymbols().Draw(t, "out"), IncomingLocales: genSymbols().Draw(t, "in"),
			OfferedCapabilities: genSymbols().Draw(t, "offered"), DesiredCapabilities: genSymbols().Draw(t, "desired"),
			Properties: genMap().Draw(t, "properties")}
	},
	"begin": func(t *rapid.T) Performative {
		return &Begin{RemoteChannel: opt(rapid.Uint16()).Draw(t, "channel"), NextOutgoingID: rapid.Uint32().Draw(t, "next"),
			IncomingWindow: rapid.Uint32().Draw(t, "in"), OutgoingWindow: rapid.Uint32().Draw(t, "out"), HandleMax: rapid.Uint32().Draw(t, "handles"),
			OfferedCapabilities: genSymbols().Draw(t, "offered"), DesiredCapabilities: genSymbols().Draw(t, "desired"),
			Properties: genMap().Draw(t, "properties")}
	},
	"attach": func(t *rapid.T) Performative { return genAttach(t) },
	"flow": func(t *rapid.T) Performative {
		u := opt(rapid.Uint32())
		return &Flow{NextIncomingID: u.Draw(t, "in"), IncomingWindow: rapid.Uint32().Draw(t, "iw"), NextOutgoingID: rapid.Uint32().Draw(t, "out"),
			OutgoingWindow: rapid.Uint32().Draw(t, "ow"), Handle: u.Draw(t, "handle"), DeliveryCount: u.Draw(t, "count"),
			LinkCredit: u.Draw(t, "credit"), Available: u.Draw(t, "available"), Drain: rapid.Bool().Draw(t, "drain"),
			Echo: rapid.Bool().Draw(t, "echo"), Properties: genMap().Draw(t, "properties")}
	},
	"transfer": func(t *rapid.T) Performative { return genTransfer(t) },
	"disposition": func(t *rapid.T) Performative {
		return &Disposition{Role: Role(rapid.Bool().Draw(t, "role")), First: rapid.Uint32().Draw(t, "first"),
			Last: opt(rapid.Uint32()).Draw(t, "last"), Settled: rapid.Bool().Draw(t, "settled"), State: genState().Draw(t, "state"),
			Batchable: rapid.Bool().Draw(t, "batchable")}
	},
	"detach": func(t *rapid.T) Performative {
		return &Detach{Handle: rapid.Uint32().Draw(t, "handle"), Closed: rapid.Bool().Draw(t, "closed"), Error: genError().Draw(t, "error")}
	},
	"end":   func(t *rapid.T) Performative { return &End{Error: genError().Draw(t, "error")} },
	"close": func(t *rapid.T) Performative { return &Close{Error: genError().Draw(t, "error")} },
	"sasl-mechanisms": func(t *rapid.T) Performative {
		return &SASLMechanisms{Mechanisms: rapid.SliceOfN(genSymbol(), 1, 5).Draw(t, "mechanisms")}
	},
	"sasl-init": func(t *rapid.T) Performative {
		return &SASLInit{Mechanism: genSymbol().Draw(t, "mechanism"), InitialResponse: genBytes(300).Draw(t, "response"),
			Hostname: rapid.StringN(0, 30, 100).Draw(t, "host")}
	},
	"sasl-challenge": func(t *rapid.T) Performative {
		return &SASLChallenge{Challenge: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "challenge")}
	},
	"sasl-response": func(t *rapid.T) Performative {
		return &SASLResponse{Response: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "response")}
	},
	"sasl-outcome": func(t *rapid.T) Performative {
		return &SASLOutcome{Code: SASLCode(rapid.Uint8Range(0, 4).Draw(t, "code")), AdditionalData: genBytes(300).Draw(t, "data")}
	},
}

func genTransfer(t *rapid.T) *Transfer {
	return &Transfer{Handle: rapid.Uint32().Draw(t, "handle"), DeliveryID: opt(rapid.Uint32()).Draw(t, "id"),
		DeliveryTag: genBytes(MaxDeliveryTag).Draw(t, "tag"), MessageFormat: opt(rapid.Uint32()).Draw(t, "format"),
		Settled: rapid.Bool().Draw(t, "settled"), More: rapid.Bool().Draw(t, "more"),
		ReceiverSettleMode: opt(rapid.Map(rapid.Uint8Range(0, 1), func(m uint8) ReceiverSettleMode { return ReceiverSettleMode(m) })).Draw(t, "rcv"),
		State:              genState().Draw(t, "state"), Resume: rapid.Bool().Draw(t, "resume"), Aborted: rapid.Bool().Draw(t, "aborted"),
		Batchable: rapid.Bool().Draw(t, "batchable")}
}

func TestRoundTrip(t *testing.T) {
	for name, generate := range generators {
		t.Run(name, func(t *testing.T) {
			var decoder Decoder // reused over all draws: nothing of an earlier frame may show in a later one
			rapid.Check(t, func(t *rapid.T) {
				p := generate(t)
				sasl := p.Descriptor() >= DescSASLMechanisms
				var payload []byte
				if _, ok := p.(*Transfer); ok {
					payload = rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "payload")
				}
				frame, err := Append(nil, 7, p, payload)
				if sasl {
					frame, err = AppendSASL(nil, p)
				}
				if err != nil {
					t.Fatal(err)
				}
				h, err := ParseHeader(frame, 0)
				if err != nil || int(h.Size) != len(frame) {
					t.Fatalf("%+v, %v for a frame of %d bytes", h, err, len(frame))
				}
				for _, decode := range []func(uint8, []byte) (Performative, []byte, error){Decode, decoder.Decode} {
					got, rest, err := decode(h.Type, frame[h.BodyOffset():])
					if err != nil {
						t.Fatalf("%x: %v", frame, err)
					}
					if diff := cmp.Diff(p, got); diff != "" {
						t.Fatalf("%x: %s", frame, diff)
					}
					if !bytes.Equal(rest, payload) {
						t.Fatalf("payload %x, want %x", rest, payload)
					}
				}
			})
		})
	}
}
