package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/amqp"
	"sluice/amqp/message"
)

// On 4.3.6 a settled transfer to a missing exchange detaches its link; sends in flight on the unsettled lane of the same shard do not notice.
func TestSettledFailureHarmsNobodyElse(t *testing.T) { eachBus(t, testSettledFailureHarmsNobodyElse) }

func testSettledFailureHarmsNobodyElse(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}, Connections: 1, Lanes: 1})
	name := newInbox(t, c, amqp.Inbox{})
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Add(1)
		c.Publish(0, textMessage(to(name), fmt.Sprint(i)), false, func(o message.Outcome) {
			defer wg.Done()
			if o.Kind != message.Accepted {
				t.Errorf("message %d: %v (%v)", i, o.Kind, o.Error)
			}
		})
		if i%500 == 0 {
			c.Publish(0, textMessage("/exchanges/nowhere/x", "x"), true, func(message.Outcome) {})
		}
	}
	wg.Wait()
	if !slices.Equal(texts(drain(t, c, name, 2000)), numbers(0, 2000)) {
		t.Error("not all have come in order")
	}
	// The settled lane comes back by itself, idle or not. What is written before the bus tells of the failure is lost without a word.
	r := &recorder{again: true}
	rcv := c.Attach(amqp.Source{Inbox: name, Settled: true, Credit: 1000}, r)
	eventually(t, "a settled transfer arrives", func() error {
		done := make(chan message.Outcome, 1)
		c.Publish(0, textMessage(to(name), "settled"), true, func(o message.Outcome) { done <- o })
		o := <-done
		_, _, ds := r.snapshot()
		if len(ds) == 0 {
			return fmt.Errorf("none yet; the last was %v (%v)", o.Kind, o.Error)
		}
		if got := text(ds[0]); got != "settled" {
			t.Errorf("left over was %q", got)
		}
		return nil
	})
	closeReceiver(t, rcv)
}

// device sends as the gateway does for one device: what was not accepted is sent again, in order, once all before it have had their outcome.
type device struct {
	client *Client
	mu     sync.Mutex
	cond   sync.Cond
	state  []message.OutcomeKind // by message number; zero is unanswered
	lost   int
}

func (d *device) send(name string, i int) {
	d.client.Publish(3, textMessage(to(name), fmt.Sprint(i)), false, func(o message.Outcome) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.state[i] = o.Kind
		if o.Kind == message.Lost {
			d.lost++
		}
		d.cond.Broadcast()
	})
}

// settle waits until all have an outcome and gives the first that was not accepted.
func (d *device) settle() (first int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for slices.Contains(d.state, 0) {
		d.cond.Wait()
	}
	return slices.IndexFunc(d.state, func(k message.OutcomeKind) bool { return k != message.Accepted })
}

func TestCutWhilePublishingLosesNothing(t *testing.T) { eachBus(t, testCutWhilePublishingLosesNothing) }

func testCutWhilePublishingLosesNothing(t *testing.T, url string) {
	const n = 10000
	proxy := newFaultProxy()
	c := open(t, Options{URLs: []string{url}, Dial: proxy.dial, Queue: n})
	steady := open(t, Options{URLs: []string{url}})
	name := newInbox(t, steady, amqp.Inbox{})
	d := &device{client: c, state: make([]message.OutcomeKind, n)}
	d.cond.L = &d.mu
	for i := range n {
		if i == n/2 {
			d.mu.Lock()
			for d.state[10] == 0 { // some are through
				d.cond.Wait()
			}
			d.mu.Unlock()
			proxy.stallReads() // what is written from now on has no answer
			written := proxy.written.Load()
			d.send(name, i)
			eventually(t, "some are under way", func() error {
				if proxy.written.Load() == written {
					return errors.New("nothing was written yet")
				}
				return nil
			})
			proxy.setRefuse(true) // or the last of these would come before those that were lost
			proxy.cut()
			continue
		}
		d.send(name, i)
	}
	proxy.setRefuse(false)
	rounds := 0
	for first := d.settle(); first >= 0; first = d.settle() {
		eventually(t, "the bus is back", func() error { return c.Ready(context.Background()) })
		d.mu.Lock()
		for i := first; i < n; i++ {
			d.state[i] = 0
		}
		d.mu.Unlock()
		for i := first; i < n; i++ {
			d.send(name, i)
		}
		rounds++
	}
	if rounds == 0 || d.lost == 0 {
		t.Fatalf("%d rounds, %d lost: the cut came too late to show anything", rounds, d.lost)
	}
	t.Logf("%d were lost at first, %d rounds", d.lost, rounds)
	r := &recorder{}
	rcv := steady.Attach(amqp.Source{Inbox: name, Settled: true, Credit: 1000}, r)
	var got []string
	eventually(t, "the last has come", func() error {
		_, _, ds := r.snapshot()
		got = texts(ds)
		if !slices.Contains(got, fmt.Sprint(n-1)) {
			return errors.New("not yet")
		}
		return nil
	})
	closeReceiver(t, rcv)
	seen := map[string]bool{}
	next := 0
	for _, s := range got {
		if seen[s] {
			continue // a duplicate of a lost send
		}
		seen[s] = true
		if s != fmt.Sprint(next) {
			t.Fatalf("after %d first came %s", next-1, s)
		}
		next++
	}
	if next != n {
		t.Errorf("%d of %d have come", next, n)
	}
}

func TestOutageIsToldAndOvercome(t *testing.T) { eachBus(t, testOutageIsToldAndOvercome) }

func testOutageIsToldAndOvercome(t *testing.T, url string) {
	proxy := newFaultProxy()
	c := open(t, Options{URLs: []string{url}, Dial: proxy.dial})
	proxy.setRefuse(true)
	proxy.cut()
	eventually(t, "Ready tells", func() error {
		if err := c.Ready(context.Background()); !errors.Is(err, amqp.ErrUnavailable) {
			return fmt.Errorf("it says %v", err)
		}
		return nil
	})
	eventually(t, "Publish is Busy", func() error {
		if o := publish(t, c, 0, textMessage(to("x"), "x")); o.Kind != message.Busy {
			return fmt.Errorf("it is %v", o.Kind)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), backoffMin)
	defer cancel()
	if err := c.DeleteInbox(ctx, "x"); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("DeleteInbox: %v", err)
	}
	proxy.setRefuse(false)
	eventually(t, "the bus is back", func() error { return c.Ready(context.Background()) })
	name := newInbox(t, c, amqp.Inbox{})
	mustAccept(t, c, textMessage(to(name), "x"))
}

// A bus that falls silent without closing anything is given up after IdleTimeout; what was in flight is Lost, and nothing is told twice.
func TestSilentBusIsGivenUp(t *testing.T) { eachBus(t, testSilentBusIsGivenUp) }

func testSilentBusIsGivenUp(t *testing.T, url string) {
	proxy := newFaultProxy()
	c := open(t, Options{URLs: []string{url}, Dial: proxy.dial, IdleTimeout: minIdleTimeout})
	name := newInbox(t, c, amqp.Inbox{})
	proxy.stallReads()
	if o := publish(t, c, 0, textMessage(to(name), "x")); o.Kind != message.Lost {
		t.Errorf("outcome %v (%v), want lost", o.Kind, o.Error)
	}
	eventually(t, "the bus is back", func() error { return c.Ready(context.Background()) })
	mustAccept(t, c, textMessage(to(name), "x"))
}

func TestTopology(t *testing.T) { eachBus(t, testTopology) }

func testTopology(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	ctx := deadline(t)
	inbox := amqp.Inbox{Name: uniqueName(t), Expires: 60000, MaxLength: 1000, DropOldest: true, SingleActive: true}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics("a")); !errors.Is(err, amqp.ErrNotFound) {
		t.Errorf("subscribing a missing inbox: %v", err)
	}
	newInbox(t, c, inbox)
	if err := c.EnsureInbox(ctx, inbox); err != nil {
		t.Errorf("a second time: %v", err)
	}
	other := inbox
	other.Expires = 70000
	err := c.EnsureInbox(ctx, other)
	if !errors.Is(err, amqp.ErrConflict) || !strings.Contains(err.Error(), "x-expires=60000") || !strings.Contains(err.Error(), "x-expires=70000") {
		t.Errorf("with other arguments: %v", err)
	}
	if err := c.EnsureInbox(ctx, amqp.Inbox{Name: "amq.reserved"}); !errors.Is(err, amqp.ErrRefused) {
		t.Errorf("a reserved name: %v", err)
	}
	var patterns []string
	for i := range 100 {
		patterns = append(patterns, fmt.Sprintf("%s.%d.*", inbox.Name, i))
	}
	// RabbitMQ 4.3.6 takes routing and binding keys of more than 255 bytes over AMQP 1.0.
	long := inbox.Name + "." + strings.Repeat("k", 60000)
	short := inbox.Name + ".ü%/;=,x"
	patterns = append(patterns, short)
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics(patterns...)); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics(patterns[:10]...)); err != nil {
		t.Errorf("binding again: %v", err)
	}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics(inbox.Name+".kkk#", inbox.Name+".#")); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, c, textMessage(to(long), "long"))
	ds := drain(t, c, inbox.Name, 1)
	if ds[0].Message.Annotations["x-routing-key"] != long {
		t.Error("the long routing key did not come back")
	}
	if err := c.Unsubscribe(ctx, inbox.Name, amqp.Topics(append(patterns, "never.bound", inbox.Name+".#")...)); err != nil {
		t.Fatal(err)
	}
	if o := publish(t, c, 0, textMessage(to(patterns[0]), "x")); o.Kind != message.Released {
		t.Errorf("after unsubscribing: %v", o.Kind)
	}
	if err := c.DeleteInbox(ctx, inbox.Name); err != nil {
		t.Error(err)
	}
	if err := c.DeleteInbox(ctx, inbox.Name); err != nil {
		t.Errorf("removing an absent inbox: %v", err)
	}
	if err := c.Unsubscribe(ctx, inbox.Name, amqp.Topics("x")); err != nil {
		t.Errorf("unsubscribing an absent inbox: %v", err)
	}
}

func TestRabbitWrongPasswordIsToldWithoutIt(t *testing.T) {
	u, err := url.Parse(rabbitURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody", "verysecret")
	c, err := Open(Options{URLs: []string{u.String()}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "Ready tells why", func() error {
		err := c.Ready(context.Background())
		if !errors.Is(err, ErrLogin) {
			return fmt.Errorf("it says %w", err)
		}
		if strings.Contains(err.Error(), "verysecret") {
			t.Errorf("the password is in %q", err)
		}
		return nil
	})
	if err := c.Close(deadline(t)); err != nil {
		t.Error(err)
	}
}

func BenchmarkRabbitPublish(b *testing.B) {
	for _, connections := range []int{1, 2} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			c := open(b, Options{Connections: connections, Queue: maxQueue})
			name := newInbox(b, c, amqp.Inbox{MaxLength: 1000, DropOldest: true})
			m := textMessage(to(name), strings.Repeat("x", 128))
			var wg sync.WaitGroup
			window := make(chan struct{}, 4096)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				window <- struct{}{}
				wg.Add(1)
				c.Publish(uint32(i), m, false, func(o message.Outcome) {
					if o.Kind != message.Accepted {
						b.Errorf("outcome %v (%v)", o.Kind, o.Error)
					}
					<-window
					wg.Done()
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
