package frame

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/wire"
)

func appendAny(dst []byte, s sample) ([]byte, error) {
	if s.sasl {
		return AppendSASL(dst, s.p)
	}
	return Append(dst, 0x0102, s.p, nil)
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			frame, err := appendAny([]byte{0xee}, s)
			if err != nil {
				t.Fatal(err)
			}
			if frame[0] != 0xee {
				t.Fatal("dst was overwritten")
			}
			h, err := ParseHeader(frame[1:], uint32(len(frame)-1))
			if err != nil {
				t.Fatal(err)
			}
			if int(h.Size) != len(frame)-1 || h.Type != s.typ() || !s.sasl && h.Channel != 0x0102 {
				t.Errorf("header %+v of a frame of %d bytes", h, len(frame)-1)
			}
			body := unhex(t, s.hex)
			if got := frame[1+h.BodyOffset():]; !bytes.Equal(got, body) {
				t.Errorf("body\n%x, want\n%x", got, body)
			}
			p, payload, err := Decode(s.typ(), body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.p, p); diff != "" {
				t.Error(diff)
			}
			if len(payload) != 0 {
				t.Errorf("payload %x", payload)
			}
		})
	}
}

func TestEveryShorterPrefixIsAnError(t *testing.T) {
	for _, s := range samples {
		body := unhex(t, s.hex)
		for n := 1; n < len(body); n++ {
			p, _, err := Decode(s.typ(), body[:n:n])
			var werr *wire.Error
			if !errors.As(err, &werr) || p != nil {
				t.Errorf("%s: the first %d of %d bytes gave %v, %v", s.name, n, len(body), p, err)
			}
		}
	}
}

func TestEveryByteChangedNeverPanics(t *testing.T) {
	for _, s := range samples {
		body := unhex(t, s.hex)
		for i := range body {
			for _, b := range []byte{0x00, 0x40, 0x45, 0x7f, 0xc0, 0xd1, 0xf0, 0xff} {
				changed := bytes.Clone(body)
				changed[i] = b
				if p, _, err := Decode(s.typ(), changed); (p == nil) == (err == nil) {
					t.Fatalf("%s: byte %d as %#x gave %v, %v", s.name, i, b, p, err)
				}
			}
		}
	}
}

func TestPayloadIsAView(t *testing.T) {
	frame, err := Append(nil, 0, &Transfer{Handle: 1}, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := Decode(TypeAMQP, frame[HeaderSize:])
	if err != nil || string(payload) != "payload" {
		t.Fatalf("%q, %v", payload, err)
	}
	if &payload[0] != &frame[len(frame)-7] {
		t.Error("the payload was copied")
	}
}

func TestHeartbeat(t *testing.T) {
	frame := AppendHeartbeat(nil)
	h, err := ParseHeader(frame, MinMaxFrameSize)
	if err != nil || h.Size != HeaderSize || h.BodyOffset() != HeaderSize {
		t.Fatalf("%+v, %v", h, err)
	}
	if p, payload, err := Decode(h.Type, frame[h.BodyOffset():]); p != nil || payload != nil || err != nil {
		t.Errorf("%v, %v, %v", p, payload, err)
	}
	if _, _, err := Decode(TypeSASL, nil); err == nil {
		t.Error("an empty SASL frame is taken")
	}
}

func TestSymbolicDescriptors(t *testing.T) {
	// amqp:close:list, with amqp:error:list in it.
	body := []byte("\x00\xa3\x0famqp:close:list\xc0\x19\x01\x00\xa3\x0famqp:error:list\xc0\x04\x01\xa3\x01x")
	p, _, err := Decode(TypeAMQP, body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Close{Error: &Error{Condition: "x"}}, p); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedPerformatives(t *testing.T) {
	for _, tt := range []struct {
		name, hex, condition, what string
		sasl                       bool
	}{
		{name: "open without container-id", hex: "005310 45", what: "open.container-id"},
		{name: "open with a null container-id", hex: "005310 c0020140 ", what: "open.container-id"},
		{name: "open with a symbol as container-id", hex: "005310 c00401 a30163", what: "open.container-id"},
		{name: "open with 11 fields", hex: "005310 c00e0b a10163 40 40 40 40 40 40 40 40 40 40", what: "open"},
		{name: "open that is a map", hex: "005310 c10100", what: "open"},
		{name: "begin without outgoing-window", hex: "005311 c00403 40 43 43", what: "begin.outgoing-window"},
		{name: "begin without incoming-window", hex: "005311 c00504 40 43 40 43", what: "begin.incoming-window"},
		{name: "begin without next-outgoing-id", hex: "005311 45", what: "begin.next-outgoing-id"},
		{name: "attach without name", hex: "005312 45", what: "attach.name"},
		{name: "attach without handle", hex: "005312 c00401 a1016e", what: "attach.handle"},
		{name: "attach without role", hex: "005312 c00502 a1016e 43", what: "attach.role"},
		{name: "sender without initial-delivery-count", hex: "005312 c00603 a1016e 43 42", what: "attach.initial-delivery-count"},
		{name: "snd-settle-mode 3", hex: "005312 c00804 a1016e 43 41 5003", what: "attach.snd-settle-mode", condition: wire.CondInvalidField},
		{name: "rcv-settle-mode 2", hex: "005312 c00905 a1016e 43 41 40 5002", what: "attach.rcv-settle-mode",
			condition: wire.CondInvalidField},
		{name: "a target as source", hex: "005312 c00c06 a1016e 43 41 40 40 00532945", what: "attach.source"},
		{name: "a source as target", hex: "005312 c00d07 a1016e 43 41 40 40 40 00532845", what: "attach.target"},
		{name: "durable 3", hex: "005312 c01106 a1016e 43 41 40 40 005328 c00402 40 5203", what: "attach.source.durable",
			condition: wire.CondInvalidField},
		{name: "expiry-policy that is not one", hex: "005312 c01306 a1016e 43 41 40 40 005328 c00603 40 40 a30178",
			what: "attach.source.expiry-policy", condition: wire.CondInvalidField},
		{name: "unsettled with a string as tag", hex: "005312 c01108 a1016e 43 41 40 40 40 40 c10502 a10161 40",
			what: "attach.unsettled.delivery-tag"},
		{name: "flow without incoming-window", hex: "005313 45", what: "flow.incoming-window"},
		{name: "flow without next-outgoing-id", hex: "005313 c00302 40 43", what: "flow.next-outgoing-id"},
		{name: "flow without outgoing-window", hex: "005313 c00403 40 43 43", what: "flow.outgoing-window"},
		{name: "transfer without handle", hex: "005314 45", what: "transfer.handle"},
		{name: "transfer with a tag of 33 bytes", hex: "005314 c02603 43 43 a021" +
			"000000000000000000000000000000000000000000000000000000000000000000", what: "transfer.delivery-tag", condition: wire.CondInvalidField},
		{name: "transfer with a transactional state", hex: "005314 c00c08 43 40 40 40 40 40 40 005334 45", what: "transfer.state",
			condition: wire.CondNotImplemented},
		{name: "disposition without role", hex: "005315 45", what: "disposition.role"},
		{name: "disposition without first", hex: "005315 c0020141", what: "disposition.first"},
		{name: "disposition with an error as state", hex: "005315 c00905 41 43 40 40 00531d 45", what: "disposition.state"},
		{name: "received without section-offset", hex: "005315 c00c05 41 43 40 40 005323 c0020143", what: "disposition.received.section-offset"},
		{name: "accepted with a field", hex: "005315 c00b05 41 43 40 40 005324 c0020140", what: "disposition.accepted"},
		{name: "detach without handle", hex: "005316 45", what: "detach.handle"},
		{name: "error without condition", hex: "005318 c00501 00531d 45", what: "close.error.condition"},
		{name: "error that is an open", hex: "005317 c00501 005310 45", what: "end.error"},
		{name: "bytes behind a close", hex: "005318 45 00", what: ""},
		{name: "unknown descriptor", hex: "005319 45", what: ""},
		{name: "unknown symbolic descriptor", hex: "00a30178 45", what: ""},
		{name: "a SASL performative in an AMQP frame", hex: "005344 c00301 5000", what: ""},
		{name: "not described", hex: "45", what: ""},
		{name: "described by a string", hex: "00a10178 45", what: ""},
		{name: "an AMQP performative in a SASL frame", sasl: true, hex: "005318 45", what: ""},
		{name: "no mechanism", sasl: true, hex: "005340 45", what: "sasl-mechanisms.sasl-server-mechanisms"},
		{name: "mechanisms in an array of strings", sasl: true, hex: "005340 c00701 e00401a10178", what: "sasl-mechanisms.sasl-server-mechanisms"},
		{name: "init without mechanism", sasl: true, hex: "005341 45", what: "sasl-init.mechanism"},
		{name: "challenge without challenge", sasl: true, hex: "005342 45", what: "sasl-challenge.challenge"},
		{name: "response without response", sasl: true, hex: "005343 45", what: "sasl-response.response"},
		{name: "outcome without code", sasl: true, hex: "005344 45", what: "sasl-outcome.code"},
		{name: "outcome 5", sasl: true, hex: "005344 c00301 5005", what: "sasl-outcome.code", condition: wire.CondInvalidField},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _, err := Decode(sample{sasl: tt.sasl}.typ(), unhex(t, tt.hex))
			var werr *wire.Error
			if !errors.As(err, &werr) || p != nil {
				t.Fatalf("%v, %v: want a *wire.Error", p, err)
			}
			condition := tt.condition
			if condition == "" {
				condition = wire.CondDecodeError
			}
			if werr.Condition != condition || werr.What != tt.what || werr.Reason == "" {
				t.Errorf("%q, want condition %s of %q", err, condition, tt.what)
			}
		})
	}
}

func TestUnencodablePerformatives(t *testing.T) {
	for _, tt := range []struct {
		name    string
		p       Performative
		payload []byte
	}{
		{"a Go int in properties", &Open{Properties: Map{{Key: Symbol("a"), Value: 1}}}, nil},
		{"host not UTF-8", &Open{Hostname: "\xff"}, nil},
		{"symbol not ASCII", &Begin{OfferedCapabilities: []Symbol{"ö"}}, nil},
		{"sender without initial-delivery-count", &Attach{Role: RoleSender}, nil},
		{"target and coordinator", &Attach{Role: RoleReceiver, Target: &Target{}, Coordinator: &Coordinator{}}, nil},
		{"tag too long", &Transfer{DeliveryTag: make([]byte, 33)}, nil},
		{"unsettled tag too long", &Attach{Role: RoleReceiver, Unsettled: []Unsettled{{Tag: make([]byte, 33)}}}, nil},
		{"bad filter", &Attach{Role: RoleReceiver, Source: &Source{Filter: Map{{Key: 1}}}}, nil},
		{"bad error info", &Close{Error: &Error{Condition: "x", Info: Map{{Key: 1}}}}, nil},
		{"bad annotations in a state", &Disposition{State: &Modified{MessageAnnotations: Map{{Key: 1}}}}, nil},
		{"foreign state", &Disposition{State: &Open{}}, nil},
		{"payload behind a flow", &Flow{}, []byte("x")},
		{"SASL in an AMQP frame", &SASLOutcome{}, nil},
	} {
		dst := []byte{1, 2}
		out, err := Append(dst, 0, tt.p, tt.payload)
		var werr *wire.Error
		if !errors.As(err, &werr) || werr.Offset != -1 {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if !bytes.Equal(out, dst) {
			t.Errorf("%s: dst became %x", tt.name, out)
		}
	}
	for _, p := range []Performative{&Open{}, &SASLMechanisms{}, &SASLInit{Mechanism: "X", InitialResponse: make([]byte, 600)}} {
		if out, err := AppendSASL(nil, p); err == nil || len(out) > 0 {
			t.Errorf("AppendSASL of %T: %x, %v", p, out, err)
		}
	}
}
