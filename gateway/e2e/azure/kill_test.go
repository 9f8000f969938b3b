package azure

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"sluice/amqp/embedded"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// publisher sends messages at QoS 2, a window at a time, and carries its exchanges on from connection to connection.
type publisher struct {
	t    *testing.T
	id   string
	conn net.Conn
	r    *packet.Reader

	next     int
	count    int
	open     []*exchange // in the order they were begun
	finished int
}

type exchange struct {
	publish  packet.Publish
	received bool // PUBREC came: PUBREL is what is sent again
}

const window = 8

// connect resumes the session on a node, and sends again what is open [MQTT-4.4.0-1]. It is false while the node cannot be reached.
func (p *publisher) connect(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	p.conn, p.r = conn, packet.NewReader(conn, packet.MaxPacketSize)
	p.r.SetVersion(packet.V5)
	c := &packet.Connect{Version: packet.V5, ClientID: p.id, KeepAlive: 60}
	c.Properties.SetSessionExpiry(600)
	if !p.send(c) {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(rig.Patience))
	got, err := p.r.ReadPacket()
	connack, ok := got.(*packet.Connack)
	if err != nil || !ok || connack.Reason != packet.Success {
		return false
	}
	if !connack.SessionPresent && len(p.open) > 0 {
		p.t.Fatal("the session is gone")
	}
	for _, e := range p.open {
		if e.received {
			ok = p.send(&packet.Ack{Kind: packet.PUBREL, ID: e.publish.ID})
		} else {
			e.publish.Dup = true
			ok = p.send(&e.publish)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (p *publisher) send(packets packet.Packet) bool {
	b, err := packet.Append(nil, packets, packet.V5)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = p.conn.Write(b)
	return err == nil
}

// run publishes until all is done (true) or the connection is lost.
func (p *publisher) run() bool {
	for p.finished < p.count {
		for len(p.open) < window && p.next < p.count {
			e := &exchange{publish: packet.Publish{Topic: "kill/x", QoS: 2, ID: packet.ID(p.next%60_000 + 1), Payload: fmt.Append(nil, "m", p.next)}}
			p.next++
			p.open = append(p.open, e)
			if !p.send(&e.publish) {
				return false
			}
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(rig.Patience))
		got, err := p.r.ReadPacket()
		if err != nil {
			return false
		}
		ack, ok := got.(*packet.Ack)
		if !ok {
			continue
		}
		if ack.Reason.Failed() && ack.Kind == packet.PUBREC {
			p.t.Errorf("PUBREC %d: %v", ack.ID, ack.Reason)
		}
		if !p.answered(ack) {
			return false
		}
	}
	return true
}

func (p *publisher) answered(ack *packet.Ack) bool {
	for i, e := range p.open {
		if e.publish.ID != ack.ID {
			continue
		}
		if ack.Kind == packet.PUBREC {
			e.received = true
			return p.send(&packet.Ack{Kind: packet.PUBREL, ID: ack.ID})
		}
		p.open = append(p.open[:i], p.open[i+1:]...)
		p.finished++
		return true
	}
	return true
}

// nodeProcess is `sluice serve` in a process of its own.
type nodeProcess struct {
	*rig.Process
	address string
	cmd     *exec.Cmd
}

func serve(t *testing.T, binary string, b rig.Backend, id string) *nodeProcess {
	t.Helper()
	args := []string{"serve"}
	for _, set := range append(keys(id), "bus.url="+b.BusURL(), "sessions.url="+b.SessionsURL(), "mqtt.tcp.listen=127.0.0.1:0", "admin.listen=off") {
		args = append(args, "--set", set)
	}
	cmd := exec.Command(binary, args...)
	n := &nodeProcess{Process: rig.RunCommand(t, cmd), cmd: cmd}
	var serving struct{ MQTT string }
	if err := json.Unmarshal([]byte(n.Line(`"msg":"serving"`)), &serving); err != nil {
		t.Fatal(err)
	}
	n.address = serving.MQTT
	return n
}

// TestKilledNodes: nodes are killed (SIGKILL) while a device publishes at QoS 2. What they have sent and not heard of is sent again by the next node under
// the same message-id, and the bus drops it: the application gets each message once.
func TestKilledNodes(t *testing.T) {
	t.Parallel()
	b, broker := rig.Azure(t, namespace(), rig.Alone(t)) // nodes on another bus would do these nodes' work
	binary := build(t)
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	// Answers come late, so that at each kill the bus has messages of which the node does not know.
	broker.Faults().Answer(embedded.Answer{Address: "telemetry", Delay: 20 * time.Millisecond})

	const kills, count = 5, 1500
	p := &publisher{t: t, id: rig.Prefix(t), count: count}
	names := []string{"a", "b"}
	node := serve(t, binary, b, names[0])
	for kill := 1; ; kill++ {
		rig.Eventually(t, "the device is connected", func() error {
			if !p.connect(node.address) {
				if p.conn != nil {
					_ = p.conn.Close()
				}
				return fmt.Errorf("no node on %s", node.address)
			}
			return nil
		})
		killed := make(chan struct{})
		if kill <= kills {
			received := broker.Stats().Received
			go func(n *nodeProcess) {
				defer close(killed)
				if err := broker.Await(rig.Context(t), func(s embedded.Stats) bool { return s.Received >= received+count/10 }); err != nil {
					t.Errorf("no messages were under way: %v", err)
				}
				_ = n.cmd.Process.Kill()
			}(node)
		} else {
			close(killed)
		}
		done := p.run()
		<-killed
		_ = p.conn.Close()
		if done {
			break
		}
		if kill > kills {
			t.Fatal("the connection to a node that was not killed is lost")
		}
		node = serve(t, binary, b, names[kill%2])
	}
	sent := broker.Stats().Received
	got := in.count(app, "telemetry")
	expectEach(t, got, func(i int) string { return fmt.Sprint("m", i) }, count)
	if sent <= count {
		t.Errorf("the bus got %d messages for %d: none came twice, so that this shows nothing", sent, count)
	}
	t.Logf("%d messages, %d of them came to the bus twice", count, sent-count)
}
