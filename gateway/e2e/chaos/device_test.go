package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/mqtt/packet"
)

// device is a device of the run: one persistent session, which publishes at QoS 1 and 2 in turn and subscribes to its own topics at QoS 2. Each
// second one speaks MQTT 5, each fifth has a Will. It connects through the balancer again and again until it is told to go.
type device struct {
	number  int
	version packet.Version
	names   names
	book    *ledger
	fleet   *fleet
	habits  habits
	mortal  bool

	old         *connection    // half open, left behind by roaming
	session     *clientSession // the goroutine of run only
	established bool           // a CONNACK has come once: from then on the session must be present
	subscribed  chan struct{}  // closed at the first SUBACK
	sequence    [3]int         // by QoS

	attempt  int          // the latest; the goroutine of run only
	last     atomic.Int64 // the attempt whose connection a mortal dies with
	commands chan command
	trace    trace
	state    atomic.Pointer[deviceState]

	mu     sync.Mutex
	stints []stint
}

// deviceState is what others may know of a device.
type deviceState struct {
	connected     bool
	attempt, node int // of the connection
	open          int // exchanges under way, both ways
}

// stint is one established connection.
type stint struct {
	attempt     int
	node        int // index; -1 if the balancer did not say
	dialled     time.Time
	established time.Time
	ended       time.Time
	how         ending
	reason      packet.ReasonCode // of the node's DISCONNECT, MQTT 5
}

type ending uint8

const (
	byNode          ending = iota // EOF, reset or DISCONNECT from the node's side
	bySilence                     // the device gave up a connection that did not answer
	byDevice                      // the device disconnected in good order
	byRoaming                     // the device went to another network and left the connection half open
	byDeath                       // the device died
	byDeathWithNode               // the device died, and so did its node: the connection ended for nobody
)

func (e ending) String() string {
	return [...]string{"ended by the node", "silent", "ended by the device", "roamed", "died", "died with its node"}[e]
}

// command is what the run tells a device.
type command uint8

const (
	publishOnce command = iota // one message at each QoS
	leave                      // DISCONNECT in good order, then end the session
	die                        // cut the connection and never come back
)

func newDevice(number int, n names, book *ledger, f *fleet) *device {
	d := &device{number: number, version: packet.V311, names: n, book: book, fleet: f, habits: habitsOf(number), subscribed: make(chan struct{}), commands: make(chan command, 4)}
	if number%2 == 0 {
		d.version = packet.V5
	}
	d.session = newClientSession(d.version, book)
	d.state.Store(&deviceState{})
	return d
}

// willDelay gives whether the device has a Will, and its delay in seconds.
func (d *device) willDelay() (delay uint32, has bool) {
	if d.number%5 != 0 && !d.mortal {
		return 0, false
	}
	if d.number%20 == 10 { // an even number: MQTT 5
		return 2, true
	}
	return 0, true
}

// run lives until ctx ends, a command ends it, or a mortal's node dies. It may run again then: the session goes on.
func (d *device) run(ctx context.Context) {
	defer d.forget()
	for {
		d.attempt++
		longest := backoffMax
		if c := d.connect(ctx, d.attempt); c != nil {
			last := c.serve(ctx)
			if d.last.Load() == int64(c.attempt) {
				c.stint.how, last = byDeathWithNode, true
			}
			d.leaveBehind(c)
			if last {
				return
			}
			if c.stint.how == byDevice {
				longest = napMax
			}
		}
		pause := time.NewTimer(backoffMin + rand.N(longest-backoffMin))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// leaveBehind ends a connection, or only turns away from it.
func (d *device) leaveBehind(c *connection) {
	d.forget()
	if c.stint.how == byRoaming {
		d.old = c
	} else {
		c.close()
	}
	c.stint.ended = time.Now()
	d.trace.add(c.attempt, "%v", c.stint.how)
	d.mu.Lock()
	d.stints = append(d.stints, c.stint)
	d.mu.Unlock()
	d.state.Store(&deviceState{open: len(d.session.open)})
}

// forget closes what roaming has left behind: by then the node has long closed it too, or has been fenced.
func (d *device) forget() {
	if d.old != nil {
		d.old.close()
		d.old = nil
	}
}

// connect dials the balancer and opens the session; nil if that failed.
func (d *device) connect(ctx context.Context, attempt int) *connection {
	dialled := time.Now()
	c, err := d.dial(ctx, attempt)
	if err != nil {
		d.fleet.refusals.Add(1)
		return nil
	}
	c.stint = stint{attempt: attempt, node: -1, dialled: dialled}
	connack, err := c.open(ctx, d.connectPacket(attempt))
	if err != nil || connack.Reason != packet.Success {
		d.fleet.refusals.Add(1)
		c.close()
		return nil
	}
	c.stint.established = time.Now()
	if index, ok := d.fleet.nodeOf(c.conn.LocalAddr().String()); ok {
		c.stint.node = index
	}
	d.trace.add(attempt, "served by node %d", c.stint.node)
	d.resumed(connack.SessionPresent)
	return c
}

func (d *device) dial(ctx context.Context, attempt int) (*connection, error) {
	dialer := net.Dialer{Timeout: dialWait}
	conn, err := dialer.DialContext(ctx, "tcp", d.fleet.address)
	if err != nil {
		return nil, err
	}
	c := &connection{d: d, conn: conn.(*net.TCPConn), attempt: attempt}
	c.start()
	return c, nil
}

// resumed checks Session Present [MQTT-3.2.2-3]. Without a session on the other side ours has to go too. Before the first CONNACK either may be:
// a CONNECT whose answer was lost has made a session.
func (d *device) resumed(present bool) {
	if d.established && !present {
		d.book.violation("session", "device %d: Session Present 0 for a session that was confirmed", d.number)
		d.session = newClientSession(d.version, d.book)
	}
	d.established = true
}

func (d *device) connectPacket(attempt int) *packet.Connect {
	p := &packet.Connect{Version: d.version, ClientID: d.names.client(d.number), KeepAlive: keepAlive}
	if d.version == packet.V5 {
		p.Properties.SetSessionExpiry(600)
	}
	if delay, has := d.willDelay(); has {
		p.Will = &packet.Will{Topic: d.names.will(d.number), QoS: 1, Payload: fmt.Appendf(nil, "%d %d", d.number, attempt)}
		if delay > 0 {
			p.Will.Properties.SetWillDelay(delay)
		}
	}
	return p
}

// history gives the connections that have ended.
func (d *device) history() []stint {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]stint(nil), d.stints...)
}
