package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"sluice/gateway/bridge"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/mqtt/transport"
)

// reading is what a device's reader knows. There is one goroutine that reads, or none while the connection is parked: then gw.parking starts one
// as soon as there is something to be read, and whoever ends the connection does. Only that goroutine touches what is here, but for packetMax and place.
type reading struct {
	from    *packet.Reader // nil when a new goroutine begins to read
	version packet.Version // of CONNECT; zero before
	heard   uint32         // the beat of the last packet
	said    uint8          // packets in that beat, as far as they matter
	// packetMax is the largest packet that is read, once the session has one of its own; zero: the listener's.
	packetMax atomic.Int32
	place     transport.Place
}

// begin takes the first packet. It is false when no more are to be read.
func (d *device) begin() bool {
	d.post(session.ConnectionOpened{AssignedClientID: newClientID()})
	return d.read()
}

// serve reads until the connection is parked or ends, and then sees the device's end. Without more, it has ended already.
func (d *device) serve(more bool) {
	for more {
		if more = d.read(); more && d.park() {
			return
		}
	}
	_ = d.conn.Close()
	d.leavePlace()
	d.post(session.ConnectionLost{})
	<-d.done
	d.gw.metrics.connections.Dec()
	d.gw.work.Done()
}

// resume goes on with a connection that was parked.
func (d *device) resume() { d.serve(true) }

// park gives the reader up, unless the device is talking: then another one goes on when there is something to be read (resume). That takes a few microseconds, and
// saves the goroutine, its stack and the reader's buffer for as long as the device says nothing, as most do most of the time.
func (d *device) park() bool {
	r := &d.reading
	if r.said > parkPackets || r.from.Buffered() > 0 {
		return false
	}
	from := r.from
	r.from = nil
	if !d.gw.parking.Park(d.conn, &r.place, d.resume) {
		r.from = from
		return false
	}
	if d.writer.Closed() { // perhaps before there was anybody to wake
		d.gw.parking.Wake(&r.place)
	}
	return true
}

// read takes one packet, as soon as the device may be read from. It is false when no more are to be read.
func (d *device) read() bool {
	if !d.waitReadable() {
		d.discard()
		return false
	}
	r := &d.reading
	fresh := r.from == nil
	if fresh {
		r.from = packet.NewReader(d.conn, 0)
		r.from.SetVersion(r.version)
	}
	r.from.SetMaxPacketSize(d.packetMost())
	p, err := r.from.ReadPacket()
	if err != nil {
		d.readFailed(err)
		return false
	}
	if c, ok := p.(*packet.Connect); ok {
		r.version = c.Version
	}
	d.received(session.PacketReceived{Packet: p}, fresh)
	return true
}

// packetMost is the size of the largest packet that is read.
func (d *device) packetMost() int {
	offered := int(d.listener.Session.MaximumPacketSize)
	if d.reading.version == 0 {
		return min(offered, connectPacketMax)
	}
	if most := d.reading.packetMax.Load(); most > 0 {
		return int(most)
	}
	return offered
}

// received posts what the reader has read. A device that was silent for a while gets a new goroutine for it, unless its reader is one: handling takes a stack of
// 8 KiB, which a goroutine keeps, and with thousands of devices that do little but ping it would be most of the memory. A new one costs about a microsecond.
func (d *device) received(ev bridge.Event, fresh bool) {
	r, beat := &d.reading, d.gw.beats.Load()
	silent := beat-r.heard >= silentBeats
	if beat != r.heard {
		r.heard, r.said = beat, 0
	}
	if r.said <= parkPackets {
		r.said++
	}
	d.mu.Lock()
	if d.finished {
		d.mu.Unlock()
		return
	}
	d.enqueue(ev, silent && !fresh)
}

func (d *device) readFailed(err error) {
	var refused *packet.Error
	if !errors.As(err, &refused) {
		return
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(discardWait))
	d.post(session.PacketMalformed{Err: refused})
	d.discard()
}

// discard reads what the device still sends while our last words are on their way, not to reset the connection under them. The read deadline
// (discardWait, or transport.Writer's) or the writer's time limit ends it.
func (d *device) discard() { _, _ = io.CopyN(io.Discard, d.conn, discardBytes) }

// waitReadable blocks while the device may not be read from. It is false when the device is finished.
func (d *device) waitReadable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.finished && (d.paused || len(d.inbox) >= readAhead || d.writer.Buffered() > writeHigh) {
		d.wake.Wait()
	}
	return !d.finished
}

// WriterLow implements transport.Owner: the device has read enough of what waited for it.
func (d *device) WriterLow() {
	d.wakeReader()
	d.post(writerDrained{})
}

// WriterClosed implements transport.Owner: a parked connection has nobody who would notice.
func (d *device) WriterClosed() { d.gw.parking.Wake(&d.reading.place) }

func (d *device) wakeReader() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake.Broadcast()
}
