package gateway

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// faultBus decides what the broker does with each message of the fleet: every outcome, every loss, and every order of the two. It tells the oracle
// before the broker does it.
type faultBus struct {
	oracle *oracle

	mu   sync.Mutex
	rng  *rand.Rand
	did  map[string]int // what was decided, by name
	next int            // of strike
}

// Marks around a message's key in its payload: so the bus knows a copy for the quarantine as well. They are too long to come up in a timestamp.
var keyBegin, keyEnd = []byte("<the key is "), []byte(" and no other>")

// quarantineSetting is the quarantine of the fleet's node: an address, so that nothing has to be made.
const quarantineSetting = "/queues/held"

// attemptsMax is how often a message meets trouble at one address. Then it is accepted, so that every exchange comes to an end.
const attemptsMax = 3

// decision is one thing that the bus may do with a message, so often in thousand.
type decision struct {
	name    string
	weight  int
	outcome message.Outcome
	code    packet.ReasonCode // of a refusal: what an MQTT 5 device is to be told
	never   bool
	late    bool
	loss    embedded.Loss
}

func rejectedFor(condition, reason string) message.Outcome {
	e := &message.Error{Condition: condition, Description: "as the test wants it"}
	if reason != "" {
		e.Info = map[string]any{"reason": reason}
	}
	return message.Outcome{Kind: message.Rejected, Error: e}
}

var taken = message.Outcome{Kind: message.Accepted}

// decisions add up to 1000. The codes are written out: the test must not agree with mapping.Classify because it asks it.
var decisions = []decision{
	{name: "accepted", weight: 636, outcome: taken},
	{name: "accepted late", weight: 30, outcome: taken, late: true},
	{name: "accepted, link detached", weight: 2, outcome: taken, loss: embedded.LoseLink},
	{name: "accepted, session ended", weight: 1, outcome: taken, loss: embedded.LoseSession},
	{name: "accepted, connection closed", weight: 1, outcome: taken, loss: embedded.LoseConnection},
	{name: "accepted, transport cut", weight: 1, outcome: taken, loss: embedded.LoseTransport},
	{name: "accepted late, link detached", weight: 2, outcome: taken, late: true, loss: embedded.LoseLink},
	{name: "released", weight: 100, outcome: message.Outcome{Kind: message.Released}},
	{name: "released late", weight: 10, outcome: message.Outcome{Kind: message.Released}, late: true},
	{name: "rejected", weight: 10, outcome: message.Outcome{Kind: message.Rejected}, code: 0x83},
	{name: "rejected unknown", weight: 10, outcome: rejectedFor("example:no", ""), code: 0x83},
	{name: "rejected late", weight: 10, outcome: rejectedFor("example:no", ""), code: 0x83, late: true},
	{name: "rejected late, link detached", weight: 1, outcome: rejectedFor("example:no", ""), code: 0x83, late: true, loss: embedded.LoseLink},
	{name: "rejected, link detached", weight: 1, outcome: rejectedFor("amqp:not-found", ""), code: 0x90, loss: embedded.LoseLink},
	{name: "rejected unauthorized-access", weight: 10, outcome: rejectedFor("amqp:unauthorized-access", ""), code: 0x87},
	{name: "rejected not-found", weight: 10, outcome: rejectedFor("amqp:not-found", ""), code: 0x90},
	{name: "rejected precondition-failed", weight: 10, outcome: rejectedFor("amqp:precondition-failed", ""), code: 0x90},
	{name: "rejected resource-limit-exceeded", weight: 10, outcome: rejectedFor("amqp:resource-limit-exceeded", ""), code: 0x97},
	{name: "rejected maxlen", weight: 10, outcome: rejectedFor("amqp:resource-limit-exceeded", "maxlen"), code: 0x97},
	{name: "rejected message-size-exceeded", weight: 5, outcome: rejectedFor("amqp:link:message-size-exceeded", ""), code: 0x97},
	{name: "rejected decode-error", weight: 5, outcome: rejectedFor("amqp:decode-error", ""), code: 0x99},
	{name: "rejected invalid-field", weight: 5, outcome: rejectedFor("amqp:invalid-field", ""), code: 0x99},
	{name: "modified undeliverable-here", weight: 15, outcome: message.Outcome{Kind: message.Modified, UndeliverableHere: true}, code: 0x83},
	{name: "modified", weight: 30, outcome: message.Outcome{Kind: message.Modified}},
	{name: "modified delivery-failed", weight: 20, outcome: message.Outcome{Kind: message.Modified, DeliveryFailed: true}},
	{name: "rejected unavailable", weight: 20, outcome: rejectedFor("amqp:internal-error", "unavailable")},
	{name: "rejected server-busy", weight: 20, outcome: rejectedFor("com.microsoft:server-busy", "")},
	{name: "no answer", weight: 11, never: true},
	{name: "no answer, link detached", weight: 1, never: true, loss: embedded.LoseLink},
	{name: "no answer, session ended", weight: 1, never: true, loss: embedded.LoseSession},
	{name: "no answer, connection closed", weight: 1, never: true, loss: embedded.LoseConnection},
	{name: "no answer, transport cut", weight: 1, never: true, loss: embedded.LoseTransport},
}

func newFaultBus(o *oracle, seed uint64) *faultBus {
	return &faultBus{oracle: o, rng: rand.New(rand.NewPCG(seed, 6)), did: map[string]int{}}
}

// decide is what the broker asks for each message (embedded.Faults.Decide).
func (b *faultBus) decide(a embedded.Arrival) *embedded.Answer {
	_, rest, found := bytes.Cut(a.Message, keyBegin)
	key, _, closed := bytes.Cut(rest, keyEnd)
	if !found || !closed {
		return nil // no message of the fleet
	}
	held := strings.HasPrefix(a.Address, quarantineSetting)
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &decisions[0]
	if b.oracle.attempts(string(key), held) < attemptsMax {
		d = b.draw()
	}
	b.did[d.name]++
	answer := &embedded.Answer{Outcome: d.outcome, Never: d.never, Loss: d.loss}
	if d.never {
		answer.Outcome = taken // the worst: the bus has it, and nobody is ever told
	}
	v := verdict{quarantine: held, kind: d.outcome.Kind, code: d.code, at: time.Now(), told: time.Now(), transient: d.outcome.Kind == message.Modified && d.code == 0 || d.outcome.Kind == message.Rejected && d.code == 0}
	if d.late {
		answer.Delay, answer.Stray = time.Duration(1+b.rng.IntN(5000))*time.Millisecond, true
		v.told = v.at.Add(answer.Delay)
	}
	b.oracle.decided(string(key), v)
	if d.loss != embedded.LoseNothing {
		b.oracle.struck()
	}
	return answer
}

func (b *faultBus) draw() *decision {
	n := b.rng.IntN(1000)
	for i := range decisions {
		if n -= decisions[i].weight; n < 0 {
			return &decisions[i]
		}
	}
	panic("the weights do not add up to 1000")
}

// strike takes away the links, in one of four ways after the other, and with them the answers that never come.
func (b *faultBus) strike(f *embedded.Faults) {
	b.oracle.struck()
	e := &message.Error{Condition: "amqp:internal-error", Description: "as the test wants it"}
	switch b.next++; b.next % 4 {
	case 0:
		f.Cut()
	case 1:
		f.DetachPublishers(e)
	case 2:
		f.EndSessions(e)
	case 3:
		f.CloseConnections(e)
	}
}
