package hostile

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

const (
	// connectionBytes is what an idle connection may take, its two ends and goroutines of the tests among it.
	connectionBytes = 48 << 10
	// noise is what the process takes and gives back for reasons of its own: buffers of the bus' client and of the embedded bus.
	noise = 6 << 20
	// patience is how long another device may wait for its own message. Without an attack it is a millisecond; but attackers, bus and node share a machine that may
	// have much else to do, so this shows no more than that nobody waits for the end of an attack.
	patience = 15 * time.Second
	// stuck is how long a node may not read from an attacker that has more to say before that takes it for its answer.
	stuck = 2 * time.Second
	// deadline bounds everything that is waited for.
	deadline = 60 * time.Second
)

// siege is a node under attack, and a device beside it that goes about its business.
type siege struct {
	*testing.T
	node   *rig.Node
	before uint64 // memory
	peak   uint64 // see each
	conns  []net.Conn
	probe  *probe
}

// begin starts a node. set is its configuration.
func begin(t *testing.T, set ...string) *siege {
	t.Helper()
	s := &siege{T: t, node: rig.Start(t, rig.Embedded(), append([]string{"mqtt.connect_timeout=3s", "mqtt.write_timeout=1s"}, set...)...)}
	s.probe = startProbe(t, s.node)
	s.before = memory()
	return s
}

// dial opens a connection. The kernel's buffers are small, so that what is not read is soon the node's matter.
func (s *siege) dial() net.Conn {
	s.Helper()
	c, err := net.Dial("tcp", s.node.TCP)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		s.Fatal(err)
	}
	s.conns = append(s.conns, c)
	return c
}

// connected opens a connection and says CONNECT, as another client each time.
func (s *siege) connected(v packet.Version, change func(*packet.Connect)) net.Conn {
	s.Helper()
	c := s.dial()
	p := &packet.Connect{Version: v, CleanStart: true, ClientID: fmt.Sprintf("%s-%d", rig.Prefix(s.T), len(s.conns))}
	if change != nil {
		change(p)
	}
	s.send(c, v, p)
	r := packet.NewReader(c, 1<<20)
	r.SetVersion(v)
	if p, err := r.ReadPacket(); err != nil {
		s.Fatalf("no CONNACK: %v", err)
	} else if a, ok := p.(*packet.Connack); !ok || a.Reason != packet.Success {
		s.Fatalf("the answer to CONNECT is %v", p)
	}
	return c
}

// send writes packets as far as the node takes them, and reports whether it took all.
func (s *siege) send(c net.Conn, v packet.Version, packets ...packet.Packet) bool {
	s.Helper()
	for _, p := range packets {
		b, err := packet.Append(nil, p, v)
		if err != nil {
			s.Fatal(err)
		}
		if !push(c, b) {
			return false
		}
	}
	return true
}

// push writes for as long as the node goes on reading.
func push(c net.Conn, b []byte) bool {
	_ = c.SetWriteDeadline(time.Now().Add(stuck))
	_, err := c.Write(b)
	return err == nil
}

// holds demands that each attacker takes no more than so many bytes.
func (s *siege) holds(attackers int, each uint64) {
	s.Helper()
	most := s.before + uint64(attackers)*each + noise
	now := max(memory(), s.peak)
	s.peak = 0
	s.Logf("%d attackers: memory went from %.1f to %.1f MiB; at most %.1f", attackers, mib(s.before), mib(now), mib(most))
	if now > most {
		s.Errorf("%d attackers take %.1f MiB together; the bound is %.1f", attackers, mib(now)-mib(s.before), mib(most)-mib(s.before))
	}
}

// ended demands that the node ends all attackers' connections by itself. Nothing is read from them: some are ended for that.
func (s *siege) ended() {
	s.Helper()
	rig.Within(s.T, deadline, "the node has ended the connections", s.alone)
}

// alone: nobody but the probe is connected.
func (s *siege) alone() error {
	if n := s.connections(); n > 1 {
		return fmt.Errorf("%d connections", n)
	}
	return nil
}

// over ends the attack: everything is given back, and the probe has been served all the time.
func (s *siege) over() {
	s.Helper()
	for _, c := range s.conns {
		_ = c.Close()
	}
	rig.Within(s.T, deadline, "the attackers are gone", s.alone)
	rig.Within(s.T, deadline, "memory is given back", func() error {
		if now := memory(); now > s.before+noise {
			return fmt.Errorf("%.1f MiB, it was %.1f", mib(now), mib(s.before))
		}
		return nil
	})
	rounds, longest := s.probe.stop()
	s.Logf("meanwhile another device had %d messages back, after %v at most", rounds, longest)
	if rounds == 0 || longest > patience {
		s.Errorf("another device had %d messages back, after %v at most; want some, within %v", rounds, longest, patience)
	}
}

// connections is how many the node has.
func (s *siege) connections() int {
	s.Helper()
	answer, err := http.Get("http://" + s.node.Admin + "/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "sluice_connections "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.Fatal(err)
			}
			return int(n)
		}
	}
	s.Fatal("there is no sluice_connections")
	return 0
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

// memory is what lives, and stacks. What is allocated while the collector marks counts as living, and under an attack that is much, the more the slower the machine
// is: so it is the least of several looks. What attackers hold is in each of them.
func memory() uint64 {
	http.DefaultClient.CloseIdleConnections()
	least := uint64(math.MaxUint64)
	for range 3 {
		// Two collections, since what has a finalizer goes with the second.
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc+m.StackInuse)
	}
	return least
}

// probe is a device that sends itself a message, again and again.
type probe struct {
	quit chan struct{}
	done sync.WaitGroup
	once sync.Once

	rounds  int
	longest time.Duration
}

func startProbe(t *testing.T, n *rig.Node) *probe {
	t.Helper()
	d, _ := rig.Dial(t, n, packet.V5, mqtttest.ClientID("probe"))
	d.SetTimeout(deadline)
	topic := rig.Prefix(t) + "/probe"
	if r := d.Subscribe(topic, 1); r.Failed() {
		t.Fatalf("SUBACK with %v", r)
	}
	p := &probe{quit: make(chan struct{})}
	first := make(chan struct{})
	p.done.Go(func() {
		pause := time.NewTicker(10 * time.Millisecond)
		defer pause.Stop()
		for {
			began := time.Now()
			if r := d.Publish(topic, []byte("x"), 1); r.Failed() {
				t.Errorf("PUBACK with %v", r)
				return
			}
			d.Collect(1)
			p.longest = max(p.longest, time.Since(began))
			if p.rounds++; p.rounds == 1 {
				close(first)
			}
			select {
			case <-pause.C:
			case <-p.quit:
				return
			}
		}
	})
	t.Cleanup(func() { p.stop() })
	<-first
	return p
}

func (p *probe) stop() (rounds int, longest time.Duration) {
	p.once.Do(func() { close(p.quit) })
	p.done.Wait()
	return p.rounds, p.longest
}
