package gateway

import (
	"math/bits"
	"runtime"
	"sync"

	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/topic"
)

// fanout hands messages of the node lane to devices. While the bus has more it gathers them: a device then takes several with one event and sends them
// with one system call.
type fanout struct {
	mu      sync.Mutex
	batch   *bridge.Batch
	bytes   int       // of the batch's payloads
	devices []*device // that the batch is for, each once
	matched []*device // by one message
}

// full reports whether the batch is to be handed out even if there is more.
func (f *fanout) full() bool {
	return f.batch != nil && (f.batch.Len() >= bridge.BatchMax || f.bytes >= fanoutBytes)
}

// add gathers a message for the devices whose filters match it now. f.mu is held.
func (f *fanout) add(m *mapping.DownlinkMessage, trie *topic.Trie[*device]) {
	f.matched = trie.Match(f.matched[:0], m.Publish.Topic)
	if len(f.matched) == 0 {
		return
	}
	if f.batch == nil {
		f.batch = &bridge.Batch{}
	}
	bit := uint64(1) << f.batch.Add(m)
	f.bytes += len(m.Publish.Payload)
	for _, d := range f.matched {
		if d.fanned == 0 {
			f.devices = append(f.devices, d)
		}
		d.fanned |= bit
	}
	clear(f.matched) // nothing here keeps a device that has ended
}

// flush hands out what is gathered although more was to come.
func (f *fanout) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handOut()
}

// handOut gives the batch to its devices and returns when they have it. f.mu is held.
func (f *fanout) handOut() {
	if f.batch == nil {
		return
	}
	var others sync.WaitGroup
	rest := f.devices
	for parts := min(runtime.GOMAXPROCS(0), len(rest)/fanoutShare); parts > 1; parts-- {
		share := rest[:len(rest)/parts]
		rest = rest[len(share):]
		others.Go(func() { handTo(share, f.batch) })
	}
	handTo(rest, f.batch)
	others.Wait()
	clear(f.devices)
	f.batch, f.bytes, f.devices = nil, 0, f.devices[:0]
}

func handTo(devices []*device, batch *bridge.Batch) {
	for _, d := range devices {
		which := d.fanned
		d.fanned = 0
		d.postQoS0(bridge.FanoutArrived{Batch: batch, Which: which})
	}
}

// postQoS0 hands QoS 0 deliveries to the device unless it is too far behind; then they are dropped.
func (d *device) postQoS0(ev bridge.FanoutArrived) {
	d.mu.Lock()
	if d.finished {
		d.mu.Unlock()
		return
	}
	if len(d.inbox) >= inboxQoS0Max || d.writer.Buffered() > writeHigh {
		d.mu.Unlock()
		d.gw.metrics.deliveriesDropped.Add(float64(bits.OnesCount64(ev.Which)))
		return
	}
	d.enqueue(ev, false)
}
