package azure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sluice/amqp/embedded"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

const jwtKey = "signs JSON web tokens"

// token is one that the bus takes until it expires.
func token(expires time.Time) []byte {
	encode := base64.RawURLEncoding.EncodeToString
	head := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"exp":%d}`, expires.Unix()))
	mac := hmac.New(sha256.New, []byte(jwtKey))
	mac.Write([]byte(head))
	return []byte(head + "." + encode(mac.Sum(nil)))
}

// keeper keeps a token file fresh, as the agent of an identity provider does.
type keeper struct {
	file   string
	paused atomic.Bool
}

const (
	// tokenLife leaves a loaded machine some time for renewing: a quarter of it.
	tokenLife  = 10 * time.Second
	tokenEvery = time.Second
	// publishEvery keeps what waits for who does not read yet within the buffers of its connection.
	publishEvery = 4 * time.Millisecond
)

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{file: filepath.Join(t.TempDir(), "token")}
	k.write(t)
	done, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-ended })
	go func() {
		defer close(ended)
		tick := time.NewTicker(tokenEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if !k.paused.Load() {
					k.write(t)
				}
			case <-done:
				return
			}
		}
	}()
	return k
}

// write replaces the file in one step: a reader finds the old token or the new one.
func (k *keeper) write(t *testing.T) {
	next := k.file + ".new"
	if err := errors.Join(os.WriteFile(next, token(time.Now().Add(tokenLife)), 0o600), os.Rename(next, k.file)); err != nil {
		t.Errorf("the token: %v", err)
	}
}

// TestTokensUnderLoad: tokens end every few seconds while devices publish and subscribe; no link is lost. Then nobody renews them: the bus drops the links,
// devices wait, and when there is a token again everything is acknowledged. Nothing is lost in either.
func TestTokensUnderLoad(t *testing.T) {
	t.Parallel()
	o := namespace()
	o.JWTKey = jwtKey
	b, broker := rig.Azure(t, o, "")
	k := newKeeper(t)
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	n := start(t, b, "a", "bus.azure.login=token", "bus.azure.token_file="+k.file)
	sub, _ := rig.Dial(t, n, packet.V5)
	sub.Subscribe("load/#", 0)
	d, _ := rig.Dial(t, n, packet.V5)
	lostBefore := broker.Stats().Detached

	payload := func(i int) string { return fmt.Sprint("m", i) }
	sent := 0
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for end := time.Now().Add(2 * tokenLife); time.Now().Before(end); sent++ {
		<-tick.C
		if r := d.Publish("load/x", []byte(payload(sent)), packet.QoS(1+sent%2)); r != packet.Success {
			t.Fatalf("message %d: %v", sent, r)
		}
	}
	if lost := broker.Stats().Detached - lostBefore; lost > 0 {
		t.Errorf("%d links were lost although the tokens were renewed", lost)
	}
	heard := map[string]int{}
	for _, p := range sub.Collect(sent) {
		heard[string(p.Payload)]++
	}
	expectEach(t, heard, payload, sent)

	k.paused.Store(true)
	await(t, broker, "the links end with their token", func(s embedded.Stats) bool { return s.Detached > lostBefore })
	p := &packet.Publish{Topic: "load/x", QoS: 1, ID: d.NextID(), Payload: []byte(payload(sent))}
	sent++
	d.Send(p)
	k.paused.Store(false)
	if ack := d.ExpectAck(packet.PUBACK, p.ID); ack.Reason != packet.Success {
		t.Errorf("what waited for the token: %v", ack.Reason)
	}
	expectEach(t, in.count(app, "telemetry"), payload, sent)
}

// TestServerBusy: the bus asks for another try; devices notice nothing but the time. A message of QoS 0 is not tried again, and costs nothing else.
func TestServerBusy(t *testing.T) {
	t.Parallel()
	b, broker := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	d, _ := rig.Dial(t, n, packet.V5)
	for _, condition := range []string{"com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled"} {
		for qos := range packet.QoS(3) {
			broker.Faults().Answer(embedded.Answer{Address: "telemetry", Count: 1 + 3*int(qos), Outcome: message.Outcome{
				Kind: message.Rejected, Error: &message.Error{Condition: condition, Description: "please wait"}}})
			if qos == 0 {
				d.Publish("busy", []byte("dropped"), 0)
			}
			want := fmt.Sprint(condition, qos)
			if r := d.Publish("busy", []byte(want), qos); r != packet.Success {
				t.Errorf("%s, QoS %d: %v", condition, qos, r)
			}
			if got := body(in.next()); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

// TestIdle: the bus ends what is idle, again and again; messages cross in both directions as if it did not.
func TestIdle(t *testing.T) {
	t.Parallel()
	o := namespace()
	o.Timing = servicebus.Timing{LinkIdle: 150 * time.Millisecond}
	b, broker := rig.Azure(t, o, "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	d, _ := rig.Dial(t, n, packet.V5)
	d.Subscribe("#", 0)
	for i := range 5 {
		ended := broker.Stats().Detached
		await(t, broker, "idle links end", func(s embedded.Stats) bool { return s.Detached >= ended+4 })
		rig.Eventually(t, "the node is ready", func() error { return n.Ready(rig.Context(t)) })
		if r := d.Publish("idle/up", fmt.Append(nil, i), 1); r != packet.Success {
			t.Fatalf("message %d: %v", i, r)
		}
		if p := d.Collect(1)[0]; string(p.Payload) != fmt.Sprint(i) { // by way of the bus
			t.Errorf("message %d came as %s", i, p.Payload)
		}
		app.send("commands", "idle/down", fmt.Sprint("down ", i))
		if p := d.Collect(1)[0]; string(p.Payload) != fmt.Sprint("down ", i) {
			t.Errorf("got %s", p.Payload)
		}
	}
}

// TestBusCloses: the bus closes connections and links while devices publish at QoS 2; it has each message once.
func TestBusCloses(t *testing.T) {
	t.Parallel()
	b, broker := rig.Azure(t, namespace(), "")
	n := start(t, b, "a")
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	d, _ := rig.Dial(t, n, packet.V5)
	payload := func(i int) string { return fmt.Sprint("m", i) }
	faults := broker.Faults()
	const count = 24
	for i := range count {
		faults.Answer(embedded.Answer{Address: "telemetry", Count: 1, Never: true}) // taken, and not answered: the node cannot know
		received := broker.Stats().Received
		id := d.NextID()
		d.Send(&packet.Publish{Topic: "t", QoS: 2, ID: id, Payload: []byte(payload(i))})
		await(t, broker, "the bus has the message", func(s embedded.Stats) bool { return s.Received > received })
		switch i % 3 {
		case 0:
			faults.DetachPublishers(&message.Error{Condition: "amqp:link:detach-forced"})
		case 1:
			faults.CloseConnections(&message.Error{Condition: "amqp:connection:forced"})
		case 2:
			faults.Cut()
		}
		if ack := d.ExpectAck(packet.PUBREC, id); ack.Reason != packet.Success {
			t.Fatalf("message %d: %v", i, ack.Reason)
		}
		d.Send(&packet.Ack{Kind: packet.PUBREL, ID: id})
		mqtttest.Expect[*packet.Ack](d)
	}
	before := broker.Stats().Received
	expectEach(t, in.count(app, "telemetry"), payload, count)
	if before < count*2 {
		t.Errorf("the bus got %d messages: none came twice, so that this shows nothing", before)
	}
}
