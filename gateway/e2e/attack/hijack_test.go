package attack

import (
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// Whoever knows a client identifier gets nothing by it: neither the session nor its end, on the same node or another.
func TestHijackByClientIdentifier(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			w := s.victim(t, 0, v)
			w.turn()
			token := s.token(s.acme, "meter-of-somebody-else-"+w.id)
			for i := range 20 {
				for _, clean := range []bool{true, false} {
					d, connack := s.try(t, i%2, v, w.id, token, func(c *packet.Connect) { c.CleanStart = clean })
					expectRefused(t, "the attacker", d, connack)
				}
				w.turn()
			}
			w.Disconnect()

			// The session that waits for its owner is as safe.
			d, connack := s.try(t, 1, v, w.id, token, func(c *packet.Connect) { c.CleanStart = true })
			expectRefused(t, "the attacker, while the owner is away,", d, connack)
			again, connack := s.try(t, 1, v, w.id, s.token(s.acme, "meter-"+w.id), rig.Persistent(w.id))
			if connack.Reason.Failed() || !connack.SessionPresent {
				t.Errorf("the owner comes back to %v, session present %v", connack.Reason, connack.SessionPresent)
			}
			again.Disconnect()
		})
	})
}

// The same client identifier of another tenant is another device.
func TestSameClientIdentifierOfAnotherTenant(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.versions(func(t *testing.T, s *site, v packet.Version) {
			w := s.victim(t, 0, v)
			for range 5 {
				other, connack := s.try(t, 1, v, w.id, s.token(s.evil, "meter-"+w.id), rig.Persistent(w.id))
				if connack.Reason.Failed() || connack.SessionPresent {
					t.Errorf("the other tenant's device: %v, session present %v", connack.Reason, connack.SessionPresent)
				}
				w.turn()
				other.Disconnect()
				bye := s.dial(t, 1, v, w.id, s.token(s.evil, "meter-"+w.id))
				bye.Disconnect()
			}
			w.turn()
			w.Disconnect()
		})
	})
}
