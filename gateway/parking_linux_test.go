package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// lot is a node that devices reach over sockets, so that their connections are parked.
type lot struct {
	*bubbleNode
	b       *bubble
	address string
	served  chan error
}

func newLot(t *testing.T, change func(*Options)) *lot {
	t.Helper()
	b := newBubble(t)
	b.change = change
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &lot{bubbleNode: b.start("n", b.store), b: b, address: l.Addr().String(), served: make(chan error, 1)}
	go func() { n.served <- n.Serve(Listener{Listener: l, Auth: b.auth}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		n.stop(ctx)
		if err := <-n.served; err != nil {
			t.Error(err)
		}
	})
	return n
}

// parks has a device connect, and waits until all are parked.
func (n *lot) parks(id string, options ...func(*packet.Connect)) (*mqtttest.Device, *net.TCPConn) {
	n.t.Helper()
	d, c := n.connects(id, options...)
	n.awaitParked(n.Connections())
	return d, c
}

func (n *lot) connects(id string, options ...func(*packet.Connect)) (*mqtttest.Device, *net.TCPConn) {
	n.t.Helper()
	c, err := net.Dial("tcp", n.address)
	if err != nil {
		n.t.Fatal(err)
	}
	d := mqtttest.New(n.t, c, packet.V5)
	if connack := d.Connect(slices.Insert(options, 0, mqtttest.Persistent(id, 3600))...); connack.Reason != packet.Success {
		n.t.Fatal(connack.Reason)
	}
	return d, c.(*net.TCPConn)
}

// awaitParked waits until so many are.
func (n *lot) awaitParked(want int) {
	n.t.Helper()
	n.await(fmt.Sprintf("%d parked connections", want), func() bool { return n.parking.Parked() == want })
}

func (n *lot) await(what string, there func() bool) {
	n.t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for over := time.After(time.Minute); !there(); {
		select {
		case <-look.C:
		case <-over:
			n.t.Fatalf("no %s; %d connections, %d parked", what, n.Connections(), n.parking.Parked())
		}
	}
}

// What is meant for a parked device comes, and its acknowledgement is taken: more messages come than its window has room for.
func TestAParkedDeviceIsServed(t *testing.T) {
	n := newLot(t, nil)
	d, _ := n.parks("dev")
	d.Subscribe("a", 1)
	for i := range 2 * int(n.opt.Bridge.Session.OutboundWindow) {
		n.awaitParked(1)
		n.beats.Add(1)
		n.b.send(n.bubbleNode, "a", fmt.Sprint(i))
		if got := d.Collect(1)[0]; string(got.Payload) != fmt.Sprint(i) || got.Dup {
			t.Fatalf("got %q, DUP %t", got.Payload, got.Dup)
		}
		d.Send(&packet.Pingreq{})
		mqtttest.Expect[*packet.Pingresp](d) // so the acknowledgement was read too
	}
	n.awaitParked(1)
}

// What comes in one piece is taken in order, and a packet that comes in two is waited for.
func TestAParkedDeviceSendsMuchOrLittle(t *testing.T) {
	n := newLot(t, nil)
	d, _ := n.parks("dev")
	for range 3 {
		n.beats.Add(1)
		var all []byte
		for id := packet.ID(1); id <= 10; id++ {
			all = append(all, publishOf(t, id)...)
		}
		d.SendRaw(all)
		for id := packet.ID(1); id <= 10; id++ {
			d.ExpectAck(packet.PUBACK, id)
		}
		n.beats.Add(1)
		d.Send(&packet.Pingreq{})
		mqtttest.Expect[*packet.Pingresp](d)
		n.awaitParked(1)
		last := publishOf(t, 99)
		d.SendRaw(last[:3])
		n.awaitParked(0)
		n.beats.Add(1)
		d.SendRaw(last[3:])
		d.ExpectAck(packet.PUBACK, 99)
		n.awaitParked(1)
	}
}

func publishOf(t *testing.T, id packet.ID) []byte {
	t.Helper()
	b, err := packet.Append(nil, &packet.Publish{Topic: "a/b", QoS: 1, ID: id, Payload: bytes.Repeat([]byte{1}, 100)}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAParkedDeviceIsSilentForTooLong(t *testing.T) {
	n := newLot(t, nil)
	d, _ := n.connects("dev", func(c *packet.Connect) { c.KeepAlive = 1 }) // parked at once, but nobody has to see it in that time
	if reason := mqtttest.Expect[*packet.Disconnect](d).Reason; reason != packet.KeepAliveTimeout {
		t.Errorf("ended with %v", reason)
	}
	d.ExpectClosed()
	n.await("end", func() bool { return n.Connections() == 0 })
}

func TestAParkedDevicesSessionIsTakenOver(t *testing.T) {
	n := newLot(t, nil)
	old, _ := n.parks("dev")
	next := mqtttest.Dial(t, n.address, packet.V5)
	if connack := next.Connect(mqtttest.Persistent("dev", 3600)); !connack.SessionPresent {
		t.Error("the session is not there")
	}
	if reason := mqtttest.Expect[*packet.Disconnect](old).Reason; reason != packet.SessionTakenOver {
		t.Errorf("ended with %v", reason)
	}
	old.ExpectClosed()
	n.await("end of the old connection", func() bool { return n.Connections() == 1 })
	n.awaitParked(1)
}

func TestAParkedDeviceHangsUp(t *testing.T) {
	for name, hangUp := range map[string]func(*net.TCPConn) error{
		"close": (*net.TCPConn).Close, "half": (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			n := newLot(t, nil)
			watch, _ := n.parks("watch")
			watch.Subscribe("will", 1)
			_, c := n.parks("dev", func(c *packet.Connect) { c.Will = &packet.Will{Topic: "will", QoS: 1, Payload: []byte("gone")} })
			if err := hangUp(c); err != nil {
				t.Fatal(err)
			}
			if got := watch.Collect(1)[0]; string(got.Payload) != "gone" {
				t.Errorf("got %q", got.Payload)
			}
			n.await("end", func() bool { return n.Connections() == 1 })
		})
	}
}

// A device that reads nothing is gone after the writer's time limit, although nobody reads from it who could see that.
func TestAParkedDeviceReadsNothing(t *testing.T) {
	n := newLot(t, func(o *Options) { o.WriteTimeout = time.Second })
	d, c := n.parks("dev")
	if err := c.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	d.Subscribe("a", 0)
	n.awaitParked(1)
	large := string(bytes.Repeat([]byte{'x'}, 256<<10))
	n.await("end", func() bool {
		offer(n.bubbleNode, "a", large) // nobody is subscribed any more, perhaps
		return n.Connections() == 0
	})
}

func TestShutdownWithParkedDevices(t *testing.T) {
	n := newLot(t, nil)
	var all []*mqtttest.Device
	for i := range 50 {
		d, _ := n.parks(fmt.Sprint(i))
		all = append(all, d)
	}
	stopped := make(chan struct{})
	go func() {
		n.stop(context.Background())
		close(stopped)
	}()
	for _, d := range all {
		if reason := mqtttest.Expect[*packet.Disconnect](d).Reason; reason != packet.ServerShuttingDown {
			t.Errorf("ended with %v", reason)
		}
		d.Close()
	}
	<-stopped
}

// A node that has no time to stop closes the connections, and is not kept by those that are parked.
func TestShutdownInNoTimeWithParkedDevices(t *testing.T) {
	n := newLot(t, nil)
	for i := range 50 {
		n.parks(fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.stopped = true
	if err := n.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if c, parked := n.Connections(), n.parking.Parked(); c+parked > 0 {
		t.Errorf("%d connections, %d parked", c, parked)
	}
}
