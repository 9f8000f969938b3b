package hostile

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// writeHigh is how much waits for a device that does not read (gateway/limits.go), readAhead how many packets of a device wait to be handled there,
// and packetMax how large they may be (mqtt.max_packet_size).
const (
	writeHigh = 256 << 10
	readAhead = 8
	packetMax = 256 << 10
)

func atLeast(n, want int) error {
	if n < want {
		return fmt.Errorf("%d, want %d", n, want)
	}
	return nil
}

// each runs an attack on every connection at once, and notes the most memory that is used meanwhile.
func (s *siege) each(attack func(c net.Conn)) {
	var all sync.WaitGroup
	for _, c := range s.conns {
		all.Go(func() { attack(c) })
	}
	over := make(chan struct{})
	go func() {
		all.Wait()
		close(over)
	}()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			s.peak = max(s.peak, memory())
		case <-over:
			return
		}
	}
}

// TestSubscribeFlood: devices that subscribe to as many filters as they may, and to more, of the greatest length and depth. A filter is kept in the session, the
// store, the node's trie and on the bus.
func TestSubscribeFlood(t *testing.T) {
	const attackers, subscriptions, copies = 3, 20, 6
	s := begin(t, fmt.Sprint("limits.subscriptions=", subscriptions))
	for range attackers {
		s.connected(packet.V5, nil)
	}
	s.each(func(c net.Conn) {
		answers := packet.NewReader(c, packetMax)
		answers.SetVersion(packet.V5)
		for i := range 3 * subscriptions {
			filter := fmt.Sprintf("%d/%s", i, strings.Repeat("a/", 30_000))
			if !s.send(c, packet.V5, &packet.Subscribe{ID: packet.ID(i + 1), Subscriptions: []packet.Subscription{{Filter: filter, QoS: packet.QoS(i % 2)}}}) {
				return
			}
			if _, err := answers.ReadPacket(); err != nil {
				return
			}
		}
	})
	s.holds(attackers, subscriptions*copies*64<<10+connectionBytes)
	s.over()
}

// TestSubscribeWithoutReading: SUBSCRIBE packets whose answers nobody reads.
func TestSubscribeWithoutReading(t *testing.T) {
	const attackers = 3
	s := begin(t)
	for range attackers {
		s.connected(packet.V5, nil)
	}
	s.each(func(c net.Conn) {
		many := make([]packet.Subscription, 500)
		for i := range many {
			many[i].Filter = fmt.Sprint("a/#/", i) // not valid: each is refused in words
		}
		for i := range 1000 {
			if !s.send(c, packet.V5, &packet.Subscribe{ID: packet.ID(i + 1), Subscriptions: many}) {
				return
			}
		}
		s.Error("the node goes on reading although nobody reads its answers")
	})
	s.holds(attackers, 4*writeHigh+2*readAhead*packetMax)
	s.ended()
	s.over()
}

// TestAliasFlood: every topic alias has the longest topic, and is given another one again and again.
func TestAliasFlood(t *testing.T) {
	const attackers, aliases, window, longest = 4, 16, 10, 64 << 10
	s := begin(t, fmt.Sprint("mqtt.topic_alias_maximum=", aliases), fmt.Sprint("mqtt.receive_maximum=", window))
	for range attackers {
		s.connected(packet.V5, nil)
	}
	s.each(func(c net.Conn) {
		for i := range 2 * aliases {
			p := &packet.Publish{Topic: fmt.Sprintf("%d/%s", i, strings.Repeat("t", 65_000))}
			p.Properties.SetTopicAlias(uint16(1 + i%aliases))
			if !s.send(c, packet.V5, p) {
				return
			}
		}
		s.send(c, packet.V5, &packet.Pingreq{})
		r := packet.NewReader(c, packetMax)
		r.SetVersion(packet.V5)
		if p, err := r.ReadPacket(); err != nil || p.Type() != packet.PINGRESP {
			s.Errorf("the answer to PINGREQ is %v, %v", p, err)
		}
	})
	// The topic of what is on its way to the bus: as it came, as an address, as it is sent, twice in the client's library, and as it is received.
	const copies = 6
	s.holds(attackers, (aliases+window*copies+readAhead)*longest+connectionBytes)
	s.over()
}

// TestIdentifiersNeverReleased: QoS 2 messages, and never a PUBREL. A 3.1.1 device has no Receive Maximum; it is ended with the 1000th. The record is small,
// whatever the message was, and a session gets no more of them with its next connections.
func TestIdentifiersNeverReleased(t *testing.T) {
	const attackers, records, record = 3, 1000, 1 << 10
	s := begin(t)
	for round := range 3 {
		for i := range attackers {
			s.connected(packet.V311, func(p *packet.Connect) { p.CleanStart, p.ClientID = false, fmt.Sprintf("%s-%d", rig.Prefix(t), i) })
		}
		s.each(func(c net.Conn) {
			go discard(c)
			for i := range 1500 {
				p := &packet.Publish{Topic: "a/b", QoS: 2, ID: packet.ID(1500*round + i + 1), Payload: make([]byte, 1<<10)}
				if !s.send(c, packet.V311, p) {
					return
				}
			}
		})
		s.holds(attackers, records*record+connectionBytes)
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.conns = nil
	}
	for i := range attackers { // the sessions end
		s.connected(packet.V311, func(p *packet.Connect) { p.ClientID = fmt.Sprintf("%s-%d", rig.Prefix(t), i) })
	}
	s.over()
}

func discard(c net.Conn) {
	b := make([]byte, 4<<10)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// TestUserPropertyFlood: packets with as many User Properties as may be, the shortest there are: five bytes each on the wire.
func TestUserPropertyFlood(t *testing.T) {
	const attackers, window = 3, 4
	// In memory a property is many times what it is on the wire: two strings in the packet, a key and a value in the message, and both as the bus gets them.
	const expansion = 60
	s := begin(t, fmt.Sprint("mqtt.receive_maximum=", window))
	for range attackers {
		s.connected(packet.V5, nil)
	}
	s.each(func(c net.Conn) {
		p := &packet.Publish{Topic: "a/b", QoS: 1}
		for range packet.UserPropertiesMax {
			p.Properties.AddUser("", "")
		}
		answers := packet.NewReader(c, packetMax)
		answers.SetVersion(packet.V5)
		for i := range 2 * window {
			p.ID = packet.ID(i + 1)
			if !s.send(c, packet.V5, p) {
				return
			}
			if i < window-1 {
				continue
			}
			if _, err := answers.ReadPacket(); err != nil {
				s.Errorf("no answer to message %d: %v", i, err)
				return
			}
		}
	})
	s.holds(attackers, window*packet.UserPropertiesMax*5*expansion+connectionBytes)
	s.over()
}

// TestNeverReads: devices that subscribe to much and read nothing of it. What does not fit is dropped at QoS 0; the devices are ended after
// mqtt.write_timeout.
func TestNeverReads(t *testing.T) {
	const attackers = 20
	s := begin(t)
	topic := rig.Prefix(t) + "/much"
	for range attackers {
		c := s.connected(packet.V5, nil)
		s.send(c, packet.V5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: topic}}})
	}
	d, _ := rig.Dial(t, s.node, packet.V5, func(p *packet.Connect) { p.ClientID = "much" })
	for range 100 {
		if r := d.Publish(topic, make([]byte, 64<<10), 1); r.Failed() {
			t.Fatalf("PUBACK with %v", r)
		}
	}
	d.Disconnect()
	s.holds(attackers, 2*writeHigh+connectionBytes)
	s.ended()
	s.over()
}
