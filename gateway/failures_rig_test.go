package gateway

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/amqp"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// failing is a world in which one failure is provoked: a node, and what it tells of failures.
type failing struct {
	*bubble
	v        packet.Version
	node     *bubbleNode
	store    *faultyStore
	bus      *faultyBus
	logs     *observer.ObservedLogs
	registry *prometheus.Registry
}

const eventsTo = "/queues/failures"

// begin starts the node, with options that change has its way with.
func (w *failing) begin(change func(*Options)) {
	core, logs := observer.New(zapcore.DebugLevel)
	w.logs, w.registry = logs, prometheus.NewRegistry()
	w.store = &faultyStore{Store: w.bubble.store}
	w.bus = &faultyBus{}
	w.inFront = func(b amqp.Bus) amqp.Bus {
		w.bus.Bus = b
		return w.bus
	}
	w.change = func(o *Options) {
		o.Logger, o.Registry, o.EventsAddress = zap.New(core), w.registry, eventsTo
		if change != nil {
			change(o)
		}
	}
	w.node = w.start("n", w.store)
}

// device connects with a session that has a subscription of the error topic at QoS 1.
func (w *failing) device(options ...func(*packet.Connect)) *caller {
	w.t.Helper()
	c := w.dial()
	c.connect("dev", options...)
	c.subscribe(session.ErrorTopic)
	return c
}

// dial opens a connection and reads all that comes, until it ends.
func (w *failing) dial() *caller {
	w.t.Helper()
	conn, err := w.node.devices.dial()
	if err != nil {
		w.t.Fatal(err)
	}
	c := &caller{w: w, conn: conn, v: w.v}
	w.t.Cleanup(func() { _ = conn.Close() })
	go c.read()
	return c
}

// pass lets time go by, and everything that is due happen.
func (w *failing) pass(d time.Duration) {
	time.Sleep(d) // in the bubble
	synctest.Wait()
}

// caller is a device that says what it is told to, and remembers what it hears.
type caller struct {
	w    *failing
	conn net.Conn
	v    packet.Version

	mu     sync.Mutex
	seen   []packet.Packet
	closed bool
	dies   string // messages on this topic are not answered
	// refuse: others than records are answered with a failure, with refuseAll those as well.
	refuse, refuseAll bool
	id                packet.ID
	released          packet.ID // see flood
}

func (c *caller) read() {
	r := packet.NewReader(c.conn, 1<<20)
	r.SetVersion(c.v)
	for {
		p, err := r.ReadPacket()
		c.mu.Lock()
		if err != nil {
			c.closed = true
			c.mu.Unlock()
			_ = c.conn.Close()
			return
		}
		c.seen = append(c.seen, p)
		m, published := p.(*packet.Publish)
		refuse, refuseAll, dead := c.refuse, c.refuseAll, published && m.Topic == c.dies
		c.mu.Unlock()
		if published && m.QoS == 1 && !dead {
			a := &packet.Ack{Kind: packet.PUBACK, ID: m.ID}
			if refuse && m.Topic != session.ErrorTopic || refuseAll {
				a.Reason = packet.PayloadFormatInvalid
			}
			c.say(a)
		}
	}
}

// say sends a packet. A connection that is gone meanwhile is what many tests are about.
func (c *caller) say(p packet.Packet) {
	b, err := packet.Append(nil, p, c.v)
	if err != nil {
		c.w.t.Errorf("%T: %v", p, err)
		return
	}
	c.raw(b...)
}

func (c *caller) raw(b ...byte) { _, _ = c.conn.Write(b) }

func (c *caller) connect(id string, options ...func(*packet.Connect)) {
	p := &packet.Connect{Version: c.v, ClientID: id}
	if c.v == packet.V5 {
		p.Properties.SetSessionExpiry(3600)
	}
	for _, o := range options {
		o(p)
	}
	c.say(p)
	c.w.pass(100 * time.Millisecond)
}

func (c *caller) subscribe(filters ...string) {
	c.id++
	p := &packet.Subscribe{ID: c.id}
	for _, f := range filters {
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: f, QoS: 1})
	}
	c.say(p)
	c.w.pass(100 * time.Millisecond)
}

func (c *caller) subscribeAt(filter string, qos packet.QoS) {
	c.id++
	c.say(&packet.Subscribe{ID: c.id, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}})
	c.w.pass(100 * time.Millisecond)
}

// publish sends a message and lets the bus answer.
func (c *caller) publish(topic string, qos packet.QoS, with ...func(*packet.Publish)) {
	p := &packet.Publish{Topic: topic, QoS: qos, Payload: []byte("x")}
	if qos > 0 {
		c.id++
		p.ID = c.id
	}
	for _, f := range with {
		f(p)
	}
	c.say(p)
	c.w.pass(100 * time.Millisecond)
}

// ignore has the device acknowledge no message on this topic.
func (c *caller) ignore(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dies = topic
}

func retained(p *packet.Publish) { p.Retain = true }

func (c *caller) packets() []packet.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]packet.Packet(nil), c.seen...)
}

func (c *caller) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// found is what was told of a failure.
type found struct {
	Name  string
	Trace string
	Code  byte
}

// told looks for the packet that tells the failure. v5: with its User Properties, nil when it has none.
func (c *caller) told(f *failure.Failure) (t packet.Type, user []packet.UserProperty, ok bool) {
	for _, p := range c.packets() {
		want, tells := f.In(p.Type())
		if !tells {
			continue
		}
		switch p := p.(type) {
		case *packet.Connack:
			ok, user = p.Reason == want, p.Properties.User
		case *packet.Disconnect:
			ok, user = p.Reason == want, p.Properties.User
		case *packet.Ack:
			if ok = p.Reason == want; p.Properties != nil {
				user = p.Properties.User
			}
		case *packet.Suback:
			ok, user = slices.Contains(p.Reasons, want), p.Properties.User
		case *packet.Unsuback:
			ok, user = slices.Contains(p.Reasons, want), p.Properties.User
		}
		if ok {
			return p.Type(), user, true
		}
	}
	return 0, nil, false
}

// hears reports whether a text is anywhere in what came.
func (c *caller) hears(text string) bool {
	return slices.ContainsFunc(c.packets(), func(p packet.Packet) bool {
		b, err := packet.Append(nil, p, c.v)
		return err != nil || bytes.Contains(b, []byte(text))
	})
}

// records are what the device got on its error topic.
func (c *caller) records() (all []found) {
	for _, p := range c.packets() {
		m, ok := p.(*packet.Publish)
		if !ok || m.Topic != session.ErrorTopic {
			continue
		}
		all = append(all, recordOf(m))
	}
	return all
}

// recordOf reads a record; one that cannot be read has no name.
func recordOf(m *packet.Publish) (f found) {
	if json.Unmarshal(m.Payload, &f) != nil {
		return found{}
	}
	return f
}

// logged are the lines of the log that tell the failure.
func (w *failing) logged(name string) (all []found) {
	for _, e := range w.logs.All() {
		fields := e.ContextMap()
		if fields["failure"] == name {
			trace, _ := fields["trace"].(string)
			all = append(all, found{Name: name, Trace: trace})
		}
	}
	return all
}

// counted is the metric of the failure.
func (w *failing) counted(name string) string {
	return w.metric(`sluice_failures_total{failure="` + name + `"}`)
}

// metric is a metric as it is scraped.
func (w *failing) metric(name string) string {
	answer := httptest.NewRecorder()
	w.node.AdminHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "0"
}
