package gateway

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// prover is a device that publishes, completes every exchange as the standard says, sends again on the next connection what is not complete, and lets
// the oracle judge what it hears.
type prover struct {
	*policy
	o       *oracle
	devices *pipes
	name    string
	v       packet.Version
	total   int

	sent, complete int
	last           packet.ID
	open           []*proof // oldest first
	closes         int      // by the node, of MQTT 3.1.1
	explained      int      // records that can explain one

	// One connection.
	out       []packet.Packet // not yet written
	up        bool            // CONNACK and, if there is one, SUBACK have come
	farewell  *packet.Disconnect
	finishing bool
}

// proof is a PUBLISH that is not complete.
type proof struct {
	publish *packet.Publish
	key     string
	taken   bool // PUBREC came
}

const (
	// proverWindow is how many exchanges a device has open: the Receive Maximum of the node.
	proverWindow = 10
	// proverPause is before a new connection, and proverPatience how long records may be on their way when all is said.
	proverPause    = 10 * time.Millisecond
	proverPatience = time.Minute
)

// run publishes until everything is answered.
func (d *prover) run() {
	for d.complete < d.total || d.explained < d.closes {
		if !d.connection() || d.o.stopped() {
			return
		}
		time.Sleep(proverPause) // in the bubble
	}
}

// connection lives through one connection. It gives false when there is no use in another.
func (d *prover) connection() bool {
	conn, err := d.devices.dial()
	if err != nil {
		d.o.wrong("%s: %v", d.name, err)
		return false
	}
	in, out, ended := make(chan packet.Packet), make(chan packet.Packet), make(chan struct{})
	go d.read(conn, in, ended)
	go d.write(conn, out, ended)
	defer func() {
		close(out)
		_ = conn.Close()
		for range in { // until the reader has ended
		}
	}()
	d.up, d.farewell, d.finishing = false, nil, false
	d.out = append(d.out[:0], d.hello())
	patience := time.NewTimer(proverPatience)
	defer patience.Stop()
	for {
		var next packet.Packet
		var to chan packet.Packet
		if len(d.out) > 0 {
			next, to = d.out[0], out
		}
		select {
		case to <- next:
			d.out = d.out[1:]
			patience.Reset(proverPatience)
		case p, ok := <-in:
			if !ok {
				d.lost()
				return true
			}
			patience.Reset(proverPatience)
			d.heard(p)
			if d.o.stopped() {
				return false
			}
		case <-patience.C:
			if d.complete == d.total {
				d.o.unexplain(d.closes - d.explained)
				return false
			}
			d.o.wrong("%s (%v): nothing happens; %d of %d complete, %d of %d closes explained, open %s", d.name, d.v, d.complete, d.total, d.explained, d.closes, d.keys())
			return false
		}
		if d.up && !d.finishing {
			d.goOn()
		}
	}
}

func (d *prover) keys() (keys []string) {
	for _, e := range d.open {
		keys = append(keys, e.key)
	}
	return keys
}

func (d *prover) read(conn net.Conn, in chan<- packet.Packet, ended chan<- struct{}) {
	defer close(in)
	defer close(ended)
	r := packet.NewReader(conn, 1<<20)
	r.SetVersion(d.v)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			return
		}
		in <- p
	}
}

// write sends what it is given, until there is no more. What cannot be sent is lost with its connection.
func (d *prover) write(conn net.Conn, out <-chan packet.Packet, ended <-chan struct{}) {
	for p := range out {
		b, err := packet.Append(nil, p, d.v)
		if err != nil {
			d.o.wrong("%s: %v", d.name, err)
		}
		if _, err := conn.Write(b); err != nil {
			<-ended
		}
	}
}

func (d *prover) hello() *packet.Connect {
	c := &packet.Connect{Version: d.v, ClientID: d.name}
	if d.v == packet.V5 {
		c.Properties.SetSessionExpiry(3600)
	}
	return c
}

// heard handles a packet.
func (d *prover) heard(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Connack:
		d.opened(p)
	case *packet.Suback:
		if p.Reasons[0].Failed() {
			d.o.note("subscriptions refused") // the bus was away; asked for again
			d.subscribe()
			return
		}
		d.resume()
	case *packet.Publish:
		d.record(p)
	case *packet.Disconnect:
		d.farewell = p
	case *packet.Ack:
		d.acknowledged(p)
	default:
		d.o.wrong("%s: %T", d.name, p)
	}
}

func (d *prover) opened(p *packet.Connack) {
	switch {
	case p.Reason == packet.ServerUnavailable:
		d.o.note("connections refused")
	case p.Reason != packet.Success:
		d.o.wrong("%s: CONNACK %v", d.name, p.Reason)
	case d.subscribes:
		d.subscribe()
	default:
		d.resume()
	}
}

func (d *prover) subscribe() {
	d.out = append(d.out, &packet.Subscribe{ID: d.id(), Subscriptions: []packet.Subscription{{Filter: session.ErrorTopic, QoS: d.subscribeAt}}})
}

// resume sends again what is not complete, in order (MQTT 5, 4.4).
func (d *prover) resume() {
	d.up = true
	for _, e := range d.open {
		if e.taken {
			d.out = append(d.out, &packet.Ack{Kind: packet.PUBREL, ID: e.publish.ID})
			continue
		}
		again := *e.publish // the last connection's writer may still look at the other
		again.Dup = true
		e.publish = &again
		d.o.sent(e.key, d.policy, d.v, e.publish.QoS)
		d.out = append(d.out, e.publish)
	}
}

// goOn publishes while the window has room, and leaves when all is done.
func (d *prover) goOn() {
	for len(d.open) < proverWindow && d.sent < d.total {
		key := fmt.Sprintf("%s/%s/%d", d.policy.name, d.name, d.sent)
		p := &packet.Publish{ID: d.id(), Topic: key, QoS: packet.QoS(1 + d.sent%2), Payload: slices.Concat(keyBegin, []byte(key), keyEnd)}
		d.sent++
		d.open = append(d.open, &proof{publish: p, key: key})
		d.o.sent(key, d.policy, d.v, p.QoS)
		d.out = append(d.out, p)
	}
	if d.complete == d.total && d.explained >= d.closes && len(d.out) == 0 {
		d.finishing = true
		d.out = append(d.out, &packet.Disconnect{})
	}
}

func (d *prover) id() packet.ID {
	for {
		if d.last++; d.last != 0 && d.find(d.last) < 0 {
			return d.last
		}
	}
}

func (d *prover) find(id packet.ID) int {
	return slices.IndexFunc(d.open, func(e *proof) bool { return e.publish.ID == id })
}

func (d *prover) acknowledged(p *packet.Ack) {
	i := d.find(p.ID)
	if i < 0 {
		d.o.wrong("%s: packet type %d for %d, which is not open", d.name, p.Kind, p.ID)
		return
	}
	e := d.open[i]
	first := packet.PUBACK
	if e.publish.QoS == 2 {
		first = packet.PUBREC
	}
	switch {
	case p.Kind == first && !e.taken:
		d.o.answer(e.key, p.Reason)
		if first == packet.PUBREC && !p.Reason.Failed() {
			e.taken = true
			d.out = append(d.out, &packet.Ack{Kind: packet.PUBREL, ID: p.ID})
			return
		}
	case p.Kind == packet.PUBREC: // again, for a PUBLISH sent again
		return
	case p.Kind != packet.PUBCOMP || !e.taken:
		d.o.wrong("%s: packet type %d for %s", d.name, p.Kind, e.key)
		return
	}
	d.open = slices.Delete(d.open, i, i+1)
	d.complete++
}

// record takes a message of the error topic.
func (d *prover) record(p *packet.Publish) {
	if p.QoS == 1 {
		d.out = append(d.out, &packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	}
	var r struct {
		Code  byte
		Name  string
		Topic string
	}
	if err := json.Unmarshal(p.Payload, &r); err != nil || p.Topic != session.ErrorTopic {
		d.o.wrong("%s: %q on %s", d.name, p.Payload, p.Topic)
		return
	}
	if strings.Contains(r.Topic, d.name) {
		d.o.record(r.Topic, packet.ReasonCode(r.Code))
	}
	d.explained++
}

// lost notes how the connection ended: each end has a reason that the device can know.
func (d *prover) lost() {
	switch {
	case d.finishing:
	case d.v == packet.V5 && (d.farewell == nil || d.farewell.Reason != packet.ServerBusy):
		if d.up {
			d.o.wrong("%s: the connection ended with %+v", d.name, d.farewell)
		}
	case d.v == packet.V5:
		d.o.note("DISCONNECT 0x89")
	case d.up:
		d.o.note("closes of 3.1.1")
		if d.subscribes && d.subscribeAt == 1 {
			d.closes++
		}
	}
}
