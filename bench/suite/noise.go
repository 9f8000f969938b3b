package suite

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/mqtt/packet"
)

// noiseConnections is how many connections one tenant makes its noise from.
const noiseConnections = 20

// noise is what a tenant does who has no regard for its quotas, on one connection, until that ends or until stop is closed.
type noise struct {
	name   string // of the quota that it fills
	metric string // the label of that quota
	make   func(n *noiseMaker, c net.Conn, r *packet.Reader)
}

var noises = []noise{
	{"messages a second", "publish_rate", func(n *noiseMaker, c net.Conn, r *packet.Reader) { n.publish(c, r, 64) }},
	{"bytes a second", "publish_bytes", func(n *noiseMaker, c net.Conn, r *packet.Reader) { n.publish(c, r, 64<<10) }},
	{"messages under way", "in_flight", (*noiseMaker).burst},
	{"retained messages", "retained", (*noiseMaker).retain},
	{"new connections", "connect_rate", func(*noiseMaker, net.Conn, *packet.Reader) {}},
	{"connections", "connections", (*noiseMaker).sit},
	{"subscriptions", "subscriptions", (*noiseMaker).subscribe},
}

// noiseMaker makes one noise.
type noiseMaker struct {
	noise   noise
	address string
	prefix  string
	stop    chan struct{}
	done    sync.WaitGroup
	tries   atomic.Int64 // connections, messages or filters
	passed  atomic.Int64 // those that were not refused
}

func makeNoise(n noise, address, prefix string) *noiseMaker {
	m := &noiseMaker{noise: n, address: address, prefix: prefix, stop: make(chan struct{})}
	for i := range noiseConnections {
		m.done.Go(func() {
			for k := 0; !m.stopped(); k++ {
				m.connection(fmt.Sprintf("%s-%d-%d", prefix, i, k))
			}
		})
	}
	return m
}

func (m *noiseMaker) end() {
	close(m.stop)
	m.done.Wait()
}

func (m *noiseMaker) stopped() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// connection connects, makes its noise and goes. What fails is tried again: that is part of the noise.
func (m *noiseMaker) connection(id string) {
	c, err := net.DialTimeout("tcp", m.address, time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-m.stop:
			_ = c.Close()
		case <-ended:
		}
	}()
	connecting := m.noise.metric == "connections" || m.noise.metric == "connect_rate"
	if connecting {
		m.tries.Add(1)
	}
	p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: id, HasUsername: true, Username: "noisy/" + m.prefix, HasPassword: true, Password: []byte("x")}
	r := packet.NewReader(c, 1<<20)
	r.SetVersion(packet.V5)
	if answer, ok := exchange(c, r, p).(*packet.Connack); !ok || answer.Reason.Failed() {
		return
	}
	if connecting {
		m.passed.Add(1)
	}
	m.noise.make(m, c, r)
}

// exchange sends a packet and gives what comes; nil: the connection is over.
func exchange(c net.Conn, r *packet.Reader, p packet.Packet) packet.Packet {
	b, err := packet.Append(nil, p, packet.V5)
	if err != nil {
		return nil
	}
	if _, err := c.Write(b); err != nil {
		return nil
	}
	answer, err := r.ReadPacket()
	if err != nil {
		return nil
	}
	return answer
}

func (m *noiseMaker) publish(c net.Conn, r *packet.Reader, size int) {
	p := &packet.Publish{Topic: m.prefix + "/noise", QoS: 1, Payload: make([]byte, size)}
	for i := 0; ; i++ {
		p.ID = packet.ID(1 + i%1000)
		m.tries.Add(1)
		answer, ok := exchange(c, r, p).(*packet.Ack)
		if !ok {
			return
		}
		if !answer.Reason.Failed() {
			m.passed.Add(1)
		}
	}
}

// burst publishes as much as it can before it reads the answers.
func (m *noiseMaker) burst(c net.Conn, r *packet.Reader) {
	const burst = 50 // below the Receive Maximum of the listener
	for {
		var b []byte
		for i := range burst {
			var err error
			if b, err = packet.Append(b, &packet.Publish{Topic: m.prefix + "/noise", QoS: 1, ID: packet.ID(1 + i), Payload: make([]byte, 64)}, packet.V5); err != nil {
				return
			}
		}
		m.tries.Add(burst)
		if _, err := c.Write(b); err != nil {
			return
		}
		for range burst {
			p, err := r.ReadPacket()
			if err != nil {
				return
			}
			if answer, ok := p.(*packet.Ack); ok && !answer.Reason.Failed() {
				m.passed.Add(1)
			}
		}
	}
}

// retain keeps one message more each time, for as long as a measurement may take.
func (m *noiseMaker) retain(c net.Conn, r *packet.Reader) {
	const keep = 5 * time.Minute
	for {
		p := &packet.Publish{Topic: fmt.Sprintf("%s/kept/%d", m.prefix, m.tries.Add(1)), QoS: 1, ID: 1, Retain: true, Payload: make([]byte, 64)}
		p.Properties.SetMessageExpiry(uint32(keep.Seconds()))
		answer, ok := exchange(c, r, p).(*packet.Ack)
		if !ok {
			return
		}
		if !answer.Reason.Failed() {
			m.passed.Add(1)
		}
	}
}

// sit keeps the connection.
func (m *noiseMaker) sit(_ net.Conn, r *packet.Reader) { _, _ = r.ReadPacket() }

func (m *noiseMaker) subscribe(c net.Conn, r *packet.Reader) {
	for i := 0; ; i++ {
		p := &packet.Subscribe{ID: packet.ID(1 + i%1000)}
		for k := range 10 {
			p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: fmt.Sprintf("%s/%d/%d", m.prefix, i, k)})
		}
		m.tries.Add(int64(len(p.Subscriptions)))
		answer, ok := exchange(c, r, p).(*packet.Suback)
		if !ok {
			return
		}
		for _, reason := range answer.Reasons {
			if !reason.Failed() {
				m.passed.Add(1)
			}
		}
	}
}
