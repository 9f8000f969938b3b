package e2e

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

const (
	killedDevices = 12
	killedTimes   = 6
	// killedBetween is how many messages each device sees acknowledged between two kills, so that a kill meets exchanges in every state.
	killedBetween = 20
)

// Nodes are killed (SIGKILL), one after the other, under devices that publish at QoS 2 and go on through the other node. A backend on the bus gets
// each message once: where the bus drops duplicates without exception, elsewhere but for copies that are flagged [MQTT-4.3.3-10].
func TestQoS2ThroughKilledNodesReachesABackendOnce(t *testing.T) {
	t.Parallel()
	for _, b := range []rig.Backend{rig.Real(t), rig.Artemis(t)} {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			prefix := rig.Prefix(t)
			nodes := &mortals{t: t, b: b}
			nodes.start(0)
			nodes.start(1)
			count := countOnBus(t, b, prefix)
			var devices []*persistent
			var publishing sync.WaitGroup
			stop := make(chan struct{})
			end := sync.OnceFunc(func() { close(stop); publishing.Wait() })
			t.Cleanup(end)
			for i := range killedDevices {
				d := &persistent{nodes: nodes, at: i, id: fmt.Sprintf("%s-%d", prefix, i), topic: fmt.Sprintf("%s/%d", prefix, i)}
				devices = append(devices, d)
				publishing.Go(func() { d.run(stop) })
			}
			for i := range killedTimes {
				progress(t, devices, killedBetween)
				nodes.kill(i % 2)
				progress(t, devices, killedBetween)
				nodes.start(i % 2)
			}
			progress(t, devices, killedBetween)
			end()
			count.check(t, devices, b.Dialect.DuplicateID() != "")
		})
	}
}

// progress waits until each device has seen more messages acknowledged.
func progress(t *testing.T, devices []*persistent, more int) {
	t.Helper()
	want := make([]int, len(devices))
	for i, d := range devices {
		want[i] = d.acknowledged() + more
	}
	for i, d := range devices {
		rig.Within(t, time.Minute, d.id+" goes on", func() error {
			if n := d.acknowledged(); n < want[i] {
				return fmt.Errorf("%d of %d messages are acknowledged; last: %v", n, want[i], d.trouble())
			}
			return nil
		})
	}
}

// mortals are two nodes, each a process of its own.
type mortals struct {
	t *testing.T
	b rig.Backend

	mu   sync.Mutex
	live [2]*server
}

func (m *mortals) start(i int) {
	m.t.Helper()
	s := serve(m.t, "--set", "bus.url="+m.b.BusURL(), "--set", "sessions.url="+m.b.SessionsURL(), "--set", "retained.queue=off", "--set", "events.address=off")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live[i] = s
}

func (m *mortals) kill(i int) {
	m.t.Helper()
	m.mu.Lock()
	s := m.live[i]
	m.live[i] = nil
	m.mu.Unlock()
	s.Signal(syscall.SIGKILL)
	s.Wait()
}

// address is a node that lives, preferably the one with this number.
func (m *mortals) address(i int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.live[i%2]; s != nil {
		return s.mqtt
	}
	return m.live[(i+1)%2].mqtt
}

// persistent is a device with a session that outlives its connections. It publishes at QoS 2, one message after the other, and takes an unfinished
// exchange up where it was [MQTT-4.4.0-1].
type persistent struct {
	nodes     *mortals
	at        int // where it connects next
	id, topic string

	mu    sync.Mutex
	acked int // messages that have had PUBCOMP
	last  error
}

func (d *persistent) acknowledged() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked
}

func (d *persistent) trouble() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// exchange is a message under way.
type exchange struct {
	number   int
	sent     bool
	received bool // PUBREC has come
}

// run publishes until stop, and then until the last exchange is complete.
func (d *persistent) run(stop <-chan struct{}) {
	x := &exchange{}
	for {
		err := d.connected(stop, x)
		if err == nil {
			return
		}
		d.mu.Lock()
		d.last = err
		d.mu.Unlock()
		d.at++
	}
}

// connected publishes over one connection until that breaks, or stop.
func (d *persistent) connected(stop <-chan struct{}, x *exchange) error {
	conn, err := net.Dial("tcp", d.nodes.address(d.at))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	reader := packet.NewReader(conn, 1<<20)
	reader.SetVersion(packet.V5)
	write := func(p packet.Packet) error {
		b, err := packet.Append(nil, p, packet.V5)
		if err == nil {
			_, err = conn.Write(b)
		}
		return err
	}
	connect := &packet.Connect{Version: packet.V5, ClientID: d.id, KeepAlive: 60}
	connect.Properties.SetSessionExpiry(600)
	if err := write(connect); err != nil {
		return err
	}
	p, err := reader.ReadPacket()
	if connack, ok := p.(*packet.Connack); err != nil || !ok || connack.Reason != packet.Success {
		return fmt.Errorf("CONNECT was answered with %v, %w", p, err)
	} else if x.number > 0 && !connack.SessionPresent {
		return errors.New("the session is gone")
	}
	for {
		if !x.received {
			publish := &packet.Publish{Topic: d.topic, ID: 1, QoS: 2, Dup: x.sent, Payload: fmt.Append(nil, d.id, " ", x.number)}
			x.sent = true
			if err := d.step(write, reader, publish, packet.PUBREC); err != nil {
				return err
			}
			x.received = true
		}
		if err := d.step(write, reader, &packet.Ack{Kind: packet.PUBREL, ID: 1}, packet.PUBCOMP); err != nil {
			return err
		}
		d.mu.Lock()
		d.acked++
		d.mu.Unlock()
		*x = exchange{number: x.number + 1}
		select {
		case <-stop:
			return write(&packet.Disconnect{})
		default:
		}
	}
}

// step sends a packet and reads its answer.
func (d *persistent) step(write func(packet.Packet) error, reader *packet.Reader, p packet.Packet, want packet.Type) error {
	if err := write(p); err != nil {
		return err
	}
	answer, err := reader.ReadPacket()
	if err != nil {
		return err
	}
	if ack, ok := answer.(*packet.Ack); !ok || ack.Kind != want || ack.Reason.Failed() && ack.Reason != packet.PacketIDNotFound {
		return fmt.Errorf("%v was answered with %v", p, answer)
	}
	return nil
}

// tally counts what comes on a queue, by payload.
type tally struct {
	queue *rig.Queue
}

func countOnBus(t *testing.T, b rig.Backend, prefix string) *tally {
	t.Helper()
	return &tally{rig.OpenBus(t, rig.Start(t, b)).Queue(prefix + "/#")}
}

func (c *tally) check(t *testing.T, devices []*persistent, once bool) {
	t.Helper()
	missing, twice := map[string]bool{}, 0
	for _, d := range devices {
		for i := range d.acknowledged() {
			missing[fmt.Sprint(d.id, " ", i)] = true
		}
	}
	sent, seen := len(missing), map[string]any{}
	take := func(d amqp.Delivery) {
		c.queue.Settle(d, message.Outcome{Kind: message.Accepted})
		m := d.Message
		payload := string(m.Data[0])
		if id, again := seen[payload]; again {
			if twice++; once || !mapping.PossibleDuplicate(m) || id != m.Properties.MessageID {
				t.Errorf("%q came again, under %v and %v, flagged %v", payload, id, m.Properties.MessageID, mapping.PossibleDuplicate(m))
			}
			return
		}
		seen[payload] = m.Properties.MessageID
		if !missing[payload] {
			t.Errorf("%q came and was never sent", payload)
		}
		delete(missing, payload)
	}
	for len(missing) > 0 {
		take(c.queue.Next())
	}
	c.queue.ExpectNothing(quiet)
	t.Logf("%d messages at QoS 2 through %d kills: none lost, %d came twice", sent, killedTimes, twice)
}
