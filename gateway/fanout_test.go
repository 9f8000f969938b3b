package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// nodeMessage is one of a backend's, on its way to subscriptions of QoS 0.
func nodeMessage(topic, payload string) *message.Message {
	return &message.Message{
		Header: message.Header{Priority: message.DefaultPriority}, Data: [][]byte{[]byte(payload)},
		Annotations: map[string]any{"x-exchange": mapping.RabbitMQ.Exchange(), "x-routing-key": mapping.RabbitMQ.Key(topic)},
	}
}

// fannedOut is a node with devices of either version, more than one goroutine hands out to, and what brings the node lane a message. Each device has two
// filters.
func fannedOut(b *bubble) (n *bubbleNode, devices []*mqtttest.Device, bring func(topic, payload string, more bool)) {
	n = b.start("n", b.store)
	for i := range 2*fanoutShare + 1 {
		d, _ := n.connect("d"+strconv.Itoa(i), [...]packet.Version{packet.V311, packet.V5}[i%2])
		for _, filter := range []string{"all", "some/" + strconv.Itoa(i%2)} {
			if r := d.Subscribe(filter, 0); r != 0 {
				b.t.Fatal(r)
			}
		}
		devices = append(devices, d)
	}
	return n, devices, func(topic, payload string, more bool) {
		n.nodes.Delivered(amqp.Delivery{Message: nodeMessage(topic, payload), More: more})
	}
}

// While the bus has more, messages are gathered; then each device gets its own, in order.
func TestMessagesOfTheNodeLaneAreGatheredWhileThereAreMore(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(n *bubbleNode, bring func(topic, payload string, more bool))
		last string
	}{
		{"the last one", func(_ *bubbleNode, bring func(string, string, bool)) { bring("all", "last", false) }, "last"},
		{"nobody's message", func(_ *bubbleNode, bring func(string, string, bool)) { bring("nobody's", "", false) }, ""},
		{"no message at all", func(n *bubbleNode, _ func(string, string, bool)) {
			n.nodes.Delivered(amqp.Delivery{Malformed: errors.New("what is this")})
		}, ""},
		{"a marker", func(n *bubbleNode, _ func(string, string, bool)) {
			n.nodes.Delivered(amqp.Delivery{Message: mapping.Marker(mapping.RabbitMQ, "/queues/q", "marker"), More: true})
		}, ""},
		{"the loss of the link", func(n *bubbleNode, _ func(string, string, bool)) { n.nodes.Detached(amqp.ErrUnavailable) }, ""},
		{"the loss of an entity", func(n *bubbleNode, _ func(string, string, bool)) {
			(&fixedSource{lane: n.nodes, name: "e"}).Detached(amqp.ErrUnavailable)
		}, ""},
		{"a large one", func(_ *bubbleNode, bring func(string, string, bool)) {
			bring("some/1", strings.Repeat("x", fanoutBytes), true)
		}, ""},
		{"a full batch", func(_ *bubbleNode, bring func(string, string, bool)) {
			for range bridge.BatchMax - 4 {
				bring("some/1", "", true)
			}
		}, ""},
	} {
		t.Run(end.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				n, devices, bring := fannedOut(b)
				bring("all", "1", true)
				bring("some/0", "2", true)
				bring("nobody's", "", true)
				bring("some/1", "3", true)
				bring("all", "4", true)
				synctest.Wait()
				if sent := counted(t, n, `sluice_deliveries_total{qos="0"}`); sent > 0 {
					t.Errorf("before it %d are sent", sent)
				}
				end.do(n, bring)
				for i, d := range devices {
					for _, want := range []string{"1", strconv.Itoa(2 + i%2), "4"} {
						if got := mqtttest.Expect[*packet.Publish](d); string(got.Payload) != want || got.QoS != 0 {
							t.Fatalf("device %d: %q came in place of %q", i, got.Payload, want)
						}
					}
					if end.last != "" {
						if got := mqtttest.Expect[*packet.Publish](d); string(got.Payload) != end.last {
							t.Fatalf("device %d: %q came in place of %q", i, got.Payload, end.last)
						}
					}
					d.Close()
				}
			})
		})
	}
}

// A device that does not read loses what it is sent at QoS 0, and each of these is counted. It holds up nobody.
func TestWhatADeviceDoesNotReadIsCounted(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n, devices, bring := fannedOut(b)
		payload := strings.Repeat("x", 1000)
		const messages = 2 * writeHigh / 1000
		for i := range messages {
			bring("some/0", payload, i%10 < 9)
			if i%10 < 9 {
				continue
			}
			synctest.Wait()
			for k, d := range devices {
				for range 10 {
					if k%2 == 0 && k > 0 { // the first one reads nothing
						mqtttest.Expect[*packet.Publish](d)
					}
				}
			}
		}
		synctest.Wait()
		dropped := counted(t, n, "sluice_deliveries_dropped_total")
		readers := (len(devices)+1)/2 - 1
		sent := counted(t, n, `sluice_deliveries_total{qos="0"}`)
		if total := (messages - messages%10) * (readers + 1); sent+dropped != total || dropped < messages/4 || dropped > messages*3/4 {
			t.Errorf("%d sent and %d dropped of %d for one device that reads nothing and %d others", sent, dropped, total, readers)
		}
		for _, d := range devices {
			d.Close()
		}
	})
}

// counted gives the value of a series.
func counted(t *testing.T, n *bubbleNode, series string) int {
	t.Helper()
	w := httptest.NewRecorder()
	n.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
	}
	t.Fatalf("there is no %s", series)
	return 0
}

// BenchmarkFanout brings the node lane messages of one topic in bursts, for devices on TCP connections that read. One operation is one delivery.
func BenchmarkFanout(b *testing.B) {
	for _, c := range []struct{ burst, size int }{{1, 128}, {10, 128}, {64, 128}, {1, 64 << 10}} {
		b.Run(strconv.Itoa(c.burst)+"x"+strconv.Itoa(c.size), func(b *testing.B) { benchmarkFanout(b, 500, c.burst, c.size) })
	}
}

func benchmarkFanout(b *testing.B, devices, burst, payload int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	gw := benchGateway(b, quietBus{&boundBus{bound: map[amqp.Binding]bool{}}}, l, devices)
	received := &counter{total: make(chan int64, 1)}
	for range devices {
		c := connectRaw(b, l.Addr().String())
		defer c.Close()
		subscribeRaw(b, c, "t/1")
		go func() { _, _ = io.CopyBuffer(received, onlyReader{c}, make([]byte, 16<<10)) }()
	}
	m := nodeMessage("t/1", strings.Repeat("x", payload))
	raw, err := packet.Append(nil, &packet.Publish{Topic: "t/1", Payload: make([]byte, payload)}, packet.V311)
	if err != nil {
		b.Fatal(err)
	}
	size := int64(len(raw))
	b.ReportAllocs()
	sent := int64(0)
	b.ResetTimer()
	for left := b.N; left > 0; {
		for i := range burst {
			gw.nodes.Delivered(amqp.Delivery{Message: m, More: i < burst-1})
			left -= devices
			sent += int64(devices) * size
		}
		received.wait(b, sent)
	}
}

// counter counts what is written to it.
type counter struct {
	n, want atomic.Int64
	total   chan int64
}

func (c *counter) Write(p []byte) (int, error) {
	if n := c.n.Add(int64(len(p))); n == c.want.Load() {
		select {
		case c.total <- n:
		default:
		}
	}
	return len(p), nil
}

func (c *counter) wait(b *testing.B, want int64) {
	c.want.Store(want)
	for c.n.Load() != want {
		select {
		case <-c.total:
		case <-time.After(10 * time.Second):
			b.Fatalf("%d bytes of %d have come", c.n.Load(), want)
		}
	}
}

// onlyReader keeps io.CopyBuffer from taking another way.
type onlyReader struct{ io.Reader }

func subscribeRaw(b *testing.B, c net.Conn, filter string) {
	raw, err := packet.Append(nil, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: filter}}}, packet.V311)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Write(raw); err != nil {
		b.Fatal(err)
	}
	r := packet.NewReader(c, 100)
	r.SetVersion(packet.V311)
	if p, err := r.ReadPacket(); err != nil || p.Type() != packet.SUBACK {
		b.Fatal(p, err)
	}
}

// quietBus brings nothing.
type quietBus struct{ *boundBus }

func (quietBus) Attach(amqp.Source, amqp.Handler) amqp.Receiver { return quietReceiver{} }

func (quietBus) DeleteInbox(context.Context, string) error { return nil }

type quietReceiver struct{}

func (quietReceiver) IssueCredit(uint32)             {}
func (quietReceiver) Settle(uint64, message.Outcome) {}
func (quietReceiver) Close(context.Context) error    { return nil }
