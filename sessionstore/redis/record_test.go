package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/sessionstore"
)

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		id := rapid.Uint16().Draw(rt, "id")
		sub := sessionstore.Subscription{
			Filter: text, QoS: rapid.Byte().Draw(rt, "qos"), NoLocal: rapid.Bool().Draw(rt, "no local"), RetainHandling: rapid.Byte().Draw(rt, "rh"),
			RetainAsPublished: rapid.Bool().Draw(rt, "rap"), ID: rapid.Uint32().Draw(rt, "sub id"),
		}
		if got, err := decodeSubscription(text, encodeSubscription(sub)); err != nil || got != sub {
			rt.Fatalf("%+v, %v; want %+v", got, err, sub)
		}
		in := sessionstore.Inbound{PacketID: id, MessageID: text, Accepted: sub.NoLocal}
		if got, err := decodeInbound(id, encodeInbound(in)); err != nil || got != in {
			rt.Fatalf("%+v, %v; want %+v", got, err, in)
		}
		out := sessionstore.Outbound{
			PacketID: id, Identity: text, QoS: sub.QoS, Released: sub.NoLocal, Order: rapid.Uint64().Draw(rt, "order"),
			Attempts: rapid.Uint8Range(0, sessionstore.MaxAttempts).Draw(rt, "attempts"),
		}
		if got, err := decodeOutbound(id, encodeOutbound(out)); err != nil || got != out {
			rt.Fatalf("%+v, %v; want %+v", got, err, out)
		}
		kept := sessionstore.Retained{Topic: "t", Principal: text, ClientID: rapid.String().Draw(rt, "client id"), Message: []byte{sub.QoS}}
		if ms := rapid.Int64Range(0, 253402300799999).Draw(rt, "expires"); ms > 0 {
			kept.Expires = time.UnixMilli(ms).UTC()
		}
		if got, err := decodeRetained("t", encodeRetained(kept)); err != nil || !cmp.Equal(got, kept) {
			rt.Fatalf("%+v, %v; want %+v", got, err, kept)
		}
	})
}

func TestForeignRetainedAreRefused(t *testing.T) {
	good := encodeRetained(sessionstore.Retained{Principal: "p", ClientID: "c", Message: []byte("m")})
	for name, value := range map[string]string{
		"version": "\x02" + good[1:], "nothing": "", "cut head": good[:retainedHead-1], "cut names": good[:retainedHead+1],
		"no message": good[:len(good)-1],
	} {
		if got, err := decodeRetained("t", value); !errors.Is(err, errRecord) {
			t.Errorf("%s: %+v, %v; want errRecord", name, got, err)
		}
	}
}

// A later version, or something that is none of ours, is an error and never a guess.
func TestForeignRecordsAreRefused(t *testing.T) {
	flat := func(fields ...any) any { return fields }
	meta := flat("v", "1", "epoch", "5", "incarnation", "5", "owner", "", "expiry", "1")
	none := flat()
	if _, err := decodeSession(testKey, []any{meta, none, none, none}); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	for name, reply := range map[string][]any{
		"parts":                {meta, none, none},
		"no hash":              {meta, "x", none, none},
		"odd hash":             {meta, flat("x"), none, none},
		"number in a hash":     {meta, flat("x", int64(1)), none, none},
		"meta version":         {flat("v", "2"), none, none, none},
		"epoch":                {flat("epoch", "-1"), none, none, none},
		"incarnation":          {flat("incarnation", ""), none, none, none},
		"expiry":               {flat("expiry", "4294967296"), none, none, none},
		"released":             {flat("released", "x"), none, none, none},
		"order":                {meta, flat("f", "x:\x01\x00\x00\x00\x00"), none, none},
		"subscription":         {meta, flat("f", "1:"), none, none},
		"subscription version": {meta, flat("f", "1:\x02\x00\x00\x00\x00"), none, none},
		"identifier cut":       {meta, flat("f", "1:\x01\x00\x00\x00\x80"), none, none},
		"identifier too large": {meta, flat("f", "1:\x01\x00\x00\x00\xff\xff\xff\xff\x7f"), none, none},
		"identifier and more":  {meta, flat("f", "1:\x01\x00\x00\x00\x00\x00"), none, none},
		"packet id":            {meta, none, flat("65536", "\x01\x00"), none},
		"inbound":              {meta, none, flat("1", "\x01"), none},
		"inbound version":      {meta, none, flat("1", "\x02\x00"), none},
		"outbound":             {meta, none, none, flat("1", "\x01\x00\x00")},
		"outbound version":     {meta, none, none, flat("1", "\x02\x00\x00\x00")},
		"outbound order":       {meta, none, none, flat("1", "\x01\x00\x00\x80")},
	} {
		if got, err := decodeSession(testKey, reply); !errors.Is(err, errRecord) {
			t.Errorf("%s: %+v, %v; want errRecord", name, got, err)
		}
	}
}
