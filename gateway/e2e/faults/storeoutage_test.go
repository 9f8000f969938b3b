package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/node"
	"sluice/mqtt/packet"
)

const (
	// connectWait is how long a CONNECT waits for the store.
	connectWait = 10 * time.Second
	// storeOutage is longer than that, so that both of its answers are seen, and less than the grace.
	storeOutage = 13 * time.Second
	// outagesMax is far below a line for each of the steps that wait.
	outagesMax = 10
)

// Redis is away: connections are cut and refused.
func TestStoreOutageCut(t *testing.T) {
	t.Parallel()
	rig.Versions(t, func(t *testing.T, v packet.Version) { storeAway(t, v, (*proxy).down, (*proxy).up) })
}

// Redis hangs: connections stay and nothing is answered.
func TestStoreOutageFrozen(t *testing.T) {
	t.Parallel()
	rig.Versions(t, func(t *testing.T, v packet.Version) { storeAway(t, v, (*proxy).freeze, (*proxy).thaw) })
}

// Redis away, or slow, for all nodes, under traffic of every kind in both directions: nothing is lost, nothing comes twice, and when it is back no
// node takes another one for dead.
func TestStoreFaultsUnderTraffic(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ fail, heal func(*proxy) }{
		"cut":    {(*proxy).down, (*proxy).up},
		"frozen": {(*proxy).freeze, (*proxy).thaw},
		"slow":   {func(p *proxy) { p.slow(slowness) }, func(p *proxy) { p.slow(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := newProxy(t, rig.Alone(t), "6379")
			var fleets []*fleet
			for range 2 {
				n := rig.Start(t, rig.Real(t), "sessions.url="+url, patient)
				f := newFleet(n, openBackend(t, n.BusURL))
				f.connect(t)
				fleets = append(fleets, f)
			}
			through(t, fleets, storeOutage, func() { fault.fail(p) }, func() { fault.heal(p) })
		})
	}
}

// storeAway: a node that is cut off from a store which others reach is dead to them, and they may take its sessions over; this is about a store that is
// away for everybody.
func storeAway(t *testing.T, v packet.Version, fail, heal func(*proxy)) {
	b := startBus(t)
	p, url := newProxy(t, rig.Alone(t), "6379")
	n, logs := startObserved(t, "bus.url="+b.url(), "sessions.url="+url, patient)
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	queue := app.queue(prefix + "/#")
	o := newOracle(b)
	join := func(name string) *device {
		d := connect(t, n.TCP, deviceOptions{name: prefix + name, v: v, persistent: true, keepAlive: 60, judge: o.judge})
		go d.keepPinging()
		return d
	}
	careless, plain, exact, listener := join("-qos0"), join("-qos1"), join("-qos2"), join("-listener")
	away := join("-away") // comes back in the outage
	if r, err := away.subscribe(prefix+"/away", 1); err != nil || r.Failed() {
		t.Fatalf("SUBACK %v, %v", r, err)
	}
	away.close()
	before := b.Stats()

	fail(p)
	asked := time.Now()
	sent0 := publishAll(careless, prefix+"/up", 0, 200)
	sent1 := publishAll(plain, prefix+"/up", 1, 200)
	sent2 := publishAll(exact, prefix+"/up", 2, 200)
	early := reconnecting(n, deviceOptions{name: prefix + "-new", v: v, persistent: true})
	subscribed := make(chan error, 1)
	go func() {
		r, err := listener.subscribe(prefix+"/down", 1)
		if err == nil && r.Failed() {
			err = fmt.Errorf("SUBACK %v", r)
		}
		subscribed <- err
	}()
	for _, telemetry := range []*streamed{sent0, sent1} { // it does not need the store
		if err := <-telemetry.done; err != nil {
			t.Error(err)
		}
	}
	plain.settled(t)
	rig.Eventually(t, "telemetry is at the bus", func() error {
		if got := b.Stats().Received - before.Received; got < 400 {
			return fmt.Errorf("%d messages", got)
		}
		return nil
	})
	expectReady(t, n, 503)
	exact.expectStuck(t)

	// The first CONNECT is refused before the store is back, the second one still waits then.
	first := <-early
	if first.waited > connectWait+pingLimit {
		t.Errorf("CONNECT was not answered for %v", first.waited)
	}
	expectRefused(t, first, v)
	// A node may need some seconds to notice that the store is back, and a CONNECT does not wait for ever.
	<-time.After(time.Until(asked.Add(storeOutage - time.Second)))
	late := reconnecting(n, away.deviceOptions)
	select {
	case err := <-subscribed:
		t.Errorf("SUBACK came although nothing could be stored (%v)", err)
	case <-time.After(time.Until(asked.Add(storeOutage))): // the outage, not a guess
	}
	if got := len(exact.allAnswers()); got > 0 {
		t.Errorf("%d PUBRECs came although nothing could be stored", got)
	}
	if got := b.Stats().Received - before.Received; got > 400 {
		t.Errorf("%d messages went to the bus, more than the 400 of QoS 0 and 1", got)
	}
	heal(p)

	if err := <-sent2.done; err != nil {
		t.Error(err)
	}
	if err := <-subscribed; err != nil {
		t.Error(err)
	}
	expectResumed(t, <-late)
	for _, d := range []*device{careless, plain, exact, listener} {
		d.settled(t)
		d.expectAlive(t)
		d.expectAnswersInOrder(t)
	}
	expectReady(t, n, 200)
	c := app.consume(queue)
	c.expect(t, slices.Concat(sent0.payloads, sent1.payloads, sent2.payloads))
	c.expectNoDuplicates(t)
	// One line that it is away and one that it is back. A machine that stands still for seconds, with answers of the store unread, makes outages of its own.
	if begun, over := countLines(logs, "^session store .*: steps wait"), countLines(logs, "^session store .* again$"); begun < 1 || begun > outagesMax || over != begun {
		t.Errorf("the log has %d lines that the store is away and %d that it is back", begun, over)
	}
	if lines := logs.Len(); lines > 60 {
		t.Errorf("the log has %d lines", lines)
	}
}

// publishAll has d publish n messages at one QoS.
func publishAll(d *device, topic string, qos packet.QoS, n int) *streamed {
	s := &streamed{done: make(chan error, 1)}
	for i := range n {
		s.payloads = append(s.payloads, streamPayload(d.name, qos, i))
	}
	go func() {
		var err error
		for _, p := range s.payloads {
			if err = d.publish(topic, p, qos); err != nil {
				break
			}
		}
		s.done <- err
	}()
	return s
}

type connected struct {
	device *device
	err    error
	waited time.Duration
}

// reconnecting connects and gives the result once there is a CONNACK.
func reconnecting(n *node.Node, o deviceOptions) <-chan connected {
	done := make(chan connected, 1)
	go func() {
		began := time.Now()
		d, err := dial(n.TCP, o)
		done <- connected{d, err, time.Since(began)}
	}()
	return done
}

// expectRefused demands "server unavailable" in the words of the version: 0x88, 0x03 in 3.1.1.
func expectRefused(t *testing.T, c connected, v packet.Version) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.device.close()
	if r := c.device.connack.Reason; r != packet.ServerUnavailable || c.device.connack.SessionPresent {
		t.Errorf("CONNACK %v in the outage, want %v", r, packet.ServerUnavailable)
	}
}

// expectResumed demands that the session was there: claiming that it is not would make the device forget its state.
func expectResumed(t *testing.T, c connected) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.device.close()
	if a := c.device.connack; a.Reason != packet.Success || !a.SessionPresent {
		t.Errorf("CONNACK %v, session present %t, after the outage", a.Reason, a.SessionPresent)
	}
}
