package e2e

import (
	"encoding/json"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// errorRecord is what a device reads on its error topic.
type errorRecord struct {
	Code     byte   `json:"code"`
	Name     string `json:"name"`
	Error    string `json:"error"`
	Message  string `json:"message"`
	Topic    string `json:"topic"`
	PacketID uint16 `json:"packet_id"`
	Trace    string `json:"trace"`
	Time     string `json:"time"`
}

// A message that is refused for good: MQTT 5 is told in PUBACK, 3.1.1 is disconnected; both read on their error topic why, under one trace id,
// also on another node. No other device does.
func TestTheReasonWaitsOnTheErrorTopic(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := rig.Prefix(t)
		file := "rules:\n  - topic: " + prefix + "/must/#\n    require_route: true\n"
		first := rig.StartWith(t, b, file, b.OwnSessions()...)
		second := first // sessions in memory are those of one node
		if b.Name == rig.Real(t).Name {
			second = rig.StartWith(t, b, file, b.OwnSessions()...)
		}
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			other, _ := rig.Dial(t, first, v, rig.Clean(id+"-other"))
			subscribeTo(t, other, session.ErrorTopic, id+"/#")
			d, _ := rig.Dial(t, first, v, rig.Persistent(id))
			subscribeTo(t, d, session.ErrorTopic)
			d.Send(&packet.Publish{Topic: prefix + "/must/" + id, ID: 7, QoS: 1, Payload: []byte("x")})
			trace := ""
			if v == packet.V5 {
				trace = traceIn(t, d, 7)
				d.Disconnect()
			} else {
				d.AwaitClosed()
			}
			again, connack := rig.Dial(t, second, v, rig.Persistent(id))
			if !connack.SessionPresent {
				t.Fatal("the session is gone")
			}
			got := again.Collect(1)[0]
			var r errorRecord
			if err := json.Unmarshal(got.Payload, &r); err != nil {
				t.Fatalf("%s: %v", got.Payload, err)
			}
			if got.Topic != session.ErrorTopic || got.QoS != 1 || r.Code != 0x83 || r.Name != "no-route" || r.Error != "sluice:no-route" ||
				r.Topic != prefix+"/must/"+id || r.PacketID != 7 || len(r.Trace) != 32 || trace != "" && r.Trace != trace {
				t.Errorf("QoS %d on %s: %+v; PUBACK had trace %q", got.QoS, got.Topic, r, trace)
			}
			if v == packet.V5 && got.Properties.ContentType != "application/json" {
				t.Errorf("content type %q", got.Properties.ContentType)
			}
			other.Publish(id+"/end", []byte("end"), 1)
			if m := other.Collect(1)[0]; m.Topic != id+"/end" {
				t.Errorf("another device reads %s on %s", m.Payload, m.Topic)
			}
		})
	})
}

func subscribeTo(t *testing.T, d *mqtttest.Device, filters ...string) {
	t.Helper()
	for _, f := range filters {
		if r := d.Subscribe(f, 1); r.Failed() {
			t.Fatalf("SUBACK for %s: %v", f, r)
		}
	}
}

// traceIn gives the trace id in the PUBACK of a refusal. The record may come before it or behind it.
func traceIn(t *testing.T, d *mqtttest.Device, id packet.ID) string {
	t.Helper()
	for {
		a, ok := d.Recv().(*packet.Ack)
		if !ok {
			continue
		}
		if a.Kind != packet.PUBACK || a.ID != id || a.Reason != packet.ImplementationSpecificError || a.Properties.ReasonString == "" {
			t.Fatalf("%s", mqtttest.Describe(a))
		}
		for _, u := range a.Properties.User {
			if u.Key == "sluice-trace" {
				return u.Value
			}
		}
		t.Fatalf("no trace in %+v", a.Properties)
	}
}
