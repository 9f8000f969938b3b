package sim

import (
	"fmt"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// TestReplacingBringsEachMessageOnce: nothing fails, and devices ask for other QoS and for more or fewer filters that overlap, while others publish. A
// subscription that matches all is there all the time, so each message is to come, and once ([MQTT-3.8.4-4], [3.1.1 MQTT-3.8.4-3]).
func TestReplacingBringsEachMessageOnce(t *testing.T) {
	for seed := range uint64(60) {
		if err := replacing(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

const (
	replacingLasts = 5 * time.Second
	replacingEach  = 150 // messages of each publisher
)

func replacing(seed uint64) error {
	w := newWorld(seed, nil)
	w.plan = plan{busThinks: w.between(time.Millisecond, 20*time.Millisecond)}
	for slot := range 2 {
		w.nodes = append(w.nodes, w.startNode(slot))
	}
	for _, n := range w.nodes { // one of them can be slow to hear from the bus
		n.toBus.slow = w.between(0, 30*time.Millisecond)
	}
	for i := range 4 {
		d := newDevice(w, i)
		d.version, d.persistent, d.receiveMax = packet.V5, true, uint16(1+w.rng.IntN(6))
		d.thinks = w.between(time.Millisecond, 20*time.Millisecond)
		if i < 2 {
			d.filters = []subscription{
				{filter: "t/#", qos: packet.QoS(w.rng.IntN(3)), wanted: true, volatile: true},
				{filter: "t/1", qos: packet.QoS(w.rng.IntN(3)), wanted: w.chance(0.5), volatile: true},
				{filter: "+/1", qos: packet.QoS(w.rng.IntN(3)), wanted: w.chance(0.5), volatile: true},
			}
		}
		w.devices = append(w.devices, d)
		d.offline = w.after(w.between(0, 10*time.Millisecond), d.connect)
	}
	w.run(epochOfTime.Add(20 * time.Second)) // a node takes no devices before it has its lease
	for _, d := range w.devices[:2] {
		if !d.filters[0].confirmed {
			return fmt.Errorf("%s is not subscribed", d.id)
		}
		d.replaces(w.now.Add(replacingLasts))
	}
	for _, d := range w.devices[2:] {
		for n := range replacingEach {
			m := &appMessage{key: fmt.Sprintf("%s-%d", d.id, n), topic: fmt.Sprintf("t/%d", w.rng.IntN(2)), qos: packet.QoS(w.rng.IntN(3))}
			w.after(w.between(0, replacingLasts), func() { d.publish(m) })
		}
	}
	w.run(w.now.Add(replacingLasts + 30*time.Second))
	if w.stopped != nil {
		return w.stopped
	}
	return w.eachOnce()
}

// replaces asks for something else again and again.
func (d *device) replaces(until time.Time) {
	w := d.w
	w.after(w.between(time.Millisecond, 150*time.Millisecond), func() {
		if w.now.After(until) {
			return
		}
		defer d.replaces(until)
		if len(d.requests) > 0 {
			return
		}
		i := w.rng.IntN(len(d.filters))
		f := &d.filters[i]
		if i > 0 && f.wanted && w.chance(0.5) {
			f.wanted = false
			d.request(false, []int{i})
			return
		}
		qos := packet.QoS(w.rng.IntN(3))
		f.confirmed = f.confirmed && f.qos > 0 && qos > 0
		f.wanted, f.qos = true, qos
		d.request(true, []int{i})
	})
}

func (w *world) eachOnce() error {
	if n := len(w.oracle.order); n != 2*replacingEach {
		return fmt.Errorf("%d messages were published", n)
	}
	for _, d := range w.devices[:2] {
		for _, r := range w.oracle.order {
			if n := w.oracle.gotBy(d, r.key).times; n != 1 {
				return fmt.Errorf("%s (QoS %d to %s) came to %s %d times", r.key, r.qos, r.topic, d.id, n)
			}
		}
	}
	return w.unfinished()
}
