package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/amqp/embedded"
	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/quota"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// named lets devices be the principal that their user name says: TENANT/NAME.
type named struct{}

func (named) Authenticate(_ context.Context, a *access.Attempt) (*access.Principal, error) {
	tenant, name, _ := strings.Cut(a.UserName, "/")
	return &access.Principal{Tenant: tenant, Name: name, Source: "named"}, nil
}

func as(user string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.HasUsername, p.Username = true, user }
}

// metered runs a test in each version on a node with quotas, whose devices say who they are.
func metered(t *testing.T, change func(*Options), run func(w *failing)) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(strings.TrimPrefix(versionName(v), "/"), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				w := &failing{bubble: b, v: v}
				w.auth.Methods = []auth.Method{{Name: "named", Authenticator: named{}}}
				w.begin(change)
				run(w)
			})
		})
	}
}

// taken counts the messages of a QoS that the bus has taken, whether there is somebody to hear them or not.
func (w *failing) taken(qos packet.QoS) (n int) {
	for _, reason := range []packet.ReasonCode{packet.Success, packet.NoMatchingSubscribers} {
		count, err := strconv.Atoi(w.metric(fmt.Sprintf(`sluice_publishes_total{qos="%d",reason="%s"}`, qos, reason)))
		if err != nil {
			w.t.Fatal(err)
		}
		n += count
	}
	return n
}

// TestWhoIsTooFastIsSlowed: a device that sends fifty messages at once where ten a second may pass loses none of them, whatever their QoS, is not taken for
// silent meanwhile, and may go on.
func TestWhoIsTooFastIsSlowed(t *testing.T) {
	rules := quota.Rules{Principal: quota.Limits{PublishRate: 10}, DelayMax: time.Second}
	metered(t, limited(rules), func(w *failing) {
		for qos := packet.QoS(0); qos <= 2; qos++ {
			c := w.dial()
			c.connect("dev-"+string('a'+rune(qos)), as("acme/"+string('a'+rune(qos))), func(p *packet.Connect) { p.KeepAlive = 1 })
			c.flood("a/b", qos, 50)
			w.pass(3*time.Second + 500*time.Millisecond)
			if n := w.taken(qos); n < 40 || n > 50 {
				w.t.Errorf("QoS %d: %d messages in 3.5 s at 10 a second, with 10 at once", qos, n)
			}
			for range 6 {
				w.pass(time.Second / 2)
				c.say(&packet.Pingreq{})
			}
			if n := w.taken(qos); n != 50 {
				w.t.Errorf("QoS %d: %d of 50 messages reach the bus", qos, n)
			}
			if c.isClosed() {
				w.t.Fatalf("QoS %d: the connection is closed: %v", qos, c.packets())
			}
			_ = c.conn.Close()
			w.pass(time.Second)
		}
		if hits := w.counted(failure.QuotaPublishRate.Name); hits != "0" {
			w.t.Errorf("%s messages refused", hits)
		}
	})
}

// flood sends n messages, ten of them without answer at most, on a goroutine that ends with the connection.
func (c *caller) flood(topic string, qos packet.QoS, n int) {
	go func() {
		for i := range n {
			p := &packet.Publish{Topic: topic, QoS: qos, Payload: []byte("x")}
			if qos > 0 {
				p.ID = packet.ID(i + 1)
			}
			for qos > 0 && i-c.answered() >= 10 && !c.isClosed() {
				time.Sleep(time.Millisecond) // in the bubble
			}
			c.say(p)
		}
	}()
}

// answered counts the messages that the device has got a final answer for, and releases what it has got a PUBREC for.
func (c *caller) answered() (n int) {
	for _, p := range c.packets() {
		a, ok := p.(*packet.Ack)
		if ok && a.Kind == packet.PUBREC && c.released < a.ID {
			c.released = a.ID
			c.say(&packet.Ack{Kind: packet.PUBREL, ID: a.ID})
		}
		if ok && a.Kind != packet.PUBREC {
			n++
		}
	}
	return n
}

// TestAFullQuotaIsNobodyElses: one tenant has used up its quotas of messages, connections and subscriptions; another's principal of the same name notices nothing.
func TestAFullQuotaIsNobodyElses(t *testing.T) {
	rules := quota.Rules{Tenant: quota.Limits{PublishRate: 1, Connections: 2, Subscriptions: 1}, DelayMax: 10 * time.Millisecond}
	metered(t, limited(rules), func(w *failing) {
		noisy := w.dial()
		noisy.connect("dev", as("noisy/a"))
		noisy.subscribe("x")
		noisy.publish("a/b", 1)
		noisy.subscribe("y")
		second := w.dial()
		second.connect("dev2", as("noisy/b"))
		third := w.dial()
		third.connect("dev3", as("noisy/c"))
		second.publish("a/b", 1)
		quiet := w.dial()
		quiet.connect("dev", as("quiet/a"))
		quiet.subscribe("x")
		quiet.publish("a/b", 1)
		w.pass(time.Second)
		if quiet.isClosed() || quiet.hears("quota") {
			w.t.Errorf("the other tenant hears of it: %v", quiet.packets())
		}
		for _, p := range quiet.packets() {
			if a, ok := p.(*packet.Ack); ok && a.Reason.Failed() {
				w.t.Errorf("the other tenant's message is refused: %v", a)
			}
		}
		for _, series := range []string{
			`sluice_quota_hits_total{quota="connections",scope="tenant",tenant="noisy"}`,
			`sluice_quota_hits_total{quota="publish_rate",scope="tenant",tenant="noisy"}`,
			`sluice_quota_hits_total{quota="subscriptions",scope="tenant",tenant="noisy"}`,
		} {
			if got := w.metric(series); got != "1" {
				w.t.Errorf("%s is %s", series, got)
			}
			if got := w.metric(strings.Replace(series, "noisy", "quiet", 1)); got != "0" {
				w.t.Errorf("%s of the other tenant is %s", series, got)
			}
		}
		if w.v == packet.V5 {
			for c, text := range map[*caller]string{
				noisy:  "The quota of this tenant is used up: 1 subscriptions (quota.tenant.subscriptions).",
				second: "The quota of this tenant is used up: 1 messages a second (quota.tenant.publish_rate).",
				third:  "The quota of this tenant is used up: 2 connections (quota.tenant.connections).",
			} {
				if !c.hears(text) {
					w.t.Errorf("a device is not told %q: %v", text, c.packets())
				}
			}
		}
	})
}

// TestATakeoverNeedsNoSecondPlace: a device whose old connection is still there comes back although its principal has no more than one place, and messages
// without answer do not keep it.
func TestATakeoverNeedsNoSecondPlace(t *testing.T) {
	metered(t, limited(quota.Rules{Principal: quota.Limits{Connections: 1, InFlight: 10}, DelayMax: time.Second}), func(w *failing) {
		w.broker.Faults().Answer(embedded.Answer{Address: "/exchanges/amq.topic/a.b", Never: true})
		for i := range 5 {
			c := w.dial()
			c.connect("dev", as("acme/a"))
			c.publish("a/b", 2)
			if c.isClosed() {
				w.t.Fatalf("connection %d is refused: %v", i, c.packets())
			}
		}
		w.pass(time.Minute)
		if p, n := w.node.quotas.book.Accounts(); p != 1 || n != 1 {
			w.t.Errorf("%d principals, %d tenants in the book", p, n)
		}
		for _, d := range w.node.directory.connections() {
			d.post(takenOver)
		}
		w.pass(time.Minute)
		c := w.dial()
		c.connect("dev", as("acme/a"))
		for range 25 {
			c.publish("a/c", 1)
		}
		if c.isClosed() || c.hears("quota") {
			w.t.Errorf("what earlier connections had under way is still counted: %v", c.packets())
		}
	})
}

// TestRefusedTogetherAnsweredApart: connections that are refused in the same moment are answered over half of the longest pause, not in one moment again, which
// would bring them back as a crowd.
func TestRefusedTogetherAnsweredApart(t *testing.T) {
	const devices, steps = 20, 10
	rules := quota.Rules{Tenant: quota.Limits{ConnectRate: 1}, DelayMax: 4 * time.Second}
	metered(t, limited(rules), func(w *failing) {
		w.dial().connect("first", as("acme/a"))
		var refused []*caller
		for i := range devices {
			c := w.dial()
			refused = append(refused, c)
			go c.say(&packet.Connect{Version: c.v, ClientID: fmt.Sprint("dev", i), HasUsername: true, Username: fmt.Sprint("acme/", i)})
		}
		answered := func() (n int) {
			for _, c := range refused {
				if len(c.packets()) > 0 {
					n++
				}
			}
			return n
		}
		w.pass(rules.DelayMax/2 - time.Millisecond)
		if n := answered(); n > 0 {
			w.t.Errorf("%d are answered before half of the longest pause", n)
		}
		before, most := 0, 0
		for range steps + 1 {
			w.pass(rules.DelayMax / 2 / steps)
			n := answered()
			before, most = n, max(most, n-before)
		}
		if before != devices || w.counted(failure.QuotaConnectRate.Name) != strconv.Itoa(devices) {
			w.t.Errorf("%d of %d have their answer after the longest pause, %s are refused for their rate", before, devices, w.counted(failure.QuotaConnectRate.Name))
		}
		if most > devices*3/4 { // by chance: once in 10 billion times
			w.t.Errorf("%d of %d are answered within a tenth of the time", most, devices)
		}
	})
}

// TestLimitsOfASession: what the exceptions say of a principal's sessions holds, and MQTT 5 devices are told.
func TestLimitsOfASession(t *testing.T) {
	three, size, one := 3, 500, 1
	exceptions := &quota.Exceptions{Tenants: map[string]*quota.TenantExceptions{"acme": {
		Session:    quota.SomeSession{PacketSize: &size, ReceiveMaximum: &three},
		Principals: map[string]*quota.PrincipalExceptions{"a": {Session: quota.SomeSession{Subscriptions: &one}}},
	}}}
	metered(t, limited(quota.Rules{Exceptions: exceptions}), func(w *failing) {
		c := w.dial()
		c.connect("dev", as("acme/a"))
		if p, ok := c.packets()[0].(*packet.Connack); w.v == packet.V5 && (!ok || p.Properties.ReceiveMaximum != 3 || p.Properties.MaximumPacketSize != 500) {
			w.t.Errorf("CONNACK has %+v", c.packets()[0])
		}
		c.subscribe("x")
		c.subscribe("y")
		c.publish("a/b", 1, func(p *packet.Publish) { p.Payload = make([]byte, 400) })
		if c.isClosed() {
			w.t.Fatal("closed too soon")
		}
		c.publish("a/b", 1, func(p *packet.Publish) { p.Payload = make([]byte, 600) })
		w.pass(5 * time.Second)
		if !c.isClosed() {
			w.t.Error("a packet that is too large for this session is taken")
		}
		other := w.dial()
		other.connect("dev", as("else/a"))
		other.publish("a/b", 1, func(p *packet.Publish) { p.Payload = make([]byte, 600) })
		if other.isClosed() {
			w.t.Error("the limits of one tenant hold for another")
		}
		for _, kind := range []string{"subscriptions", "max_packet_size"} {
			if got := w.metric(`sluice_quota_hits_total{quota="` + kind + `",scope="session",tenant="acme"}`); got != "1" {
				w.t.Errorf("%s of the session were hit %s times", kind, got)
			}
		}
	})
}

// TestShortOfMemory: who is connected stays and is served, who comes is turned away until there is room again.
func TestShortOfMemory(t *testing.T) {
	metered(t, nil, func(w *failing) {
		c := w.dial()
		c.connect("dev", as("acme/a"))
		memory := w.node.admission.memory
		bound := func(n uint64) {
			memory.mu.Lock()
			memory.max = n
			memory.mu.Unlock()
			w.pass(time.Second)
		}
		bound(1)
		late := w.dial()
		late.connect("late", as("acme/b"))
		w.pass(3 * time.Second)
		c.publish("a/b", 1)
		if !late.isClosed() || c.isClosed() || w.taken(1) != 1 {
			w.t.Errorf("turned away: %v; the one that was there is closed: %v, its messages on the bus: %d", late.isClosed(), c.isClosed(), w.taken(1))
		}
		if got := w.metric(`sluice_connections_shed_total{limit="memory"}`); got != "1" {
			w.t.Errorf("%s turned away", got)
		}
		bound(1 << 40)
		late = w.dial()
		late.connect("late", as("acme/b"))
		if late.isClosed() {
			w.t.Error("turned away although there is room again")
		}
	})
}

// TestDeniedMessagesCostAsMuchAsOthers: a device that publishes where it may not is slowed like any other, and what is denied does not stay under way.
func TestDeniedMessagesCostAsMuchAsOthers(t *testing.T) {
	rules := quota.Rules{Principal: quota.Limits{PublishRate: 10, InFlight: 1}, DelayMax: time.Second}
	for topic, denial := range map[string]*failure.Failure{"denied/x": failure.PublishDenied, "$sluice/x": failure.TopicReserved} {
		metered(t, func(o *Options) {
			limited(rules)(o)
			o.Policy = mustPolicy(t, someDenied)
		}, func(w *failing) {
			c := w.dial()
			c.connect("dev", as("acme/a"))
			c.flood(topic, 0, 50)
			w.pass(2*time.Second + 500*time.Millisecond)
			if n, err := strconv.Atoi(w.counted(denial.Name)); err != nil || n < 30 || n > 40 {
				w.t.Errorf("%s: %d messages (%v) are judged in 2.5 s at 10 a second, with 10 at once", denial.Name, n, err)
			}
			w.pass(5 * time.Second)
			if n := w.counted(denial.Name); n != "50" || c.isClosed() {
				w.t.Errorf("%s of 50 messages are denied; closed: %t", n, c.isClosed())
			}
			for _, f := range []*failure.Failure{failure.QuotaInFlight, failure.QuotaPublishRate} {
				if n := w.counted(f.Name); n != "0" {
					w.t.Errorf("%s of them meet %s", n, f.Name)
				}
			}
		})
	}
}
