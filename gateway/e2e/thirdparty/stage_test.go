package thirdparty

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/gateway/config"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// sessionExpiry is that of persistent sessions, in seconds: longer than any test, and they are ended with it.
const sessionExpiry = 600

// stage is where a scenario plays: one kind of client on two nodes. Names are the stage's own.
type stage struct {
	*testing.T
	kind
	backend       rig.Backend
	first, second *rig.Node
	js            *jsProcess
	prefix        string
	directory     string // for what a library keeps
	websocket     bool

	devices    []*device
	persistent []string        // client identifiers
	filters    []string        // of persistent sessions
	kept       map[string]bool // topics with retained messages
	working    sync.WaitGroup
}

// open makes the stage. When the scenario is over it ends what is connected and the sessions that are left, and sees that the bus has
// nothing of them any more.
func (s *stage) open() {
	s.prefix, s.kept = rig.Prefix(s), map[string]bool{}
	s.directory = s.TempDir() // before the Cleanup: it is there until everything that uses it has ended
	s.Cleanup(func() {
		for _, d := range s.devices {
			d.library.abandon()
			if s.Failed() {
				d.describe()
			}
		}
		s.working.Wait()
		s.unretain()
		for _, id := range s.persistent {
			d, _ := rig.Dial(s, s.first, s.version, rig.Clean(id))
			d.Disconnect()
		}
		if len(s.filters) == 0 {
			return
		}
		bus := rig.OpenBus(s, s.first)
		for _, f := range s.filters {
			bus.ExpectNobody(strings.NewReplacer("+", "any", "#", "any").Replace(f))
		}
	})
}

// unretain removes what is retained on the scenario's topics.
func (s *stage) unretain() {
	if len(s.kept) == 0 {
		return
	}
	d, _ := rig.Dial(s, s.first, packet.V5)
	for topic := range s.kept {
		p := &packet.Publish{ID: d.NextID(), QoS: 1, Retain: true, Topic: topic}
		d.Send(p)
		d.ExpectAck(packet.PUBACK, p.ID)
	}
	d.Disconnect()
}

// config is what the nodes run with: the defaults.
func (s *stage) config() *config.Config {
	s.Helper()
	cfg, _, err := config.Load(config.Source{})
	if err != nil {
		s.Fatal(err)
	}
	return cfg
}

// name is a topic or a client identifier of the scenario's own.
func (s *stage) name(last string) string { return s.prefix + "/" + last }

// device is a client library connected to a node.
type device struct {
	s *stage
	library
	connack
	id         string
	persistent bool
	wire       *wire
	messages   *events[message]
	ends       *events[ending]
	ups        *events[struct{}] // CONNACKs
}

// An option changes how a device connects.
type option func(*options)

func persistent(id string) option {
	return func(o *options) { o.id, o.clean, o.expiry = id, false, sessionExpiry }
}

func clean(id string) option { return func(o *options) { o.id = id } }

func manual(o *options) { o.manual = true }

func withWill(w will) option { return func(o *options) { o.will = &w } }

// connect opens a connection to n; it must succeed.
func (s *stage) connect(n *rig.Node, set ...option) *device {
	s.Helper()
	return s.connectTo([]*rig.Node{n}, set...)
}

// connectAs is connect for a client of another kind.
func (s *stage) connectAs(k kind, n *rig.Node) *device {
	s.Helper()
	own := s.kind
	s.kind = k
	defer func() { s.kind = own }()
	return s.connect(n)
}

// connectTo is connect for a device that may come back by itself: each connection goes to the next of the nodes.
func (s *stage) connectTo(nodes []*rig.Node, set ...option) *device {
	s.Helper()
	o := options{id: rig.Prefix(s), clean: true, keepAlive: 60}
	for _, f := range set {
		f(&o)
	}
	d := &device{s: s, persistent: !o.clean || o.expiry > 0, messages: newEvents[message](), ends: newEvents[ending](), ups: newEvents[struct{}]()}
	d.wire = newWire(s, !s.websocket, s.version, s.addresses(nodes)...)
	o.url = s.url(d.wire.address())
	var err error
	if d.library, d.connack, err = s.kind.connect(s, d, o); err != nil {
		s.Fatalf("connecting as %q: %v", o.id, err)
	}
	s.devices = append(s.devices, d)
	if o.will != nil {
		s.keeps(o.will.message)
	}
	if d.id = o.id; d.assigned != "" {
		d.id = d.assigned
	}
	if d.persistent {
		s.persistent = append(s.persistent, d.id)
	}
	d.ups.next(s, "CONNACK")
	return d
}

func (s *stage) addresses(nodes []*rig.Node) (to []string) {
	for _, n := range nodes {
		if s.websocket {
			to = append(to, n.WS)
		} else {
			to = append(to, n.TCP)
		}
	}
	return to
}

func (s *stage) url(address string) string {
	if s.websocket {
		return "ws://" + address + "/mqtt"
	}
	return "mqtt://" + address
}

// describe prints what the wire has seen last.
func (d *device) describe() {
	if d.wire.seen == nil {
		return
	}
	const most = 400
	all := d.wire.seen.soFar()
	for _, s := range all[max(0, len(all)-most):] {
		d.s.Logf("%s: %v", d.id, s)
	}
}

// sub subscribes to one filter and demands the QoS.
func (d *device) sub(topicFilter string, qos byte) {
	d.s.Helper()
	d.request(request{filters: []filter{{Filter: topicFilter, QoS: qos}}})
}

// request subscribes and demands each QoS.
func (d *device) request(r request) {
	d.s.Helper()
	var want []packet.ReasonCode
	for _, f := range r.filters {
		want = append(want, packet.ReasonCode(f.QoS))
		if _, filter, isShared := topic.Shared(f.Filter); isShared {
			d.s.filters = append(d.s.filters, filter)
		} else if d.persistent {
			d.s.filters = append(d.s.filters, f.Filter)
		}
	}
	reasons, err := d.subscribe(r)
	if diff := cmp.Diff(want, reasons); diff != "" || err != nil {
		d.s.Fatalf("SUBSCRIBE %+v: %v (-want +got):\n%s", r, err, diff)
	}
}

// keeps notes that a message may be retained.
func (s *stage) keeps(m message) {
	if m.Retain {
		s.kept[m.Topic] = true
	}
}

// pub publishes and demands success.
func (d *device) pub(m message) {
	d.s.Helper()
	d.s.keeps(m)
	if reason, err := d.publish(m); err != nil || reason.Failed() {
		d.s.Fatalf("PUBLISH to %s: reason %v, error %v", m.Topic, reason, err)
	}
}

// send publishes a text.
func (d *device) send(topic, payload string, qos byte) {
	d.s.Helper()
	d.pub(message{Topic: topic, Payload: payload, QoS: qos})
}

// expect demands that these messages come next, and in this order. Expiry and Subscription Identifiers are not compared unless they are asked for.
func (d *device) expect(want ...message) (got []message) {
	d.s.Helper()
	var compared []message
	for i, w := range want {
		m := d.messages.next(d.s, fmt.Sprintf("message %d of %d", i+1, len(want)))
		got = append(got, m)
		if w.Expiry == 0 {
			m.Expiry = 0
		}
		if w.Subscriptions == nil {
			m.Subscriptions = nil
		}
		compared = append(compared, m)
	}
	if diff := compare(want, compared); diff != "" {
		d.s.Errorf("messages (-want +got):\n%.3000s", diff)
	}
	return got
}

func compare(want, got any) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(message{}), cmpopts.EquateEmpty())
}

// expectText is expect for texts on one topic.
func (d *device) expectText(topic string, qos byte, payloads ...string) {
	d.s.Helper()
	d.expect(texts(topic, qos, payloads...)...)
}

func texts(topic string, qos byte, payloads ...string) (m []message) {
	for _, p := range payloads {
		m = append(m, message{Topic: topic, Payload: p, QoS: qos})
	}
	return m
}

// end sends DISCONNECT and waits until the node has taken note: what is sent to the device from then on waits for it.
func (d *device) end() {
	d.s.Helper()
	d.endWith(leave{})
}

func (d *device) endWith(l leave) {
	d.s.Helper()
	if err := d.disconnect(l); err != nil {
		d.s.Fatalf("DISCONNECT: %v", err)
	}
	d.gone()
}

// gone waits until the node has closed the device's connection.
func (d *device) gone() {
	d.s.Helper()
	select {
	case <-d.wire.last().gone:
	case <-time.After(rig.Patience):
		d.s.Fatal("the node has not closed the connection")
	}
}

// pass lets time pass, where its passing is what the scenario is about.
func pass(d time.Duration) { <-time.After(d) }

// background runs what may not end before its connection is abandoned.
func (s *stage) background(f func()) { s.working.Go(f) }

// pubAll publishes side by side and demands success.
func (d *device) pubAll(messages []message) {
	d.s.Helper()
	if err := d.tryAll(messages); err != nil {
		d.s.Errorf("PUBLISH: %v", err)
	}
}

// tryAll publishes side by side and waits for all answers; a connection that breaks may take some with it.
func (d *device) tryAll(messages []message) (failed error) {
	failures := make(chan error, len(messages))
	for _, m := range messages {
		go func() {
			reason, err := d.publish(m)
			if err == nil && reason.Failed() {
				err = fmt.Errorf("reason %v", reason)
			}
			failures <- err
		}()
	}
	for range messages {
		failed = errors.Join(failed, <-failures)
	}
	return failed
}

// publishes waits until the wire has seen so many PUBLISH packets in a direction. A wire with WebSocket frames has seen none.
func (d *device) publishes(toNode bool, count int) (found []*packet.Publish) {
	d.s.Helper()
	if d.wire.seen == nil {
		return nil
	}
	d.wire.seen.await(d.s, fmt.Sprintf("%d PUBLISH packets on the wire", count), func(all []sighting) bool {
		found = publishes(all, toNode)
		return len(found) >= count
	})
	return found
}
