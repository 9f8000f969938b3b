package sim

import (
	"fmt"
	"time"

	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// device is a model of an MQTT client as the standard wants it: it keeps its session state whatever happens, connects again to any node, and sends
// again what has no answer, in order.
type device struct {
	w       *world
	id      string
	version packet.Version
	// persistent: the session outlives its connections. Otherwise each connection begins a new one.
	persistent bool
	refuses    float64       // how often it refuses a message (MQTT 5)
	thinks     time.Duration // how long it may take to answer
	filters    []subscription
	receiveMax uint16
	wills      bool   // each of its connections has a Will
	mortal     bool   // it may go down with its node
	gone       bool   // and has, for good
	group      string // the filter of its shared subscription, empty for none
	patient    bool   // its nodes must not notice by its silence that it is gone

	conn    *conn // nil while offline
	online  bool  // CONNACK came
	clean   bool  // a new session is to be begun
	began   bool  // this connection's CONNECT asked for one
	serial  int   // of connections, so that old timers know
	offline *event
	window  int // PUBLISH packets without answer that the server allows

	completed int  // QoS 2 exchanges, as their receiver
	unbound   bool // a node that did not own its session any more took a binding from it

	known    bool                 // CONNACK has promised a session that is to be there next time
	backlog  []*appMessage        // to be published, never sent
	sending  []*outgoing          // QoS 1 and 2 without end, in order
	holding  map[packet.ID]string // QoS 2 received, until PUBREL
	holds    int
	lastID   packet.ID
	requests map[packet.ID]*request // SUBSCRIBE and UNSUBSCRIBE without answer
	answerAt time.Time              // answers leave in order
	heard    time.Time
}

type subscription struct {
	filter    string
	qos       packet.QoS
	noLocal   bool
	volatile  bool // comes and goes
	wanted    bool
	confirmed bool // SUBACK came in this session, and nothing else was asked since
	ended     bool // UNSUBACK came, and nothing else was asked since
}

// appMessage is an application message as its publisher knows it.
type appMessage struct {
	key    string
	topic  string
	qos    packet.QoS
	retain bool
	remove bool // an empty payload removes what is retained; the key is "remove " and the topic then
}

// packet is the PUBLISH of it.
func (m *appMessage) packet() *packet.Publish {
	p := &packet.Publish{Topic: m.topic, QoS: m.qos, Retain: m.retain}
	if !m.remove {
		p.Payload = []byte(m.key)
	}
	return p
}

// outgoing is a QoS 1 or 2 exchange with the device as sender.
type outgoing struct {
	*appMessage
	id     packet.ID
	sent   bool // ever
	pubrec bool
}

type request struct {
	subscribe bool
	index     []int // of filters
}

func opened() session.Event { return session.ConnectionOpened{AssignedClientID: "assigned"} }

// connect opens a connection to any node and says CONNECT. One that is still open is left alone: the network has it, the device not.
func (d *device) connect() {
	w := d.w
	d.offline.cancel()
	d.serial++
	d.online = false
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	d.conn = w.dial(d, n)
	every := 10 + w.rng.IntN(20)
	p := &packet.Connect{Version: d.version, ClientID: d.id, KeepAlive: uint16(every)}
	if d.patient {
		p.KeepAlive = keepAliveLong
	}
	p.CleanStart = !d.persistent || d.clean
	if d.version == packet.V5 {
		if d.persistent {
			p.Properties.SetSessionExpiry(sessionExpiry)
		}
		p.Properties.SetReceiveMaximum(d.receiveMax)
	}
	d.began = p.CleanStart
	if p.CleanStart {
		d.forget()
	}
	if d.wills {
		p.Will = d.newWill()
	}
	d.heard = w.now
	d.conn.toNode(p)
	d.ping(d.serial, time.Duration(every)*time.Second*7/10)
	serial := d.serial
	w.after(claimWait+4*time.Second, func() {
		if d.serial == serial && !d.online {
			d.disconnectAbruptly()
		}
	})
}

// newWill makes a Will that no other connection has.
func (d *device) newWill() *packet.Will {
	w := d.w
	will := &packet.Will{Topic: "w/" + d.id, Payload: fmt.Appendf(nil, "%s-will-%d", d.id, d.serial), QoS: packet.QoS(w.rng.IntN(3))}
	if d.version == packet.V5 && w.chance(0.5) {
		will.Properties.WillDelay = uint32(w.rng.IntN(8))
		will.Properties.Set |= packet.PropWillDelay
	}
	w.oracle.bequeaths(d, will)
	return will
}

// forget is the end of the session on the device's side.
func (d *device) forget() {
	for _, o := range d.sending {
		d.w.oracle.abandoned(d, o.appMessage)
	}
	d.sending = nil
	d.holding, d.holds = map[packet.ID]string{}, 0
	d.requests = map[packet.ID]*request{}
	for i := range d.filters {
		d.filters[i].confirmed = false
	}
	d.known = false
	d.w.oracle.sessionForgotten(d)
}

// removed: a claim has removed the session.
func (d *device) removed() {
	if d.known {
		d.w.fail("P3: the session of %s was removed by a claim, and it did not ask for that", d.id)
	}
}

// ping keeps the connection alive and notices when it is dead.
func (d *device) ping(serial int, every time.Duration) {
	d.w.after(every, func() {
		if d.serial != serial || d.conn == nil {
			return
		}
		if d.w.now.Sub(d.heard) > 2*every {
			d.w.log("device  %s hears nothing", d.id)
			d.disconnectAbruptly()
			return
		}
		if d.online {
			d.conn.toNode(&packet.Pingreq{})
		}
		d.ping(serial, every)
	})
}

// perish: the device goes down with its node. It comes back long after, or never.
func (d *device) perish() {
	w, c := d.w, d.conn
	w.log("device  %s perishes with %s", d.id, c.n.id)
	w.oracle.marks.perished++
	c.up.sever()
	c.down.sever()
	d.conn, d.online = nil, false
	d.serial++
	d.offline.cancel()
	if d.gone = w.chance(0.6); !d.gone {
		d.offline = w.after(w.between(20*time.Second, time.Minute), d.connect)
	}
}

func (d *device) disconnectAbruptly() {
	if c := d.conn; c != nil {
		c.closeByDevice()
		d.connectionLost(c)
	}
}

// disconnect is a normal end.
func (d *device) disconnect() {
	if c := d.conn; c != nil && d.online {
		c.toNode(&packet.Disconnect{})
		c.closeByDevice()
		d.connectionLost(c)
	}
}

// connectionLost has the device come back after a while.
func (d *device) connectionLost(c *conn) {
	if d.conn != c {
		return
	}
	d.w.log("device  %s is offline", d.id)
	d.conn, d.online = nil, false
	d.serial++
	pause := d.w.between(5*time.Millisecond, 500*time.Millisecond)
	if d.w.chance(0.3) {
		pause = d.w.between(500*time.Millisecond, 6*time.Second)
	}
	d.offline.cancel()
	d.offline = d.w.after(pause, d.connect)
}

// publish takes a message of the application.
func (d *device) publish(m *appMessage) {
	d.backlog = append(d.backlog, m)
	d.flush()
}

// flush sends what the window allows.
func (d *device) flush() {
	for d.online && len(d.backlog) > 0 {
		m := d.backlog[0]
		if m.qos > 0 && len(d.sending) >= min(d.window, packetIDs/2) {
			return
		}
		d.backlog = d.backlog[1:]
		d.w.oracle.published(d, m)
		if m.qos == 0 {
			d.conn.toNode(m.packet())
			continue
		}
		o := &outgoing{appMessage: m, id: d.newID()}
		d.sending = append(d.sending, o)
		d.send(o)
	}
}

func (d *device) send(o *outgoing) {
	if o.pubrec {
		d.conn.toNode(&packet.Ack{Kind: packet.PUBREL, ID: o.id})
		return
	}
	p := o.packet()
	p.ID, p.Dup = o.id, o.sent
	d.conn.toNode(p)
	o.sent = true
}

func (d *device) newID() packet.ID {
	for {
		d.lastID = d.lastID%packetIDs + 1
		if d.find(d.lastID) == nil && d.requests[d.lastID] == nil {
			return d.lastID
		}
	}
}

func (d *device) find(id packet.ID) *outgoing {
	for _, o := range d.sending {
		if o.id == id {
			return o
		}
	}
	return nil
}

func (d *device) end(o *outgoing) {
	for i, other := range d.sending {
		if other == o {
			d.sending = append(d.sending[:i:i], d.sending[i+1:]...)
			break
		}
	}
	d.flush()
}

// request asks for the filters that are wanted and not confirmed, or the other way round.
func (d *device) request(subscribe bool, index []int) {
	if len(index) == 0 || !d.online {
		return
	}
	id := d.newID()
	d.requests[id] = &request{subscribe, index}
	if !subscribe {
		p := &packet.Unsubscribe{ID: id}
		for _, i := range index {
			d.filters[i].confirmed = false
			p.Filters = append(p.Filters, d.filters[i].filter)
		}
		d.w.oracle.subscriptionsChange(d)
		d.conn.toNode(p)
		return
	}
	p := &packet.Subscribe{ID: id}
	for _, i := range index {
		f := &d.filters[i]
		f.ended = false
		d.conn.asked = append(d.conn.asked, asked{f.filter, d.w.now})
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: f.filter, QoS: f.qos, NoLocal: f.noLocal})
	}
	d.w.oracle.subscriptionsChange(d)
	d.conn.toNode(p)
}

func (d *device) subscribeMissing() {
	var missing []int
	for i, f := range d.filters {
		if f.wanted && !f.confirmed {
			missing = append(missing, i)
		}
	}
	d.request(true, missing)
}

func newDevice(w *world, n int) *device {
	return &device{w: w, id: fmt.Sprintf("d%d", n), holding: map[packet.ID]string{}, requests: map[packet.ID]*request{}}
}
