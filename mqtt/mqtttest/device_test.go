package mqtttest_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// peer is the other end of the connection, as a script writes and reads it.
type peer struct {
	conn net.Conn
	r    *packet.Reader
	v    packet.Version
}

func (p *peer) read() packet.Packet {
	got, err := p.r.ReadPacket()
	if err != nil {
		return nil
	}
	return got
}

func (p *peer) write(packets ...packet.Packet) {
	for _, each := range packets {
		b, err := packet.Append(nil, each, p.v)
		if err != nil {
			panic(err)
		}
		if _, err := p.conn.Write(b); err != nil {
			return
		}
	}
}

// against runs a device over a pipe in fake time, with a script at the other end.
func against(t *testing.T, v packet.Version, script func(*peer), test func(testing.TB, net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer far.Close()
			script(&peer{conn: far, r: packet.NewReader(far, 0), v: v})
		}()
		test(t, near)
		near.Close()
		<-done
	})
}

func TestConnectSubscribePublishCollect(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		message := func(id packet.ID, qos packet.QoS) *packet.Publish {
			return &packet.Publish{ID: id, QoS: qos, Topic: "cmd", Payload: []byte{byte(id)}}
		}
		var seen []string
		script := func(p *peer) {
			p.r.SetVersion(v)
			see := func() packet.Packet {
				got := p.read()
				seen = append(seen, fmt.Sprintf("%T", got))
				return got
			}
			see()
			p.write(&packet.Connack{})
			subscribe := see().(*packet.Subscribe)
			p.write(message(1, 1), &packet.Suback{ID: subscribe.ID, Reasons: []packet.ReasonCode{1}})
			see() // QoS 0: nothing answers
			p.write(&packet.Ack{Kind: packet.PUBACK, ID: see().(*packet.Publish).ID})
			id := see().(*packet.Publish).ID
			p.write(message(2, 2), &packet.Ack{Kind: packet.PUBREC, ID: id})
			see()
			p.write(&packet.Ack{Kind: packet.PUBCOMP, ID: id})
			see()                                                           // PUBACK 1
			see()                                                           // PUBREC 2
			p.write(message(2, 2))                                          // again, within its exchange
			see()                                                           // PUBREC 2
			p.write(message(3, 1), &packet.Ack{Kind: packet.PUBREL, ID: 2}) // 3 is one more than collected
			see()                                                           // PUBCOMP 2
			see()                                                           // DISCONNECT
		}
		against(t, v, script, func(t testing.TB, c net.Conn) {
			d := mqtttest.New(t, c, v)
			if connack := d.Connect(mqtttest.ClientID("c")); connack.Reason != packet.Success {
				t.Fatalf("CONNACK %+v", connack)
			}
			if r := d.Subscribe("cmd", 1); r != packet.GrantedQoS1 {
				t.Errorf("Subscribe: %v", r)
			}
			for qos := range packet.QoS(3) {
				if r := d.Publish("temp", []byte("21"), qos); r != packet.Success {
					t.Errorf("Publish: %v", r)
				}
			}
			got := d.Collect(2)
			if len(got) != 2 || got[0].ID != 1 || got[1].ID != 2 {
				t.Errorf("collected %v", got)
			}
			if p := mqtttest.Expect[*packet.Publish](d); p.ID != 3 {
				t.Errorf("the message beyond Collect is %v", p)
			}
			d.ExpectNothing(time.Hour)
			d.Disconnect()
		})
		want := "[*packet.Connect *packet.Subscribe *packet.Publish *packet.Publish *packet.Publish *packet.Ack *packet.Ack " +
			"*packet.Ack *packet.Ack *packet.Ack *packet.Disconnect]"
		if fmt.Sprint(seen) != want {
			t.Errorf("%s: the peer saw %v, want %s", v, seen, want)
		}
	}
}

// recorder is a test that may fail: it notes the text and ends its goroutine, as testing.T does.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Cleanup(func()) {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A device that does not get what it expects fails the test and says what was expected and what came.
func TestFailures(t *testing.T) {
	refusal := &packet.Disconnect{Reason: packet.SessionTakenOver}
	refusal.Properties.SetReasonString("elsewhere")
	say := func(packets ...packet.Packet) func(*peer) {
		return func(p *peer) {
			p.write(packets...)
			for p.read() != nil {
			}
		}
	}
	for _, c := range []struct {
		name   string
		script func(*peer)
		test   func(*mqtttest.Device)
		says   []string
	}{
		{"other packet", say(refusal), func(d *mqtttest.Device) { mqtttest.Expect[*packet.Publish](d) },
			[]string{"expected a *packet.Publish", "DISCONNECT, reason 0x8E Session taken over", "elsewhere"}},
		{"silence", say(), func(d *mqtttest.Device) { d.Recv() }, []string{"expected a packet, nothing came in 1m0s"}},
		{"own timeout", say(), func(d *mqtttest.Device) { d.SetTimeout(time.Second); d.Recv() }, []string{"nothing came in 1s"}},
		{"closed", func(*peer) {}, func(d *mqtttest.Device) { d.Recv() }, []string{"expected a packet, the connection was closed"}},
		{"not a packet", func(p *peer) { _, _ = p.conn.Write([]byte{0x36, 0}) }, func(d *mqtttest.Device) { d.Recv() },
			[]string{"no packet", "MQTT-3.3.1-4"}},
		{"other acknowledgement", say(&packet.Ack{Kind: packet.PUBREC, ID: 2}),
			func(d *mqtttest.Device) { d.ExpectAck(packet.PUBACK, 2) }, []string{"expected PUBACK 2, got PUBREC 2"}},
		{"still open", say(), func(d *mqtttest.Device) { d.ExpectClosed() }, []string{"still open after 1m0s"}},
		{"packet instead of the end", say(&packet.Pingresp{}), func(d *mqtttest.Device) { d.ExpectClosed() },
			[]string{"expected the end of the connection, got PINGRESP"}},
		{"packet instead of nothing", say(&packet.Pingresp{}), func(d *mqtttest.Device) { d.ExpectNothing(time.Second) },
			[]string{"expected nothing for 1s, got PINGRESP"}},
		{"half a packet instead of nothing", func(p *peer) { _, _ = p.conn.Write([]byte{0x30}); p.read() },
			func(d *mqtttest.Device) { d.ExpectNothing(time.Second) }, []string{"expected nothing for 1s, got 1 bytes"}},
		{"the end instead of nothing", func(*peer) {}, func(d *mqtttest.Device) { d.ExpectNothing(time.Second) },
			[]string{"expected nothing for 1s, got EOF"}},
		{"refused while collecting", say(&packet.Publish{Topic: "a"}, refusal), func(d *mqtttest.Device) { d.Collect(2) },
			[]string{"expected 2 messages, got DISCONNECT", "after 1"}},
		{"disconnected while publishing", func(p *peer) { p.read(); p.write(refusal) },
			func(d *mqtttest.Device) { d.Publish("t", nil, 1) }, []string{"expected PUBACK 1, got DISCONNECT"}},
		{"illegal packet", say(), func(d *mqtttest.Device) { d.Send(&packet.Publish{Topic: "#"}) }, []string{"SendRaw"}},
		{"nobody reads", func(p *peer) { _, _ = p.r.ReadPacket(); <-time.After(time.Minute) },
			func(d *mqtttest.Device) { d.SendRaw([]byte{0xC0, 0}); d.SendRaw([]byte{0xC0, 0}) }, []string{"sending 2 raw bytes"}},
		{"reasons do not fit", func(p *peer) {
			p.write(&packet.Suback{ID: p.read().(*packet.Subscribe).ID, Reasons: []packet.ReasonCode{0, 0}})
		}, func(d *mqtttest.Device) { d.Subscribe("a", 0) }, []string{"2 reasons for one filter"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := func(p *peer) {
				p.r.SetVersion(packet.V5)
				c.script(p)
			}
			against(t, packet.V5, script, func(_ testing.TB, conn net.Conn) {
				r := &recorder{}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					c.test(mqtttest.New(r, conn, packet.V5))
				}()
				<-ended
				for _, part := range c.says {
					if !strings.Contains(r.failure, part) {
						t.Errorf("the test failed with %q, want %q in it", r.failure, part)
					}
				}
			})
		})
	}
}

// On a real socket, with a reset and a normal end.
func TestOverTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, linger := range []int{-1, 0} {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			p := &peer{conn: c, r: packet.NewReader(c, 0), v: packet.V5}
			p.read()
			p.write(&packet.Connack{Reason: packet.NotAuthorized})
			p.read()
			_ = c.(*net.TCPConn).SetLinger(linger)
			_ = c.Close()
		}
	}()
	for range 2 {
		d := mqtttest.Dial(t, listener.Addr().String(), packet.V5)
		if connack := d.Connect(mqtttest.Persistent("c", 60)); connack.Reason != packet.NotAuthorized {
			t.Fatalf("CONNACK %+v", connack)
		}
		d.Send(&packet.Pingreq{})
		d.ExpectClosed()
		d.Close()
	}
	<-done
}
