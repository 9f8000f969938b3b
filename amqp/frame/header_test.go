package frame

import (
	"bytes"
	"errors"
	"testing"

	"sluice/amqp/wire"
)

func TestParseHeader(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		max       uint32
		want      Header
		bad       bool
	}{
		{name: "empty frame", hex: "00000008 02 00 0000", max: 512, want: Header{Size: 8, DOff: 2}},
		{name: "channel", hex: "00000010 02 00 0102", max: 512, want: Header{Size: 16, DOff: 2, Channel: 258}},
		{name: "SASL", hex: "00000010 02 01 0000", max: 512, want: Header{Size: 16, DOff: 2, Type: TypeSASL}},
		{name: "extended header", hex: "00000010 04 00 0000", max: 512, want: Header{Size: 16, DOff: 4}},
		{name: "at the limit", hex: "00000200 02 00 0000", max: 512, want: Header{Size: 512, DOff: 2}},
		{name: "no limit", hex: "ffffffff 02 00 0000", want: Header{Size: 1<<32 - 1, DOff: 2}},
		{name: "over the limit", hex: "00000201 02 00 0000", max: 512, bad: true},
		{name: "4 GiB", hex: "ffffffff 02 00 0000", max: 65536, bad: true},
		{name: "size 7", hex: "00000007 02 00 0000", max: 512, bad: true},
		{name: "size 0", hex: "00000000 02 00 0000", max: 512, bad: true},
		{name: "data offset in the header", hex: "00000008 01 00 0000", max: 512, bad: true},
		{name: "data offset behind the frame", hex: "00000008 03 00 0000", max: 512, bad: true},
		{name: "largest data offset", hex: "00000200 ff 00 0000", max: 512, bad: true},
		{name: "unknown type", hex: "00000008 02 02 0000", max: 512, bad: true},
		{name: "7 bytes", hex: "00000008 02 00 00", max: 512, bad: true},
	} {
		got, err := ParseHeader(unhex(t, tt.hex), tt.max)
		var werr *wire.Error
		if tt.bad != (err != nil) || tt.bad && (!errors.As(err, &werr) || werr.Condition != wire.CondFramingError) {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestProtocolHeaders(t *testing.T) {
	for id, want := range map[ProtocolID]string{
		ProtocolAMQP: "AMQP\x00\x01\x00\x00", ProtocolTLS: "AMQP\x02\x01\x00\x00", ProtocolSASL: "AMQP\x03\x01\x00\x00",
	} {
		if got := AppendProtocolHeader(nil, id); !bytes.Equal(got, []byte(want)) {
			t.Errorf("%d: %q, want %q", id, got, want)
		}
		if got, err := ParseProtocolHeader([]byte(want)); err != nil || got != id {
			t.Errorf("%q: %v, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "AMQP\x00\x01\x00", "AMQP\x00\x00\x09\x01", "AMQP\x00\x01\x01\x00", "AMQP\x00\x01\x00\x01", "AMQP\x01\x01\x00\x00",
		"amqp\x00\x01\x00\x00", "GET / HTTP/1.1", "\x16\x03\x01\x02\x00\x01\x00\x01"} {
		if id, err := ParseProtocolHeader([]byte(bad)); err == nil {
			t.Errorf("%q is taken as %d", bad, id)
		}
	}
}
