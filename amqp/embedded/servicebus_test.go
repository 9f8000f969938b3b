package embedded_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/message"
)

const sharedKey = "c2VjcmV0IGtleQ=="

func entities() *servicebus.Options {
	return &servicebus.Options{
		Queues: []servicebus.Queue{{Name: "orders"}, {Name: "once", DuplicateWindow: time.Minute}},
		Topics: []servicebus.Topic{{Name: "devices", Subscriptions: []string{"a", "b"}}},
		Hubs:   []servicebus.Hub{{Name: "telemetry", Partitions: 4}},
		Keys:   map[string]string{"root": sharedKey},
		JWTKey: "jwt secret",
	}
}

func signature(resource string, expires time.Time) string {
	encoded, end := url.QueryEscape(resource), fmt.Sprint(expires.Unix())
	mac := hmac.New(sha256.New, []byte(sharedKey))
	mac.Write([]byte(encoded + "\n" + end))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%s&skn=root", encoded, url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))), end)
}

// tenant is a client connection with its one session.
type tenant struct {
	*bench
	conn    *amqp.Conn
	session *amqp.Session
	cbs     *amqp.Sender
	answers *amqp.Receiver
	next    uint64
}

func (b *bench) tenant(sasl amqp.SASLType) *tenant {
	b.t.Helper()
	conn := b.dial(&amqp.ConnOptions{SASLType: sasl})
	return &tenant{bench: b, conn: conn, session: b.session(conn)}
}

func anonymousTenant(t testing.TB) *tenant {
	t.Helper()
	return newBench(t, embedded.Options{ServiceBus: entities()}).tenant(amqp.SASLTypeAnonymous())
}

func trustedTenant(t testing.TB, b *bench) *tenant {
	t.Helper()
	return b.tenant(amqp.SASLTypePlain("root", sharedKey))
}

// put puts a token and gives the status.
func (c *tenant) put(kind, audience, token string) int32 {
	c.t.Helper()
	if c.cbs == nil {
		c.answers = c.receiver(c.session, "$cbs", &amqp.ReceiverOptions{TargetAddress: "answers"})
		c.cbs = c.sender(c.session, "$cbs", nil)
	}
	c.next++
	back := "answers"
	m := &amqp.Message{
		Properties:            &amqp.MessageProperties{MessageID: c.next, ReplyTo: &back},
		ApplicationProperties: map[string]any{"operation": "put-token", "type": kind, "name": audience},
		Value:                 token,
	}
	if err := c.cbs.Send(c.ctx, m, nil); err != nil {
		c.t.Fatal(err)
	}
	answer := c.receive(c.answers)
	if err := c.answers.AcceptMessage(c.ctx, answer); err != nil {
		c.t.Fatal(err)
	}
	if answer.Properties.CorrelationID != c.next || answer.ApplicationProperties["status-description"] == "" {
		c.t.Fatalf("answer %+v does not belong to request %d", answer, c.next)
	}
	return answer.ApplicationProperties["status-code"].(int32)
}

// sign puts a token for an entity.
func (c *tenant) sign(entity string, expires time.Time) {
	c.t.Helper()
	audience := "amqps://bus.example/" + entity
	if status := c.put("servicebus.windows.net:sastoken", audience, signature(audience, expires)); status != 202 {
		c.t.Fatalf("the token for %s is answered with %d", entity, status)
	}
}

// conditionIn is the AMQP condition of an error, "" without any.
func conditionIn(err error) string {
	var e *amqp.Error
	if !errors.As(err, &e) {
		return ""
	}
	return string(e.Condition)
}

func TestServiceBusTokens(t *testing.T) {
	c := anonymousTenant(t)
	if _, err := c.session.NewSender(c.ctx, "orders", nil); conditionIn(err) != "amqp:unauthorized-access" {
		t.Fatalf("a sender without a token: %v", err)
	}
	const sas, queue = "servicebus.windows.net:sastoken", "amqps://bus.example/orders"
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	for _, p := range []struct {
		name, kind, audience, token string
		want                        int32
	}{
		{"expired", sas, queue, signature(queue, past), 401},
		{"for another entity", sas, queue, signature("amqps://bus.example/once", soon), 401},
		{"for a name that only begins like it", sas, queue, signature("amqps://bus.example/ord", soon), 401},
		{"forged", sas, queue, strings.Replace(signature(queue, soon), "&se=", "&se=9", 1), 401},
		{"unknown rule", sas, queue, strings.Replace(signature(queue, soon), "skn=root", "skn=other", 1), 401},
		{"of an unknown type", "password", queue, "x", 401},
		{"for no entity", sas, "amqps://bus.example/none", signature("amqps://bus.example/", soon), 404},
		{"forged JWT", "jwt", queue, "e30.e30.AAAA", 401},
	} {
		if got := c.put(p.kind, p.audience, p.token); got != p.want {
			t.Errorf("a token that is %s: status %d, want %d", p.name, got, p.want)
		}
	}
	if _, err := c.session.NewSender(c.ctx, "orders", nil); conditionIn(err) != "amqp:unauthorized-access" {
		t.Fatalf("a sender after refused tokens: %v", err)
	}
	c.sign("orders", soon)
	s := c.sender(c.session, "orders", nil)
	if state := c.publish(s, &amqp.Message{Value: "x"}); state.(*amqp.StateAccepted) == nil {
		t.Errorf("state %v", state)
	}
	// One token for the namespace is enough for all entities.
	c.sign("", soon)
	c.sender(c.session, "DEVICES", nil)
	c.receiver(c.session, "devices/Subscriptions/a/$DeadLetterQueue", nil)
}

func TestServiceBusJWT(t *testing.T) {
	c := anonymousTenant(t)
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"exp":%d}`, time.Now().Add(time.Hour).Unix()))
	mac := hmac.New(sha256.New, []byte("jwt secret"))
	mac.Write([]byte(text))
	if status := c.put("jwt", "amqps://bus.example/orders", text+"."+encode(mac.Sum(nil))); status != 202 {
		t.Fatalf("status %d", status)
	}
	c.sender(c.session, "orders", nil)
	if _, err := c.session.NewSender(c.ctx, "once", nil); conditionIn(err) != "amqp:unauthorized-access" {
		t.Errorf("a sender to another entity: %v", err)
	}
}

func TestServiceBusPlain(t *testing.T) {
	b := newBench(t, embedded.Options{ServiceBus: entities()})
	trustedTenant(t, b)
	for _, sasl := range []amqp.SASLType{nil, amqp.SASLTypePlain("root", "x"), amqp.SASLTypePlain("x", sharedKey)} {
		if conn, err := amqp.Dial(b.ctx, b.url, &amqp.ConnOptions{SASLType: sasl}); err == nil {
			_ = conn.Close()
			t.Error("let in without the key")
		}
	}
}

func TestServiceBusOneSession(t *testing.T) {
	c := trustedTenant(t, newBench(t, embedded.Options{ServiceBus: entities()}))
	if _, err := c.conn.NewSession(c.ctx, nil); err == nil {
		t.Fatal("a second session was begun")
	}
}

func TestServiceBusEntities(t *testing.T) {
	c := trustedTenant(t, newBench(t, embedded.Options{ServiceBus: entities()}))
	for address, want := range map[string]string{
		"": "amqp:not-allowed", "none": "amqp:not-found", "/queues/orders": "amqp:not-found", "devices/Subscriptions/a": "amqp:not-allowed",
		"orders/$DeadLetterQueue": "amqp:not-allowed", "telemetry/Partitions/4": "amqp:not-found",
	} {
		if _, err := c.session.NewSender(c.ctx, address, nil); conditionIn(err) != want {
			t.Errorf("a sender to %q: %v, want %s", address, err, want)
		}
	}
	for address, want := range map[string]string{
		"none": "amqp:not-found", "devices": "amqp:not-allowed", "devices/Subscriptions/c": "amqp:not-found", "telemetry": "amqp:not-allowed",
		"telemetry/ConsumerGroups/other/Partitions/0": "amqp:not-found",
	} {
		if _, err := c.session.NewReceiver(c.ctx, address, nil); conditionIn(err) != want {
			t.Errorf("a receiver from %q: %v, want %s", address, err, want)
		}
	}
	a, b := c.receiver(c.session, "devices/Subscriptions/a", nil), c.receiver(c.session, "devices/Subscriptions/b", nil)
	topic := c.sender(c.session, "amqps://bus.example/devices", nil)
	for n := range 2 {
		if _, accepted := c.publish(topic, &amqp.Message{Value: int64(n), Annotations: amqp.Annotations{"x-opt-mine": "kept"}}).(*amqp.StateAccepted); !accepted {
			t.Error("not accepted")
		}
		for _, r := range []*amqp.Receiver{a, b} {
			m := c.receive(r)
			enqueued, _ := m.Annotations["x-opt-enqueued-time"].(time.Time)
			if m.Value != int64(n) || m.Annotations["x-opt-sequence-number"] != int64(n+1) || m.Annotations["x-opt-mine"] != "kept" ||
				time.Since(enqueued).Abs() > time.Minute || m.Annotations["x-exchange"] != nil {
				t.Errorf("message %d came as %v with %v", n, m.Value, m.Annotations)
			}
			if err := r.RejectMessage(c.ctx, m, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	dead := c.receiver(c.session, "devices/subscriptions/a/$deadletterqueue", nil)
	if m := c.receive(dead); m.Value != int64(0) {
		t.Errorf("dead letter %v", m.Value)
	}
}

func TestServiceBusDuplicates(t *testing.T) {
	c := trustedTenant(t, newBench(t, embedded.Options{ServiceBus: entities()}))
	for _, q := range []struct {
		name string
		want []any
	}{{"once", []any{int64(0), int64(2), int64(3), int64(4)}}, {"orders", []any{int64(0), int64(1), int64(2), int64(3), int64(4)}}} {
		s, r := c.sender(c.session, q.name, nil), c.receiver(c.session, q.name, &amqp.ReceiverOptions{Credit: 10})
		for i, id := range []any{"a", "a", uint64(7), "7", nil} {
			if _, accepted := c.publish(s, &amqp.Message{Properties: &amqp.MessageProperties{MessageID: id}, Value: int64(i)}).(*amqp.StateAccepted); !accepted {
				t.Error("a duplicate is accepted")
			}
		}
		for _, want := range q.want {
			if m := c.receive(r); m.Value != want {
				t.Errorf("%s: got %v, want %v", q.name, m.Value, want)
			}
		}
	}
}

func TestServiceBusRefusals(t *testing.T) {
	b := newBench(t, embedded.Options{ServiceBus: entities()})
	c := trustedTenant(t, b)
	long, group := strings.Repeat("x", 129), "g"
	for name, p := range map[string]struct {
		entity string
		m      *amqp.Message
		want   amqp.ErrCond
	}{
		"long id":               {"orders", &amqp.Message{Properties: &amqp.MessageProperties{MessageID: long}}, "com.microsoft:argument-error"},
		"long key":              {"telemetry", &amqp.Message{Annotations: amqp.Annotations{"x-opt-partition-key": long}}, "com.microsoft:argument-error"},
		"key of another type":   {"telemetry", &amqp.Message{Annotations: amqp.Annotations{"x-opt-partition-key": int64(1)}}, "com.microsoft:argument-error"},
		"key and session":       {"orders", &amqp.Message{Properties: &amqp.MessageProperties{GroupID: &group}, Annotations: amqp.Annotations{"x-opt-partition-key": "k"}}, "com.microsoft:argument-error"},
		"key for one partition": {"telemetry/Partitions/1", &amqp.Message{Annotations: amqp.Annotations{"x-opt-partition-key": "k"}}, "amqp:not-allowed"},
	} {
		p.m.Value = "x"
		s := c.sender(c.session, p.entity, nil)
		if rejected, ok := c.publish(s, p.m).(*amqp.StateRejected); !ok || rejected.Error == nil || rejected.Error.Condition != p.want {
			t.Errorf("%s: %+v, want rejected with %s", name, rejected, p.want)
		}
	}
	b.broker.Faults().Answer(embedded.Answer{Address: "orders", Count: 1, Outcome: message.Outcome{
		Kind: message.Rejected, Error: &message.Error{Condition: "com.microsoft:server-busy", Description: "try again in 10 s"}}})
	s := c.sender(c.session, "orders", nil)
	if rejected, ok := c.publish(s, &amqp.Message{Value: "x"}).(*amqp.StateRejected); !ok || rejected.Error.Condition != "com.microsoft:server-busy" {
		t.Error("the fault switch has no effect")
	}
}

func TestEventHub(t *testing.T) {
	c := trustedTenant(t, newBench(t, embedded.Options{ServiceBus: entities()}))
	s := c.sender(c.session, "telemetry", nil)
	const keys, each = 6, 5
	for i := range each {
		for k := range keys {
			c.publish(s, &amqp.Message{Value: int64(i), Annotations: amqp.Annotations{"x-opt-partition-key": fmt.Sprintf("device %d", k)}})
		}
	}
	// Two readers of the same partition get the same, from the start: a log is not emptied.
	partition, total := map[any]int{}, 0
	for n := range 4 {
		c.publish(c.sender(c.session, fmt.Sprintf("telemetry/Partitions/%d", n), nil), &amqp.Message{Value: "end"})
		var offsets []any
		address := fmt.Sprintf("telemetry/ConsumerGroups/$Default/Partitions/%d", n)
		for _, name := range []string{"first", "second"} {
			r := c.receiver(c.session, address, &amqp.ReceiverOptions{Name: fmt.Sprint(name, n), Credit: 100})
			drained, next := drain(c, r), map[any]int64{}
			for i, m := range drained {
				key := m.Annotations["x-opt-partition-key"]
				if p, known := partition[key]; known && p != n {
					t.Errorf("%v is on partitions %d and %d", key, p, n)
				}
				if m.Value != next[key] || m.Annotations["x-opt-offset"] != fmt.Sprint(i) || m.Annotations["x-opt-sequence-number"] != int64(i) {
					t.Errorf("%v: value %v, want %d; %v", key, m.Value, next[key], m.Annotations)
				}
				partition[key], next[key] = n, next[key]+1
				offsets = append(offsets, m.Annotations["x-opt-offset"])
			}
			total += len(drained)
		}
		if len(offsets) < 4 {
			continue
		}
		resumed := c.receiver(c.session, address, &amqp.ReceiverOptions{Name: fmt.Sprint("resumed", n), Credit: 100,
			Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("amqp.annotation.x-opt-offset > '1'")}})
		if first := c.receive(resumed); first.Annotations["x-opt-offset"] != "2" {
			t.Errorf("a reader behind offset 1 begins with %v", first.Annotations["x-opt-offset"])
		}
	}
	if total != 2*keys*each || len(partition) != keys {
		t.Errorf("%d events of %d keys", total, len(partition))
	}
	latest := c.receiver(c.session, "telemetry/ConsumerGroups/$Default/Partitions/2", &amqp.ReceiverOptions{Name: "latest",
		Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("amqp.annotation.x-opt-offset > '@latest'")}})
	c.publish(c.sender(c.session, "telemetry/Partitions/2", nil), &amqp.Message{Value: "new"})
	if m := c.receive(latest); m.Value != "new" {
		t.Errorf("a reader from the end gets %v", m.Value)
	}
	if _, err := c.session.NewReceiver(c.ctx, "telemetry/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{
		Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("color = 'red'")}}); conditionIn(err) != "com.microsoft:argument-error" {
		t.Errorf("a filter that makes no sense: %v", err)
	}
}

// drain receives what comes before the mark that is sent last.
func drain(c *tenant, r *amqp.Receiver) []*amqp.Message {
	var all []*amqp.Message
	for m := c.receive(r); m.Value != "end"; m = c.receive(r) {
		all = append(all, m)
	}
	return all
}

// serviceBusTimed runs a test in fake time with a connection that is open.
func serviceBusTimed(t *testing.T, sasl amqp.SASLType, run func(t *testing.T, c *tenant)) {
	timed(t, embedded.Options{ServiceBus: entities(), IdleTimeout: -1}, func(t *testing.T, broker *embedded.Broker, dial func() net.Conn) {
		ctx := context.Background()
		conn, err := amqp.NewConn(ctx, dial(), &amqp.ConnOptions{SASLType: sasl, IdleTimeout: -1})
		if err != nil {
			t.Fatal(err)
		}
		session, err := conn.NewSession(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		run(t, &tenant{bench: &bench{t: t, broker: broker, ctx: ctx}, conn: conn, session: session})
		_ = conn.Close()
		synctest.Wait()
	})
}

// after tells how long it took until done was closed.
func after(done <-chan struct{}) time.Duration {
	start := time.Now()
	<-done
	return time.Since(start)
}

func TestServiceBusTokenIsAwaited(t *testing.T) {
	serviceBusTimed(t, amqp.SASLTypeAnonymous(), func(t *testing.T, c *tenant) {
		if took := after(c.conn.Done()); took.Round(time.Second) != 20*time.Second || conditionIn(c.conn.Err()) != "amqp:connection:forced" {
			t.Errorf("ended after %v with %v", took, c.conn.Err())
		}
	})
}

func TestServiceBusConnectionWithoutLink(t *testing.T) {
	sasl := amqp.SASLTypePlain("root", sharedKey)
	serviceBusTimed(t, sasl, func(t *testing.T, c *tenant) {
		if took := after(c.conn.Done()); took.Round(time.Second) != time.Minute || conditionIn(c.conn.Err()) != "amqp:connection:forced" {
			t.Errorf("a new connection: ended after %v with %v", took, c.conn.Err())
		}
	})
	serviceBusTimed(t, sasl, func(t *testing.T, c *tenant) {
		if err := c.sender(c.session, "orders", nil).Close(c.ctx); err != nil {
			t.Fatal(err)
		}
		if took := after(c.conn.Done()); took.Round(time.Second) != 5*time.Minute || conditionIn(c.conn.Err()) != "amqp:connection:forced" {
			t.Errorf("after the last link: ended after %v with %v", took, c.conn.Err())
		}
	})
}

func TestServiceBusIdleLink(t *testing.T) {
	serviceBusTimed(t, amqp.SASLTypePlain("root", sharedKey), func(t *testing.T, c *tenant) {
		s, r := c.sender(c.session, "orders", nil), c.receiver(c.session, "once", nil)
		h := c.receiver(c.session, "telemetry/ConsumerGroups/$Default/Partitions/0", nil)
		for range 3 { // whoever carries something stays
			waitFor(9 * time.Minute)
			if err := s.Send(c.ctx, &amqp.Message{Value: "x"}, nil); err != nil {
				t.Fatal(err)
			}
			if c.broker.Stats().Detached > 1 {
				t.Fatal("a link in use was ended")
			}
		}
		if _, err := r.Receive(c.ctx, nil); conditionIn(err) != "amqp:link:detach-forced" {
			t.Errorf("the idle receiver: %v", err)
		}
		waitFor(11 * time.Minute)
		if err := s.Send(c.ctx, &amqp.Message{Value: "x"}, nil); conditionIn(err) != "amqp:link:detach-forced" {
			t.Errorf("the idle sender: %v", err)
		}
		if _, err := h.Receive(c.ctx, nil); conditionIn(err) != "amqp:link:detach-forced" {
			t.Errorf("the idle reader of a hub: %v", err)
		}
	})
}

// waitFor lets fake time pass.
func waitFor(d time.Duration) { <-time.After(d) }

func TestServiceBusTokenExpires(t *testing.T) {
	serviceBusTimed(t, amqp.SASLTypeAnonymous(), func(t *testing.T, c *tenant) {
		c.sign("orders", time.Now().Add(2*time.Minute))
		c.sign("once", time.Now().Add(4*time.Minute))
		orders, once := c.receiver(c.session, "orders", nil), c.receiver(c.session, "once", nil)
		start := time.Now()
		waitFor(time.Minute)
		c.sign("orders", time.Now().Add(2*time.Minute)) // renewed: the link knows nothing of it
		if _, err := orders.Receive(c.ctx, nil); conditionIn(err) != "amqp:unauthorized-access" || time.Since(start).Round(time.Minute) != 3*time.Minute {
			t.Errorf("ended after %v: %v", time.Since(start), err)
		}
		if _, err := once.Receive(c.ctx, nil); conditionIn(err) != "amqp:unauthorized-access" || time.Since(start).Round(time.Minute) != 4*time.Minute {
			t.Errorf("the other entity: ended after %v: %v", time.Since(start), err)
		}
	})
}
