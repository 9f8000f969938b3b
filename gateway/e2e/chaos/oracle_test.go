package chaos

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// An oracle that finds nothing proves nothing: each kind of violation is planted here once, beside stories that are allowed.
func TestOracleFindsPlantedDefects(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }
	up1, up2 := identity{up, 7, 1, 1}, identity{up, 7, 2, 1}
	down1, down2 := identity{down, 7, 1, 1}, identity{down, 7, 2, 1}
	second := func(id identity) identity { id.sequence++; return id }
	accepted := message.Outcome{Kind: message.Accepted}
	cut := []span{{at(1), at(1)}}

	for _, c := range []struct {
		name   string
		losses []span
		story  func(l *ledger)
		want   []string
	}{
		{"all is well", nil, func(l *ledger) {
			l.sent(up2, at(0))
			l.arrived(up2, arrival{at: at(1), messageID: "a"})
			l.acknowledged(up2, packet.Success, at(1))
			l.sent(down2, at(0))
			l.decided(down2, accepted, at(1))
			l.arrived(down2, arrival{at: at(2)})
		}, nil},
		{"PUBACK and nothing at the backend", nil, func(l *ledger) {
			l.sent(up1, at(0))
			l.acknowledged(up1, packet.Success, at(1))
		}, []string{"lost"}},
		{"accepted and nothing at the device", nil, func(l *ledger) {
			l.sent(down1, at(0))
			l.decided(down1, accepted, at(1))
		}, []string{"lost"}},
		{"no outcome and nothing at the device", nil, func(l *ledger) {
			l.sent(down1, at(0))
			l.decided(down1, message.Outcome{Kind: message.Lost}, at(1))
		}, nil},
		{"released though the session exists", nil, func(l *ledger) {
			l.sent(down1, at(0))
			l.decided(down1, message.Outcome{Kind: message.Released}, at(1))
		}, []string{"unroutable"}},
		{"a negative PUBACK", nil, func(l *ledger) {
			l.sent(up1, at(0))
			l.acknowledged(up1, packet.QuotaExceeded, at(1))
		}, []string{"refused"}},
		{"QoS 1 twice at a device", nil, func(l *ledger) {
			l.sent(down1, at(0))
			l.arrived(down1, arrival{at: at(1)})
			l.arrived(down1, arrival{at: at(2)})
		}, nil},
		{"QoS 2 twice at a device", nil, func(l *ledger) {
			l.sent(down2, at(0))
			l.arrived(down2, arrival{at: at(1)})
			l.arrived(down2, arrival{at: at(2)})
		}, []string{"twice"}},
		{"sent twice, there twice, flagged", nil, func(l *ledger) {
			l.sent(up2, at(0))
			l.sent(up2, at(1))
			l.arrived(up2, arrival{at: at(2), messageID: "a", flagged: true})
			l.arrived(up2, arrival{at: at(2), messageID: "a"})
		}, nil},
		{"there twice after the loss of a bus connection", cut, func(l *ledger) {
			l.sent(up2, at(0))
			l.arrived(up2, arrival{at: at(1), messageID: "a"})
			l.arrived(up2, arrival{at: at(2), messageID: "a", flagged: true})
			l.acknowledged(up2, packet.Success, at(3))
		}, nil},
		{"there twice though the loss came after the answer", cut, func(l *ledger) {
			l.sent(up2, at(0))
			l.acknowledged(up2, packet.Success, at(0))
			l.arrived(up2, arrival{at: at(0), messageID: "a"})
			l.arrived(up2, arrival{at: at(2), messageID: "a", flagged: true})
		}, []string{"unexplained"}},
		{"there twice, sent once", nil, func(l *ledger) {
			l.sent(up1, at(0))
			l.arrived(up1, arrival{at: at(1), messageID: "a"})
			l.arrived(up1, arrival{at: at(2), messageID: "b", flagged: true})
		}, []string{"unexplained"}},
		{"there twice without a flag", nil, func(l *ledger) {
			l.sent(up2, at(0))
			l.sent(up2, at(1))
			l.arrived(up2, arrival{at: at(2), messageID: "a"})
			l.arrived(up2, arrival{at: at(2), messageID: "a"})
		}, []string{"unflagged"}},
		{"there twice under another message-id", nil, func(l *ledger) {
			l.sent(up2, at(0))
			l.sent(up2, at(1))
			l.arrived(up2, arrival{at: at(2), messageID: "a"})
			l.arrived(up2, arrival{at: at(2), messageID: "b", flagged: true})
		}, []string{"message-id"}},
		{"the second before the first", nil, func(l *ledger) {
			l.sent(up1, at(0))
			l.sent(second(up1), at(0))
			l.arrived(second(up1), arrival{at: at(1)})
			l.arrived(up1, arrival{at: at(2)})
		}, []string{"disorder"}},
		{"the first again after the second", nil, func(l *ledger) {
			l.sent(down1, at(0))
			l.sent(second(down1), at(0))
			l.arrived(down1, arrival{at: at(1)})
			l.arrived(second(down1), arrival{at: at(1)})
			l.arrived(down1, arrival{at: at(2)})
		}, nil},
		{"never sent", nil, func(l *ledger) { l.arrived(up1, arrival{at: at(1)}) }, []string{"unknown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger()
			c.story(l)
			l.judge(c.losses)
			expectKinds(t, l, c.want)
		})
	}
}

func expectKinds(t *testing.T, l *ledger, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(l.wrong))); diff != "" {
		t.Errorf("violations (-want +got):\n%s%v", diff, l.violations())
	}
	for kind := range l.wrong {
		if kinds[kind] == "" {
			t.Errorf("the report does not know violations of the kind %q", kind)
		}
	}
}

// What a device's own half of the session finds out.
func TestSessionFindsPlantedDefects(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one, two := identity{down, 3, 2, 1}, identity{down, 3, 2, 2}
	publish := func(id identity, packetID packet.ID, dup bool) *packet.Publish {
		return &packet.Publish{QoS: 2, ID: packetID, Dup: dup, Payload: id.payload()}
	}
	for _, c := range []struct {
		name    string
		packets []packet.Packet
		want    []string
	}{
		{"again before PUBREL", []packet.Packet{publish(one, 1, false), publish(one, 1, true), &packet.Ack{Kind: packet.PUBREL, ID: 1}}, nil},
		{"again after PUBREL", []packet.Packet{publish(one, 1, false), &packet.Ack{Kind: packet.PUBREL, ID: 1}, publish(one, 1, true)}, []string{"twice"}},
		{"again under another identifier", []packet.Packet{publish(one, 1, false), publish(one, 2, true)}, []string{"twice"}},
		{"another one under an identifier in use", []packet.Packet{publish(one, 1, false), publish(two, 1, false)}, []string{"lost", "swallowed"}},
		{"the identifier after its PUBREL", []packet.Packet{publish(one, 1, false), &packet.Ack{Kind: packet.PUBREL, ID: 1}, publish(two, 1, false)}, nil},
		{"PUBACK for nothing", []packet.Packet{&packet.Ack{Kind: packet.PUBACK, ID: 9}}, []string{"stray"}},
		{"another QoS", []packet.Packet{&packet.Publish{QoS: 1, ID: 1, Payload: one.payload()}}, []string{"quality"}},
		{"somebody else's message", []packet.Packet{&packet.Publish{QoS: 1, ID: 1, Payload: []byte("hello")}}, []string{"unknown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger()
			s := newClientSession(packet.V5, l)
			for _, p := range c.packets {
				if publish, ok := p.(*packet.Publish); ok {
					if id, err := parseIdentity(publish.Payload); err == nil && l.messages[id] == nil {
						l.sent(id, now)
						l.decided(id, message.Outcome{Kind: message.Accepted}, now)
					}
				}
				s.handle(p, now)
			}
			l.judge(nil)
			expectKinds(t, l, c.want)
		})
	}
}

// The device re-sends what the standard says, in order and with the identifiers it had.
func TestSessionResumes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newClientSession(packet.V311, newLedger())
	for i, qos := range []uint8{1, 2, 2, 1} {
		s.begin(identity{up, 3, qos, i + 1}, "t", now)
	}
	s.handle(&packet.Ack{Kind: packet.PUBACK, ID: 1}, now)
	if got := s.handle(&packet.Ack{Kind: packet.PUBREC, ID: 3}, now); !cmp.Equal(got, packet.Packet(&packet.Ack{Kind: packet.PUBREL, ID: 3})) {
		t.Errorf("PUBREC was answered with %+v", got)
	}
	want := []string{"PUBLISH 2 true", "PUBREL 3 false", "PUBLISH 4 true"}
	if diff := cmp.Diff(want, briefly(s.resume(now))); diff != "" {
		t.Errorf("sent again (-want +got):\n%s", diff)
	}
	s.handle(&packet.Ack{Kind: packet.PUBCOMP, ID: 3}, now)
	s.handle(&packet.Ack{Kind: packet.PUBREC, ID: 2}, now)
	s.handle(&packet.Ack{Kind: packet.PUBACK, ID: 4}, now)
	if diff := cmp.Diff([]string{"PUBREL 2 false"}, briefly(s.resume(now))); diff != "" {
		t.Errorf("sent again the second time (-want +got):\n%s", diff)
	}
	expectKinds(t, s.book, nil)
}
