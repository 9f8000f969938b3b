package attack

import (
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// Nothing of a tenant is heard by a device of another: by no filter, neither live nor retained, nor the records of what went wrong.
func TestCrossTenantSubscribe(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			w := s.victim(t, 0, v)
			w.Subscribe("$sluice/errors", 0)
			retained := &packet.Publish{Topic: w.topic, Payload: []byte("kept"), QoS: 1, Retain: true, ID: w.NextID()}
			w.Send(retained)
			w.Collect(1)
			w.ExpectAck(packet.PUBACK, retained.ID)

			for node := range s.nodes {
				spy := s.dial(t, node, v, rig.Prefix(t), s.token(s.evil, rig.Prefix(t)))
				for _, filter := range []string{
					s.acme + "/#", w.topic, s.acme + "/+", "$share/g/" + s.acme + "/#", "$share/g/#", "$sluice/#", "$sluice/errors/#", "$sluice/+", "$share/g/$sluice/errors",
					"#", "+/#", "+/" + w.id, // their own tenant's would be among it
				} {
					if reason := spy.Subscribe(filter, 1); !reason.Failed() {
						t.Errorf("%s is answered with %v", filter, reason)
					}
				}
				for _, filter := range []string{s.evil + "/#", "$sluice/errors"} {
					spy.Subscribe(filter, 1)
				}
				w.isRefused(s.evil+"/x", v)
				if v != packet.V5 {
					w.Device = s.dial(t, 0, v, w.id, s.token(s.acme, "meter-"+w.id), rig.Persistent(w.id))
				}
				w.turn()
				expectOnlyOwn(t, spy, s.evil)
				spy.Disconnect()
			}
			w.Disconnect()
		})
	})
}

// expectOnlyOwn: the first that a device hears is what it publishes itself, although more was published before.
func expectOnlyOwn(t *testing.T, d *mqtttest.Device, tenant string) {
	t.Helper()
	topic := tenant + "/" + rig.Prefix(t)
	if reason := d.Publish(topic, []byte("own"), 1); reason.Failed() {
		t.Fatalf("its own topic is answered with %v", reason)
	}
	if m := d.Collect(1)[0]; m.Topic != topic {
		t.Errorf("it hears %q on %s", m.Payload, m.Topic)
	}
}

// isRefused: publishing to what is another tenant's is answered, and recorded on the device's error topic.
func (w *victim) isRefused(topic string, v packet.Version) {
	w.t.Helper()
	p := &packet.Publish{Topic: topic, Payload: []byte("for another tenant"), QoS: 1, ID: w.NextID()}
	w.Send(p)
	if m := w.Collect(1)[0]; m.Topic != session.ErrorTopic {
		w.t.Errorf("it hears %s", m.Topic)
	}
	if v != packet.V5 {
		w.ExpectClosed()
		return
	}
	if reason := w.ExpectAck(packet.PUBACK, p.ID).Reason; reason != packet.NotAuthorized {
		w.t.Errorf("publishing to another tenant is answered with %v", reason)
	}
}

// What a rule denies inside of what it may hear is held back at delivery: live, from the queue and retained.
func TestDeniedInsideOfAllowed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			teller := s.dial(t, 1, v, rig.Prefix(t), s.token(s.acme, rig.Prefix(t)))
			id, who := rig.Prefix(t), rig.Prefix(t)
			secret, open := s.acme+"/secret/"+id, s.acme+"/open/"+id
			d := s.dial(t, 0, v, id, s.token(s.acme, who), rig.Persistent(id))
			if reason := d.Subscribe(s.acme+"/#", 1); reason != 1 {
				t.Fatalf("SUBACK %v", reason)
			}
			if reason := d.Subscribe(secret, 1); !reason.Failed() {
				t.Errorf("what is denied as a whole is answered with %v", reason)
			}
			tell := func(topic, text string, retain bool) {
				t.Helper()
				p := &packet.Publish{Topic: topic, Payload: []byte(text), QoS: 1, Retain: retain, ID: teller.NextID()}
				teller.Send(p)
				if reason := teller.ExpectAck(packet.PUBACK, p.ID).Reason; reason.Failed() {
					t.Fatalf("%s: %v", topic, reason)
				}
			}
			hears := func(text string) {
				t.Helper()
				if m := d.Collect(1)[0]; string(m.Payload) != text {
					t.Errorf("it hears %q on %s, not %q", m.Payload, m.Topic, text)
				}
			}
			tell(secret, "live secret", true)
			tell(open, "live", false)
			hears("live")
			d.Disconnect()
			tell(secret, "queued secret", false)
			tell(open, "queued", false)
			d = s.dial(t, 1, v, id, s.token(s.acme, who), rig.Persistent(id))
			hears("queued")
			d.Subscribe(s.acme+"/+/#", 1)
			tell(open, "last", false)
			for {
				m := d.Collect(1)[0]
				if m.Topic == secret {
					t.Errorf("it hears %q", m.Payload)
				}
				if string(m.Payload) == "last" {
					break
				}
			}
			d.Disconnect()
			teller.Disconnect()
		})
	})
}
