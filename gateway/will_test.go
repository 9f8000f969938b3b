package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/access"
	"sluice/gateway/records"
	"sluice/mqtt/packet"
)

func TestAWillSurvivesTheStore(t *testing.T) {
	full := &packet.Will{Topic: "gone/away", Payload: []byte{0, 1, 255}, QoS: 2, Retain: true}
	p := &full.Properties
	p.SetWillDelay(7)
	p.SetPayloadFormat(0)
	p.SetMessageExpiry(60)
	p.SetContentType("application/json")
	p.SetResponseTopic("answers")
	p.SetCorrelationData([]byte{9, 8})
	p.AddUser("k", "1")
	p.AddUser("k", "2")
	for _, w := range []*packet.Will{full, {Topic: "t"}} {
		stored, err := storedWill(w, access.Anonymous())
		if err != nil {
			t.Fatal(err)
		}
		if stored.Delay != w.Properties.WillDelay {
			t.Errorf("delay %d, want %d", stored.Delay, w.Properties.WillDelay)
		}
		got, err := records.DecodePublish(stored.Message)
		if err != nil {
			t.Fatal(err)
		}
		want := &packet.Publish{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, Properties: w.Properties, ID: got.ID}
		want.Properties.Clear(packet.PropWillDelay)
		want.Properties.WillDelay = 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	if w, err := storedWill(nil, access.Anonymous()); w != nil || err != nil {
		t.Errorf("no will: %v, %v", w, err)
	}
}

func TestABrokenStoredWillIsAnErrorNotAPanic(t *testing.T) {
	good, err := storedWill(&packet.Will{Topic: "t", Payload: []byte("x"), QoS: 1}, access.Anonymous())
	if err != nil {
		t.Fatal(err)
	}
	for n := range good.Message {
		if _, err := records.DecodePublish(good.Message[:n]); err == nil {
			t.Errorf("the first %d bytes pass for a Will", n)
		}
	}
	if _, err := records.DecodePublish(append([]byte{0xC0, 0}, good.Message...)); err == nil {
		t.Error("a PINGREQ passes for a Will")
	}
}
