package servicebus

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"
	"unicode/utf8"

	"sluice/amqp/embedded/queues"
	"sluice/amqp/message"
)

// Submission is a message that was sent to an entity, as far as it matters here.
type Submission struct {
	MessageID    any
	GroupID      string
	PartitionKey any // the annotation x-opt-partition-key, nil when absent
	// Encode makes the message with these annotations added to the sender's.
	Encode func(annotations map[string]any) (*queues.Message, error)
}

// The annotations of Service Bus and Event Hubs.
const (
	PartitionKey   = "x-opt-partition-key"
	sequenceNumber = "x-opt-sequence-number"
	enqueuedTime   = "x-opt-enqueued-time"
	offset         = "x-opt-offset"
)

// Publish puts a message where the node says. A duplicate is accepted and goes nowhere, as does a message on a topic without subscriptions. err is a *Fault,
// or what Encode failed with.
func (n *Namespace) Publish(now time.Time, node *Node, s Submission) (queues.Result, error) {
	if f := node.check(s); f != nil {
		return queues.Result{}, f
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e := node.sends
	if e.hub != nil {
		return n.append(now, node, s)
	}
	id := idText(s.MessageID)
	if e.seen.has(now, id) {
		return queues.Result{}, nil
	}
	m, err := s.Encode(map[string]any{sequenceNumber: e.sequence + 1, enqueuedTime: now})
	if err != nil {
		return queues.Result{}, err
	}
	result, refusal := n.store.Publish(now, e.exchange, e.key, m)
	if refusal != nil {
		return result, refusal
	}
	if result.RefusedBy == "" {
		e.sequence++
		e.seen.add(now, id)
	}
	return result, nil
}

// check refuses what Azure refuses in a message.
func (n *Node) check(s Submission) *Fault {
	key, isText := s.PartitionKey.(string)
	switch {
	case s.PartitionKey != nil && !isText:
		return fault(argumentError, "%s is a %T, not a string", PartitionKey, s.PartitionKey)
	case utf8.RuneCountInString(key) > maxIDLength, utf8.RuneCountInString(s.GroupID) > maxIDLength:
		return fault(argumentError, "%s and group-id have at most %d characters", PartitionKey, maxIDLength)
	case n.sends.hub != nil:
		if n.partition >= 0 && s.PartitionKey != nil {
			return fault(notAllowed, "a message for one partition of hub %q cannot have a partition key as well", n.Path)
		}
		return nil
	case s.GroupID != "" && s.PartitionKey != nil && key != s.GroupID:
		return fault(argumentError, "%s and group-id (the session) have to be equal where both are set", PartitionKey)
	}
	if id, isText := s.MessageID.(string); isText && utf8.RuneCountInString(id) > maxIDLength {
		return fault(argumentError, "a message-id has at most %d characters", maxIDLength)
	}
	return nil
}

// partitionOf keeps the messages of one key together; those without one go round.
func (e *entity) partitionOf(node *Node, key any) int {
	count := len(e.hub.partitions)
	if node.partition >= 0 {
		return node.partition
	}
	if text, ok := key.(string); ok {
		h := fnv.New32a()
		_, _ = h.Write([]byte(text))
		return int(h.Sum32() % uint32(count))
	}
	e.sequence++
	return int(e.sequence % int64(count))
}

// history are the message-ids of the last while, for duplicate detection.
type history struct {
	window time.Duration
	ids    map[string]struct{}
	order  []remembered
}

type remembered struct {
	id string
	at time.Time
}

func newHistory(window time.Duration) *history {
	return &history{window: window, ids: map[string]struct{}{}}
}

func (h *history) has(now time.Time, id string) bool {
	for len(h.order) > 0 && (now.Sub(h.order[0].at) >= h.window || len(h.order) >= maxRemembered) {
		delete(h.ids, h.order[0].id)
		h.order = h.order[1:]
	}
	_, there := h.ids[id]
	return there && id != ""
}

func (h *history) add(now time.Time, id string) {
	if h.window > 0 && id != "" {
		h.ids[id] = struct{}{}
		h.order = append(h.order, remembered{id, now})
	}
}

// idText tells ids apart by type and value; empty for none.
func idText(id any) string {
	switch id := id.(type) {
	case nil:
		return ""
	case string:
		return "s" + id
	case []byte:
		return "b" + string(id)
	case uint64:
		return "u" + strconv.FormatUint(id, 10)
	case message.UUID:
		return "g" + string(id[:])
	}
	return fmt.Sprintf("%T%v", id, id)
}
