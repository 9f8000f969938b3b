package client

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/embedded"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// These tests run against the embedded bus acting as Service Bus, in fake time: over pipes, so that nothing outside the bubble is waited for.

const (
	jwtKey    = "signs JSON web tokens"
	accessKey = "S3cret+key/=="
)

// azure is such a bus.
type azure struct {
	broker *embedded.Broker
	conns  chan net.Conn
	done   chan struct{}
}

func (a *azure) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.done:
		return nil, net.ErrClosed
	}
}
func (a *azure) Close() error   { close(a.done); return nil }
func (a *azure) Addr() net.Addr { return &net.TCPAddr{} }

func (a *azure) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case a.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// onAzure runs a test in fake time against a bus with these entities and one subscriber of topic devices.
func onAzure(t *testing.T, o servicebus.Options, run func(t *testing.T, a *azure)) {
	o.Queues = append(o.Queues, servicebus.Queue{Name: "orders"})
	o.Topics = append(o.Topics, servicebus.Topic{Name: "devices", Subscriptions: []string{"a", "b"}})
	o.Hubs = append(o.Hubs, servicebus.Hub{Name: "telemetry", Partitions: 2})
	o.Keys, o.JWTKey = map[string]string{"root": accessKey}, jwtKey
	synctest.Test(t, func(t *testing.T) {
		a := &azure{broker: embedded.New(embedded.Options{ServiceBus: &o}), conns: make(chan net.Conn), done: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- a.broker.Serve(a) }()
		t.Cleanup(func() {
			a.broker.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		run(t, a)
	})
}

// options are those of a client that makes its tokens from the shared access key.
func (a *azure) options() Options {
	return Options{URLs: []string{"amqp://root:S3cret+key%2F==@bus.example"}, Kind: topology.ServiceBus, Dial: a.dial, Targets: []string{"devices"}, Connections: 1}
}

// pass lets fake time pass.
func pass(d time.Duration) { <-time.After(d) }

func TestSharedAccessSignature(t *testing.T) {
	got := sharedAccessSignature("amqps://ns.servicebus.windows.net/devices/Subscriptions/node-1", "Root rule", accessKey, time.Unix(1_700_000_000, 0))
	// Made with Python's hmac and urllib.
	want := "SharedAccessSignature sr=amqps%3A%2F%2Fns.servicebus.windows.net%2Fdevices%2FSubscriptions%2Fnode-1&sig=X8XyP8EYCMsj4opaKOomh63gn3TW%2BHLdP0dJ0R2Bv%2FM%3D&se=1700000000&skn=Root+rule"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStaticPublishAndReceive(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"signature": func(*Options) {},
		"plain":     func(o *Options) { o.Login.Plain = true },
	} {
		t.Run(name, func(t *testing.T) {
			onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
				o := a.options()
				change(&o)
				c := open(t, o)
				h := &recorder{again: true}
				for _, source := range []amqp.Source{{Inbox: "devices/Subscriptions/a", Settled: true, Credit: 10}, {Inbox: "orders", Credit: 10}} {
					defer closeReceiver(t, c.Attach(source, h))
				}
				h.waitAttached(t, 2)
				for i, address := range []string{"devices", "orders", "devices"} {
					mustAccept(t, c, textMessage(address, fmt.Sprint(address, i)))
				}
				got := strings.Join(texts(h.waitDeliveries(t, 3)), " ")
				for _, want := range []string{"devices0", "orders1", "devices2"} {
					if !strings.Contains(got, want) {
						t.Errorf("%s has not come: %s", want, got)
					}
				}
				if n := c.Info().MaxMessageSize; n != 256<<10 {
					t.Errorf("largest message %d", n)
				}
				for what, err := range map[string]error{
					"EnsureInbox": c.EnsureInbox(deadline(t), amqp.Inbox{Name: "x"}), "Subscribe": c.Subscribe(deadline(t), "x", amqp.Topics("a")),
				} {
					if !errors.Is(err, amqp.ErrRefused) || !strings.Contains(err.Error(), "portal") {
						t.Errorf("%s: %v", what, err)
					}
				}
				if err := c.DeleteInbox(deadline(t), "x"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestTokensAreRenewed publishes and receives for five hours with tokens of one hour. The bus drops the links of a token that expires.
func TestTokensAreRenewed(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		h := &recorder{again: true}
		defer closeReceiver(t, c.Attach(amqp.Source{Inbox: "devices/Subscriptions/a", Credit: 100, Settled: true}, h))
		h.waitAttached(t, 1)
		const minutes = 5 * 60
		for range minutes {
			mustAccept(t, c, textMessage("devices", "x"))
			pass(time.Minute)
		}
		h.waitDeliveries(t, minutes)
		if s := a.broker.Stats(); s.Detached > 0 || s.Requests < 12 {
			t.Errorf("%d links were lost, %d tokens put", s.Detached, s.Requests)
		}
	})
}

func TestTokenFile(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		file := filepath.Join(t.TempDir(), "token")
		write := func(life time.Duration) {
			if err := os.WriteFile(file, []byte(jsonWebToken(time.Now().Add(life))+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o := a.options()
		o.URLs, o.Login.TokenFile = []string{"amqp://bus.example"}, file
		c, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(deadline(t)) }()
		synctest.Wait()
		if err := c.Ready(deadline(t)); !errors.Is(err, amqp.ErrRefused) || !strings.Contains(err.Error(), "file with the bus's token") {
			t.Errorf("without a file: %v", err)
		}
		write(20 * time.Minute)
		eventually(t, "the file is there", func() error { return c.Ready(deadline(t)) })
		for range 6 {
			pass(8 * time.Minute)
			write(20 * time.Minute) // by whoever keeps it
			mustAccept(t, c, textMessage("devices", "x"))
		}
		if s := a.broker.Stats(); s.Detached > 0 {
			t.Errorf("%d links were lost", s.Detached)
		}
	})
}

// jsonWebToken is one that the bus takes.
func jsonWebToken(expires time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	head := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"exp":%d}`, expires.Unix()))
	mac := hmac.New(sha256.New, []byte(jwtKey))
	mac.Write([]byte(head))
	return head + "." + encode(mac.Sum(nil))
}

func TestTokenFileThatIsNone(t *testing.T) {
	for _, content := range []string{"", "x", "a.b.c", jsonWebToken(time.Unix(0, 0)), strings.Repeat("x", 1<<20)} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readToken(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%.20q: %v", content, err)
		}
	}
}

// TestWrongKey: it says nothing about the messages, so that they are held, not refused.
func TestWrongKey(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		o := a.options()
		o.URLs = []string{"amqp://root:wrong-secret@bus.example"}
		c, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(deadline(t)) }()
		pass(time.Second)
		err = c.Ready(deadline(t))
		if !errors.Is(err, errToken) || !errors.Is(err, amqp.ErrRefused) || !strings.Contains(err.Error(), "invalid signature") || strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("Ready: %v", err)
		}
		if o := publish(t, c, 0, textMessage("devices", "x")); o.Kind != message.Busy {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestEntityThatIsNotThere(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		for range 3 { // at once, and also while it is not tried again
			o := publish(t, c, 0, textMessage("nowhere", "x"))
			if o.Kind != message.Rejected || o.Error.Condition != "amqp:not-found" {
				t.Fatalf("outcome %+v", o)
			}
			mustAccept(t, c, textMessage("devices", "x"))
		}
		if o := publish(t, c, 0, textMessage("devices/Subscriptions/a", "x")); o.Kind != message.Rejected || o.Error.Condition != "amqp:not-allowed" {
			t.Errorf("to a subscription: %+v", o)
		}
		if o := publish(t, c, 0, textMessage("", "x")); o.Kind != message.Rejected {
			t.Errorf("to nothing: %+v", o)
		}
		for address, want := range map[string]error{"orders": nil, "nowhere": amqp.ErrNotFound, "devices/Subscriptions/a": amqp.ErrRefused} {
			if err := c.Lookup(deadline(t), address); !errors.Is(err, want) {
				t.Errorf("Lookup(%s): %v", address, err)
			}
		}
		asked := a.broker.Stats().Requests
		pass(refusedPause - time.Second)
		if again := a.broker.Stats().Requests; again != asked {
			t.Errorf("asked %d more times within the pause", again-asked)
		}
	})
}

// TestIdleLinks: what Azure ends since nobody uses it comes back by itself, and nobody notices.
func TestIdleLinks(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		h := &recorder{again: true}
		defer closeReceiver(t, c.Attach(amqp.Source{Inbox: "devices/Subscriptions/a", Credit: 10, Settled: true}, h))
		h.waitAttached(t, 1)
		for i := range 4 {
			pass(25 * time.Minute)
			mustAccept(t, c, textMessage("devices", "x"))
			mustAccept(t, c, textMessage("orders", "x"))
			h.waitDeliveries(t, i+1)
		}
		s := a.broker.Stats()
		if s.Detached < 10 {
			t.Errorf("only %d links were ended: this test shows nothing", s.Detached)
		}
		if s.Disconnects > 0 {
			t.Errorf("%d connections were lost", s.Disconnects)
		}
		if err := c.Ready(deadline(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestLinkLostUnderWay: a message that was written and not answered is Lost, those behind it are Busy, and the next one goes through.
func TestLinkLostUnderWay(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		forced := &message.Error{Condition: "amqp:link:detach-forced", Description: "maintenance"}
		for name, cut := range map[string]func(){
			"link":       func() { a.broker.Faults().DetachPublishers(forced) },
			"connection": func() { a.broker.Faults().CloseConnections(&message.Error{Condition: "amqp:connection:forced"}) },
			"transport":  func() { a.broker.Faults().Cut() },
		} {
			a.broker.Faults().Answer(embedded.Answer{Address: "devices", Gated: true, Count: 1})
			outcome := make(chan message.Outcome, 1)
			c.Publish(0, textMessage("devices", "x"), false, func(o message.Outcome) { outcome <- o })
			synctest.Wait()
			cut()
			if o := <-outcome; o.Kind != message.Lost {
				t.Errorf("%s: outcome %+v", name, o)
			}
			eventually(t, "it is there again", func() error { return c.Ready(deadline(t)) })
			mustAccept(t, c, textMessage("devices", "x"))
		}
	})
}

func TestServerBusyIsToldAsItIs(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		for kind, want := range map[message.OutcomeKind]message.OutcomeKind{message.Rejected: message.Rejected, message.Released: message.Modified} {
			a.broker.Faults().Answer(embedded.Answer{Count: 1, Outcome: message.Outcome{Kind: kind, Error: &message.Error{Condition: "com.microsoft:server-busy"}}})
			o := publish(t, c, 0, textMessage("devices", "x"))
			if o.Kind != want || want == message.Rejected && o.Error.Condition != "com.microsoft:server-busy" {
				t.Errorf("outcome %+v", o)
			}
		}
		mustAccept(t, c, textMessage("devices", "x"))
	})
}

// TestMoreEntitiesThanLinks: the links of one connection are bounded, its entities are not.
func TestMoreEntitiesThanLinks(t *testing.T) {
	const count = maxEntities + 20
	var o servicebus.Options
	for i := range count {
		o.Queues = append(o.Queues, servicebus.Queue{Name: fmt.Sprint("q", i)})
	}
	onAzure(t, o, func(t *testing.T, a *azure) {
		c := open(t, a.options())
		for round := range 2 {
			for i := range count {
				mustAccept(t, c, textMessage(fmt.Sprint("q", i), fmt.Sprint(round)))
			}
		}
		e := c.publishers[0].(*entities)
		if n := len(e.list()); n > maxEntities {
			t.Errorf("%d lanes", n)
		}
		if e.lanes["devices"] == nil {
			t.Error("the link that is to be kept was given up")
		}
		synctest.Wait()
		if s := a.broker.Stats(); s.Attached-s.Detached > maxEntities+4 {
			t.Errorf("%d links attached", s.Attached-s.Detached)
		}
		e.mu.Lock()
		held := len(e.stage.tokens.held)
		e.mu.Unlock()
		if held > maxEntities {
			t.Errorf("%d tokens are renewed", held)
		}
	})
}

// TestStaticSessionsAreReplaced: delivery-ids must not run out; here after 20.
func TestStaticSessionsAreReplaced(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		o := a.options()
		o.rotate = 20
		c := open(t, o)
		h := &recorder{again: true}
		attached := make(chan amqp.Receiver, 1)
		h.onAttached = sync.OnceFunc(func() {
			r := <-attached
			h.mu.Lock()
			h.onDelivery = func(d amqp.Delivery) { r.Settle(d.Tag, message.Outcome{Kind: message.Accepted}) }
			h.mu.Unlock()
		})
		r := c.Attach(amqp.Source{Inbox: "orders", Credit: 100}, h)
		attached <- r
		defer closeReceiver(t, r)
		const count = 100
		sent := 0
		eventually(t, "all is sent", func() error {
			for sent < count {
				if o := publish(t, c, 0, textMessage("orders", fmt.Sprint(sent))); o.Kind != message.Accepted {
					if o.Kind != message.Busy {
						t.Errorf("message %d: outcome %+v", sent, o)
					}
					return errors.New("busy")
				}
				sent++
			}
			return nil
		})
		settled := map[string]bool{}
		eventually(t, "all has come", func() error {
			_, _, got := h.snapshot()
			for _, d := range got {
				settled[text(d)] = true
			}
			if len(settled) < count {
				return fmt.Errorf("%d are there", len(settled))
			}
			return nil
		})
		if s := a.broker.Stats(); s.Connections < 4 {
			t.Errorf("%d connections: nothing was replaced", s.Connections)
		}
	})
}

// TestHubIsReadOn: a reader begins at the end and goes on where it was, so that a lost link costs no event.
func TestHubIsReadOn(t *testing.T) {
	onAzure(t, servicebus.Options{}, func(t *testing.T, a *azure) {
		o := a.options()
		o.Kind, o.Targets = topology.EventHubs, []string{"telemetry"}
		c := open(t, o)
		send := func(i int) {
			m := textMessage("telemetry/Partitions/1", fmt.Sprint(i))
			mustAccept(t, c, m)
		}
		send(0) // before anyone reads
		h := &recorder{again: true}
		defer closeReceiver(t, c.Attach(amqp.Source{Inbox: "telemetry/ConsumerGroups/$Default/Partitions/1", Credit: 10, Settled: true}, h))
		h.waitAttached(t, 1)
		send(1)
		h.waitDeliveries(t, 1)
		a.broker.Faults().DetachConsumers(&message.Error{Condition: "amqp:link:detach-forced"})
		send(2) // while nobody is there
		send(3)
		if got := strings.Join(texts(h.waitDeliveries(t, 3)), " "); got != "1 2 3" {
			t.Errorf("got %s", got)
		}
	})
}
