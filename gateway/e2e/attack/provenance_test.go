package attack

import (
	"bytes"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// What a device says about itself does not reach a backend as what the gateway says: User Properties with the names of marks, in a PUBLISH, a Will and CONNECT.
func TestForgedProvenance(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		bus := rig.OpenBus(t, s.nodes[0])
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			id, who := rig.Prefix(t), rig.Prefix(t)
			topic := s.evil + "/" + id
			queue := bus.Queue(topic)
			forge := func(p *packet.Properties) {
				if v != packet.V5 {
					return
				}
				for _, name := range []string{mapping.AnnotationPrincipal, mapping.AnnotationClient, mapping.AnnotationTenant, mapping.AnnotationNode, mapping.AnnotationTopic} {
					p.User = append(p.User, packet.UserProperty{Key: name, Value: "forged"})
				}
			}
			d := s.dial(t, 1, v, id, s.token(s.evil, who), func(c *packet.Connect) {
				forge(&c.Properties)
				c.Will = &packet.Will{Topic: topic, Payload: []byte("will"), QoS: 1}
				forge(&c.Will.Properties)
			})
			for _, said := range []string{"publish", "will"} {
				if said == "publish" {
					p := &packet.Publish{Topic: topic, Payload: []byte(said), QoS: 1, ID: d.NextID()}
					forge(&p.Properties)
					d.Send(p)
					if reason := d.ExpectAck(packet.PUBACK, p.ID).Reason; reason.Failed() {
						t.Fatalf("%s: %v", said, reason)
					}
				} else {
					d.Close()
				}
				m := queue.Take()
				if got := string(bytes.Join(m.Data, nil)); got != said {
					t.Fatalf("the backend gets %q, not %q", got, said)
				}
				for name, want := range map[string]string{
					mapping.AnnotationTenant: s.evil, mapping.AnnotationPrincipal: who, mapping.AnnotationClient: id, mapping.AnnotationTopic: topic,
				} {
					if got := mapping.Mark(m, name); got != want {
						t.Errorf("%s: %s is %v, not %s", said, name, got, want)
					}
				}
				for name, value := range m.ApplicationProperties {
					if value == "forged" {
						t.Errorf("%s: application property %s is forged", said, name)
					}
				}
			}
		})
	})
}
