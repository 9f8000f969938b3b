package topology

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sluice/amqp"
	"sluice/amqp/message"
)

// DefaultRoot is the level under which topics are addresses of their own on Artemis.
const DefaultRoot = "mqtt"

// inboxRoot begins the address and the name of each inbox's queue.
const inboxRoot = "sluice.inbox."

// diverts is the family of ActiveMQ Artemis: an inbox is an anycast queue on an address of its own, a pattern is a divert from the topics' addresses to
// that one. A queue of Artemis has one address, so that several patterns cannot be bound to it. What was tried with 2.55, two cores, 1,000 queues, durable
// messages:
//
//   - A divert for each pattern: 4,700 messages/s where each goes to one inbox (8,500/s to nobody), 0.15 ms for each further copy. Each
//     inbox that a message goes to stores a copy of its own.
//   - One queue with all topics as its address and the patterns as its filter: 30 to 170 messages/s, since every message is tried on every
//     queue's filter. LIKE has no wildcard for one level, there is no regular expression.
//   - Not tried: one queue and one link for each pattern. It loses the order between patterns, and needs a fence across several queues.
//
// What follows from diverts:
//
//   - Where patterns of one inbox overlap, a message is diverted once for each. The copies name their original: Arrived.
//
//   - A divert puts its own address into properties.to. Arrived puts back the one that was sent to.
//
//   - Diverts do not go with the queue. Their names hold the inbox and the queue's id, which is never used again: a divert with another id is
//     of a queue that is gone, and a name once swept never comes back.
//
//   - A pattern may not hold "::": 2.55 would keep a broken entry, and make no wildcard any more until it is restarted.
//
//   - An address with thousands of levels would be the end of the broker (maxLevels). It is refused here.
//
//   - An address that matches its own inbox would go round for ever, and a device that could name activemq.management would rule the broker. So
//     topics live under a root, and patterns cannot leave it.
//
//   - Artemis makes an address for each topic that is published, and keeps it while a wildcard matches it: a subscription to everything keeps every
//     topic that was ever used, until a minute after it has ended.
//
// What Artemis cannot do as amqp.Inbox asks for it: bound one queue and refuse the newest. Address settings for each inbox would, but one costs 0.26 s with
// 2,000 queues there. MaxLength without DropOldest has no effect; Artemis pages to disk, and an operator bounds that with address settings for
// sluice.inbox.#. An inbox expires only if it once had a receiver or messages, and up to a minute late; its diverts wait for the next sweep.
type diverts struct {
	requester Requester
	root      string
}

// NewDiverts gives the family "diverts". root begins the topics' addresses, as in root + "." + pattern; empty is DefaultRoot.
func NewDiverts(r Requester, root string) (Family, error) {
	if root == "" {
		root = DefaultRoot
	}
	if err := CheckRoot(root); err != nil {
		return nil, err
	}
	return &diverts{requester: r, root: root}, nil
}

// CheckRoot reports why root cannot begin the topics' addresses on Artemis, nil when it can.
func CheckRoot(root string) error {
	first, _, _ := strings.Cut(root, ".")
	if strings.ContainsAny(root, "*#,: ") || first == "sluice" || first == "activemq" || strings.HasPrefix(root, "$") || first == "" {
		return fmt.Errorf("%q cannot begin the topics' addresses: use a name without '*', '#', ',', ':' and space, "+
			"whose first level is not sluice, activemq or one with '$'", root)
	}
	return nil
}

// queueConfiguration is Artemis' own JSON for a queue, as far as we set it.
type queueConfiguration struct {
	ID                     int64  `json:"id,omitempty"`
	Name                   string `json:"name"`
	Address                string `json:"address"`
	RoutingType            string `json:"routing-type"`
	Durable                bool   `json:"durable"`
	Exclusive              bool   `json:"exclusive"`
	AutoDelete             bool   `json:"auto-delete"`
	AutoDeleteDelay        uint64 `json:"auto-delete-delay"`
	AutoDeleteMessageCount int64  `json:"auto-delete-message-count"`
	RingSize               int64  `json:"ring-size"`
	AutoCreateAddress      bool   `json:"auto-create-address"`
}

func configurationOf(inbox amqp.Inbox) queueConfiguration {
	q := queueConfiguration{Name: inboxAddress(inbox.Name), Address: inboxAddress(inbox.Name), RoutingType: "ANYCAST", Durable: true,
		Exclusive: inbox.SingleActive, RingSize: -1, AutoCreateAddress: true}
	if inbox.Expires > 0 && inbox.Expires <= maxExpires {
		q.AutoDelete, q.AutoDeleteDelay, q.AutoDeleteMessageCount = true, inbox.Expires, -1
	}
	if inbox.MaxLength > 0 && inbox.DropOldest {
		q.RingSize = int64(min(inbox.MaxLength, 1<<62))
	}
	return q
}

// inboxAddress is the address and the name of an inbox's queue. Escaped, because '*' and '#' make it a wildcard, ',' a list and ':' a full queue name.
func inboxAddress(inbox string) string { return inboxRoot + escape(inbox) }

// divertsOf begins the names of an inbox's diverts: inbox, queue id, pattern. All are escaped: Artemis 2.55 makes a divert with "::" in its name, and then
// never finds it again.
func divertsOf(inbox string) string { return inboxAddress(inbox) + "/" }

// The pattern is for an operator's eye; a long one is a digest, since a name is sent, stored and listed many times.
func divertName(inbox string, queue int64, pattern string) string {
	shown := escape(pattern)
	if len(shown) > maxShownPattern {
		shown = fmt.Sprintf("~%x", sha256.Sum256([]byte(pattern)))
	}
	return divertsOf(inbox) + strconv.FormatInt(queue, 10) + "/" + shown
}

// Source implements Family: the full queue name. Artemis takes it as a target too.
func (d *diverts) Source(inbox string) string {
	return inboxAddress(inbox) + "::" + inboxAddress(inbox)
}

// TellsFirstAcquirer implements Family. Artemis sets it never, and counts a delivery only after modified with delivery-failed (see Settling): neither released nor a
// lost connection shows in a header.
func (d *diverts) TellsFirstAcquirer() bool { return false }

// Settling implements Family: what is released comes again as if for the first time, and a device would get it without DUP [MQTT-3.3.1-1].
func (d *diverts) Settling(o message.Outcome) message.Outcome {
	if o.Kind == message.Released {
		return message.Outcome{Kind: message.Modified, DeliveryFailed: true}
	}
	return o
}

// inboxSettings are the address settings of all inboxes. Without the first two, an attach to an inbox that is not there would make a queue that no
// pattern leads to. We count deliveries ourselves. A copy keeps the _AMQ_DUPL_ID of its original, for which Artemis would set aside room for 20,000.
const inboxSettings = `{"autoCreateQueues":false,"autoCreateAddresses":false,"autoDeleteAddresses":true,"maxDeliveryAttempts":-1,"idCacheSize":200}`

// Setup puts the address settings in place, if they are not: it takes Artemis a time that grows with the number of its queues.
func (d *diverts) Setup(ctx context.Context) error {
	body, err := d.perform(ctx, broker("getAddressSettingsAsJSON", inboxRoot+"#"))
	if err != nil {
		return err
	}
	var want, there map[string]any
	_ = json.Unmarshal([]byte(inboxSettings), &want)
	text, _ := body.(string)
	_ = json.Unmarshal([]byte(text), &there) // what cannot be read is not what we want
	for key, value := range want {
		if there[key] != value {
			_, err = d.perform(ctx, broker("addAddressSettings", inboxRoot+"#", inboxSettings))
			return err
		}
	}
	return nil
}

// EnsureInbox makes the queue, or compares the one that is there.
func (d *diverts) EnsureInbox(ctx context.Context, inbox amqp.Inbox) error {
	if err := checkName(inbox.Name); err != nil {
		return err
	}
	want := configurationOf(inbox)
	there, err := d.queue(ctx, inbox.Name)
	if faultOf(err) == queueMissing {
		there, err = d.create(ctx, inbox.Name, want)
	}
	if faultOf(err) == queueExists { // another node was faster
		there, err = d.queue(ctx, inbox.Name)
	}
	if err != nil {
		return err
	}
	there.ID, there.AutoCreateAddress = 0, true
	if there != want {
		return fmt.Errorf("%w: inbox %q is there with %s, wanted %s; remove it, or use another name", amqp.ErrConflict, inbox.Name,
			encode(there), encode(want))
	}
	return nil
}

// create makes the queue and removes the diverts that an earlier one of this name has left.
func (d *diverts) create(ctx context.Context, inbox string, want queueConfiguration) (queueConfiguration, error) {
	made, err := d.configuration(ctx, broker("createQueue", encode(want), false))
	if err != nil {
		return made, err
	}
	names, err := d.names(ctx, "getDivertNames")
	if err != nil {
		return made, err
	}
	own := divertName(inbox, made.ID, "")
	return made, d.destroy(ctx, names, func(name string) bool {
		return strings.HasPrefix(name, divertsOf(inbox)) && !strings.HasPrefix(name, own)
	})
}

// queue asks for the queue of an inbox. Artemis answers an update with the whole configuration; one that changes nothing costs no write.
func (d *diverts) queue(ctx context.Context, inbox string) (queueConfiguration, error) {
	return d.configuration(ctx, broker("updateQueue", encode(map[string]string{"name": inboxAddress(inbox)})))
}

func (d *diverts) configuration(ctx context.Context, r Request) (q queueConfiguration, err error) {
	body, err := d.perform(ctx, r)
	if err != nil {
		return q, err
	}
	text, _ := body.(string)
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return q, fmt.Errorf("%w: %s: the answer is no queue configuration: %w", amqp.ErrUnavailable, r.Method, err)
	}
	return q, nil
}

// Subscribe makes a divert for each pattern. One that is there already is no error at the bus, and is the same.
func (d *diverts) Subscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	patterns, err := patternsOf(bindings)
	if err != nil {
		return err
	}
	for _, pattern := range patterns {
		if deep := d.tooDeep(d.root + "." + pattern); deep != nil {
			return fmt.Errorf("%w: pattern %.200q: %s", amqp.ErrRefused, pattern, deep.Description)
		}
		if strings.Contains(pattern, "::") {
			return fmt.Errorf("%w: pattern %.200q has \"::\", which Artemis takes for a full queue name; escape it", amqp.ErrRefused, pattern)
		}
	}
	queue, err := d.queue(ctx, inbox)
	if err != nil {
		return err
	}
	return d.each(ctx, patterns, func(pattern string) Request {
		name := divertName(inbox, queue.ID, pattern)
		return broker("createDivert", encode(map[string]any{"name": name, "routing-name": name, "address": d.root + "." + pattern,
			"forwarding-address": inboxAddress(inbox), "exclusive": false, "routing-type": "ANYCAST"}))
	})
}

// patternsOf is all that a binding says here.
func patternsOf(bindings []amqp.Binding) ([]string, error) {
	patterns := make([]string, len(bindings))
	for i, b := range bindings {
		if b.Exchange != "" {
			return nil, &amqp.MissingExchanges{Names: []string{b.Exchange}, Words: "Artemis has no exchanges, all topics are under one address"}
		}
		patterns[i] = b.Pattern
	}
	return patterns, nil
}

// Unsubscribe removes the divert of each pattern.
func (d *diverts) Unsubscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	patterns, err := patternsOf(bindings)
	if err != nil {
		return err
	}
	queue, err := d.queue(ctx, inbox)
	if faultOf(err) == queueMissing {
		return nil // its diverts are swept
	}
	if err != nil {
		return err
	}
	return d.each(ctx, patterns, func(pattern string) Request {
		return broker("destroyDivert", divertName(inbox, queue.ID, pattern))
	}, divertMissing)
}

// DeleteInbox removes the queue with its messages, its receivers and its address, then its diverts. To find those it asks for the names of all, 0.6 ms
// for each 1,000: no list of one inbox's can be had, and keeping one would race between nodes.
func (d *diverts) DeleteInbox(ctx context.Context, inbox string) error {
	err := d.each(ctx, []string{inboxAddress(inbox)}, func(queue string) Request { return broker("destroyQueue", queue, true, true) }, queueMissing)
	if err != nil {
		return err
	}
	names, err := d.names(ctx, "getDivertNames")
	if err != nil {
		return err
	}
	return d.destroy(ctx, names, func(name string) bool { return strings.HasPrefix(name, divertsOf(inbox)) })
}

// Receivers implements Family.
func (d *diverts) Receivers(ctx context.Context, inbox string) (int, error) {
	body, err := d.perform(ctx, Request{Method: "getConsumerCount", Path: "queue." + inboxAddress(inbox), Body: []any{}})
	if faultOf(err) == resourceMissing {
		return 0, nil
	}
	n, ok := body.(float64) // JSON
	if err == nil && !ok {
		err = fmt.Errorf("%w: getConsumerCount of inbox %q: the answer is no number but %T", amqp.ErrUnavailable, inbox, body)
	}
	return int(n), err
}

// Sweep removes the diverts of queues that Artemis has removed. The order matters: a divert that is in the first list had a queue before, so that a queue
// that is not in the second was removed; made again it has another id, and so have its diverts.
func (d *diverts) Sweep(ctx context.Context) error {
	names, err := d.names(ctx, "getDivertNames")
	if err != nil {
		return err
	}
	queues, err := d.names(ctx, "getQueueNames")
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(queues))
	for _, q := range queues {
		there[q] = true
	}
	return d.destroy(ctx, names, func(name string) bool {
		queue, _, ours := strings.Cut(name, "/")
		return ours && strings.HasPrefix(queue, inboxRoot) && !there[queue]
	})
}

// destroy removes those of the diverts that are meant.
func (d *diverts) destroy(ctx context.Context, names []string, meant func(name string) bool) error {
	var gone []string
	for _, name := range names {
		if meant(name) {
			gone = append(gone, name)
		}
	}
	return d.each(ctx, gone, func(name string) Request { return broker("destroyDivert", name) }, divertMissing)
}

// The annotations of a diverted message.
const (
	annOriginalQueue   = "x-opt-ORIG-QUEUE" // the divert's name
	annOriginalAddress = "x-opt-ORIG-ADDRESS"
	annOriginalID      = "x-opt-ORIG-MESSAGE-ID"
	annOriginalRouting = "x-opt-ORIG-ROUTING-TYPE"
	annRouting         = "x-opt-routing-type"
)

// Arrived implements Family. Artemis overwrites the annotations whenever it diverts, so that a sender's own cannot pass for them; on a message that was
// sent to the inbox itself they are left alone.
func (d *diverts) Arrived(m *message.Message) (of Original, copied bool) {
	divert, _ := m.Annotations[annOriginalQueue].(string)
	address, _ := m.Annotations[annOriginalAddress].(string)
	id, ok := m.Annotations[annOriginalID].(int64)
	if !ok || !strings.HasPrefix(divert, inboxRoot) || !strings.HasPrefix(address, d.root+".") && address != d.root {
		return Original{}, false
	}
	for _, name := range [...]string{annOriginalQueue, annOriginalAddress, annOriginalID, annOriginalRouting, annRouting} {
		delete(m.Annotations, name)
	}
	m.Properties.To = address
	return Original{ID: id, Address: address}, true
}

// Refused implements Family. Topics are escaped; what is left may come from a rule that puts a part of a topic into the name of a queue, and would be
// a wildcard, or a queue of any other address.
func (d *diverts) Refused(to string) *message.Error {
	if !strings.HasPrefix(to, inboxRoot) && (strings.ContainsAny(to, "*#") || strings.Contains(to, "::")) {
		return &message.Error{Condition: "amqp:precondition-failed", Description: "the address has a wildcard, or names a queue of another address"}
	}
	return d.tooDeep(to)
}

func (d *diverts) tooDeep(address string) *message.Error {
	if len(address) <= maxLevels { // no need to count
		return nil
	}
	address, _, _ = strings.Cut(address, "::")
	if n := strings.Count(address, ".") + 1; n > maxLevels {
		return &message.Error{Condition: "amqp:precondition-failed", Description: fmt.Sprintf("the address has %d levels; Artemis bears %d", n, maxLevels)}
	}
	return nil
}

// Outcome implements Family: an inbox that is not there is told as any other failure, by its number in the description.
func (d *diverts) Outcome(to string, o message.Outcome) message.Outcome {
	if o.Kind == message.Rejected && o.Error != nil && strings.HasPrefix(to, inboxRoot) && numberOf(o.Error.Description) == targetMissing {
		return message.Outcome{Kind: message.Released}
	}
	return o
}
