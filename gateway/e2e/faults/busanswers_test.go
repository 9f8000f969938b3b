package faults

import (
	"fmt"
	"testing"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// embeddedAnswer is a rule for the messages to topics that begin with topic.
func embeddedAnswer(topic string, o message.Outcome, count int) embedded.Answer {
	return embedded.Answer{Address: mapping.RabbitMQ.ToTopic(topic), Outcome: o, Count: count}
}

// passing is a problem of the bus that passes: the device is told nothing, nothing is lost.
type passing struct {
	name string
	// begin makes the problem; prefix begins the topics of the test. end takes it away.
	begin, end func(f *embedded.Faults, prefix string)
	// seen reports whether the bus has met the problem, given its counters from before.
	seen func(before, now embedded.Stats) bool
	// clean: no message can come twice.
	clean bool
	// late: the bus still accepts what was on its way when the problem began.
	late bool
}

var detachError = &message.Error{Condition: "amqp:link:detach-forced", Description: "as the test wants it"}

func answerAll(a embedded.Answer) func(*embedded.Faults, string) {
	return func(f *embedded.Faults, prefix string) {
		mine := a
		mine.Address = mapping.RabbitMQ.ToTopic(prefix)
		f.Answer(mine)
	}
}

func clearFaults(f *embedded.Faults, _ string) { f.Clear() }

func refusedOften(before, now embedded.Stats) bool {
	return now.Rejected+now.Modified+now.Released >= before.Rejected+before.Modified+before.Released+4
}

func withheld(before, now embedded.Stats) bool { return now.Withheld > before.Withheld }

func always(embedded.Stats, embedded.Stats) bool { return true }

var passings = []passing{
	{"modified", answerAll(embedded.Answer{Outcome: message.Outcome{Kind: message.Modified}}), clearFaults, refusedOften, true, false},
	{"modified delivery-failed", answerAll(embedded.Answer{Outcome: message.Outcome{Kind: message.Modified, DeliveryFailed: true}}), clearFaults, refusedOften, true, false},
	{"rejected queue unavailable", answerAll(embedded.Answer{Outcome: because("amqp:internal-error", "unavailable")}), clearFaults, refusedOften, true, false},
	{"rejected server busy", answerAll(embedded.Answer{Outcome: rejected("com.microsoft:server-busy")}), clearFaults, refusedOften, true, false},
	{"rejected timeout", answerAll(embedded.Answer{Outcome: rejected("com.microsoft:timeout")}), clearFaults, refusedOften, true, false},
	{"rejected operation cancelled", answerAll(embedded.Answer{Outcome: rejected("com.microsoft:operation-cancelled")}), clearFaults, refusedOften, true, false},
	{"answers late", answerAll(embedded.Answer{Gated: true}), clearFaults, withheld, true, false},
	{"never answers then detaches", answerAll(embedded.Answer{Never: true}), func(f *embedded.Faults, _ string) {
		f.Clear()
		f.DetachPublishers(detachError)
	}, withheld, false, false},
	{"never answers then cuts", answerAll(embedded.Answer{Never: true}), func(f *embedded.Faults, _ string) {
		f.Clear()
		f.Cut()
	}, withheld, false, false},
	{"no credit", func(f *embedded.Faults, _ string) { f.StallPublishers(true) }, clearFaults, always, true, true},
	{"no credit from the start", func(f *embedded.Faults, _ string) {
		f.StallPublishers(true)
		f.DetachPublishers(detachError)
	}, clearFaults, always, true, false},
	{"session window closed", func(f *embedded.Faults, _ string) { f.HoldWindows(true) }, clearFaults, always, true, true},
	{"session window closed from the start", func(f *embedded.Faults, _ string) {
		f.HoldWindows(true)
		f.EndSessions(detachError)
	}, clearFaults, always, true, false},
	{"cut and refused", func(f *embedded.Faults, _ string) {
		f.RefuseConnections(true)
		f.Cut()
	}, clearFaults, always, false, false},
}

const (
	messagesBefore = 10
	messagesAfter  = 60 // per QoS, begun before the problem ends
)

// While the bus has a passing problem no device is told that a message was taken which was not; pings are answered and the connection
// stays. When it ends, everything arrives, in order.
func TestPassingProblems(t *testing.T) {
	t.Parallel()
	for _, p := range passings {
		t.Run(p.name, func(t *testing.T) {
			rig.Versions(t, func(t *testing.T, v packet.Version) { p.test(t, v) })
		})
	}
}

func (p *passing) test(t *testing.T, v packet.Version) {
	b := startBus(t)
	n := b.node(t)
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	queue := app.queue(prefix + "/#")
	d := connect(t, n.TCP, deviceOptions{name: prefix, v: v, persistent: true, window: 10, judge: newOracle(b).judge})
	go d.keepPinging()

	sent := stream(t, d, prefix, 0, messagesBefore)
	if err := <-sent.done; err != nil {
		t.Fatal(err)
	}
	d.settled(t)

	before := b.Stats()
	p.begin(b.Faults(), prefix)
	more := stream(t, d, prefix, messagesBefore, messagesAfter)
	d.expectStuck(t)
	rig.Eventually(t, "the bus has met the problem", func() error {
		if now := b.Stats(); !p.seen(before, now) {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	// What the bus still accepts may be more than a window: while its word is on the way, each answer makes room. The oracle counts those.
	if got := len(d.allAnswers()); got > len(sent.payloads) && !p.late {
		t.Errorf("%d messages are acknowledged; the bus accepted %d", got, len(sent.payloads))
	}
	p.end(b.Faults(), prefix)
	if err := <-more.done; err != nil {
		t.Fatal(err)
	}
	d.settled(t)
	d.expectAlive(t)
	d.expectAnswersInOrder(t)

	app.ready()
	c := app.consume(queue)
	c.expect(t, append(sent.payloads, more.payloads...))
	for _, qos := range []packet.QoS{1, 2} {
		c.expectOrder(t, streamPrefix(prefix, qos))
	}
	if p.clean {
		c.expectNoDuplicates(t)
	}
}

// Losses without warning, again and again under traffic: what is in flight when they strike is sent again, flagged.
func TestLinksLostUnderTraffic(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(f *embedded.Faults){
		"detach publishers": func(f *embedded.Faults) { f.DetachPublishers(detachError) },
		"end sessions":      func(f *embedded.Faults) { f.EndSessions(detachError) },
		"close connections": func(f *embedded.Faults) { f.CloseConnections(detachError) },
		"cut":               func(f *embedded.Faults) { f.Cut() },
		"window closed": func(f *embedded.Faults) {
			f.HoldWindows(true)
			f.HoldWindows(false)
		},
		"credit taken back": func(f *embedded.Faults) {
			f.StallPublishers(true)
			f.StallPublishers(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Versions(t, func(t *testing.T, v packet.Version) { losses(t, v, strike) })
		})
	}
}

func losses(t *testing.T, v packet.Version, strike func(f *embedded.Faults)) {
	const strikes, between = 5, 20
	b := startBus(t)
	n := b.node(t)
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	queue := app.queue(prefix + "/#")
	d := connect(t, n.TCP, deviceOptions{name: prefix, v: v, persistent: true, judge: newOracle(b).judge})
	go d.keepPinging()
	sent := stream(t, d, prefix, 0, strikes*between)
	for i := range strikes {
		rig.Within(t, deviceLife/2, "messages flow again", func() error {
			if got, want := len(d.allAnswers()), (2*i+1)*between; got < want {
				return fmt.Errorf("%d of %d are acknowledged", got, want)
			}
			return nil
		})
		strike(b.Faults())
	}
	if err := <-sent.done; err != nil {
		t.Fatal(err)
	}
	d.settled(t)
	d.expectAlive(t)
	d.expectAnswersInOrder(t)
	app.ready()
	c := app.consume(queue)
	c.expect(t, sent.payloads)
	for _, qos := range []packet.QoS{1, 2} {
		c.expectOrder(t, streamPrefix(prefix, qos))
	}
}
