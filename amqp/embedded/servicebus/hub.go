package servicebus

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"sluice/amqp/embedded/queues"
)

// hub is an event hub. Its partitions are logs: a reader begins where it likes, and gets all that follows, as every other reader does.
type hub struct {
	name       string
	retention  int
	partitions []*partition
}

// partition is one log. The namespace's mutex guards it.
type partition struct {
	exchange string // on which the queues of its readers hang
	sequence int64  // of the last event
	log      []event
}

type event struct {
	sequence int64
	at       time.Time
	message  *queues.Message
}

func (n *Namespace) addHub(h Hub) error {
	retention, count := h.Retention, max(h.Partitions, 1)
	if retention == 0 {
		retention = defaultRetention
	}
	hub := &hub{name: h.Name, retention: retention}
	entity := &entity{hub: hub}
	if err := n.add(Node{Path: h.Name, sends: entity, partition: -1}); err != nil {
		return err
	}
	for i := range count {
		path := fmt.Sprintf("%s/Partitions/%d", h.Name, i)
		if err := n.store.DeclareExchange(path, queues.ExchangeSpec{Type: "fanout", Durable: true}); err != nil {
			return err
		}
		hub.partitions = append(hub.partitions, &partition{exchange: path, sequence: -1})
		if err := n.add(Node{Path: path, sends: entity, partition: i}); err != nil {
			return err
		}
		for _, group := range append([]string{"$Default"}, h.ConsumerGroups...) {
			path := fmt.Sprintf("%s/ConsumerGroups/%s/Partitions/%d", h.Name, group, i)
			if err := n.add(Node{Path: path, hub: hub, partition: i}); err != nil {
				return err
			}
		}
	}
	return nil
}

// append adds an event to a log and hands it to the readers. n.mu is held.
func (n *Namespace) append(now time.Time, node *Node, s Submission) (queues.Result, error) {
	hub := node.sends.hub
	p := hub.partitions[node.sends.partitionOf(node, s.PartitionKey)]
	next := p.sequence + 1
	m, err := s.Encode(map[string]any{sequenceNumber: next, offset: strconv.FormatInt(next, 10), enqueuedTime: now})
	if err != nil {
		return queues.Result{}, err
	}
	result, refusal := n.store.Publish(now, p.exchange, "", m)
	if refusal != nil {
		return result, refusal
	}
	if result.RefusedBy != "" {
		return result, nil
	}
	p.sequence = next
	p.log = append(p.log, event{sequence: next, at: now, message: m})
	if len(p.log) > hub.retention {
		p.log = p.log[len(p.log)-hub.retention:]
	}
	return result, nil
}

// Queue is the queue that a receiver of the node consumes; temporary: it is the reader's alone and ends with its link. filter is the reader's selector, which says
// where in the log of a hub it begins; empty is the start.
func (n *Namespace) Queue(now time.Time, owner uint64, node *Node, filter string) (name string, temporary bool, err error) {
	if node.hub == nil {
		return node.queue, false, nil
	}
	from, f := position(filter)
	if f != nil {
		return "", false, f
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readers++
	name = fmt.Sprintf("%s/Readers/%d", node.Path, n.readers)
	p := node.hub.partitions[node.partition]
	arguments := map[string]any{"x-max-length": int64(node.hub.retention), "x-overflow": "drop-head"}
	if _, err := n.store.DeclareQueue(now, owner, name, queues.QueueSpec{Exclusive: true, Arguments: arguments}); err != nil {
		return "", false, err
	}
	if err := n.store.Bind(owner, queues.Binding{Exchange: p.exchange, Queue: name}); err != nil {
		return "", false, err
	}
	for _, e := range p.log {
		if from(e) {
			if _, err := n.store.Publish(now, "", name, e.message); err != nil {
				return "", false, err
			}
		}
	}
	return name, true, nil
}

// selector is the one form of filter that Event Hubs takes.
var selector = regexp.MustCompile(`^\s*amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)\s*(>=?)\s*'([^']*)'\s*$`)

// position reads a selector such as "amqp.annotation.x-opt-offset > '@latest'". Offsets and sequence numbers are the same here.
func position(filter string) (func(event) bool, *Fault) {
	if filter == "" {
		return func(event) bool { return true }, nil
	}
	m := selector.FindStringSubmatch(filter)
	if m == nil {
		return nil, fault(argumentError, "the filter %q is not understood: compare an offset, a sequence number or an enqueued time", filter)
	}
	if m[3] == "@latest" {
		return func(event) bool { return false }, nil
	}
	from, err := strconv.ParseInt(m[3], 10, 64)
	if err != nil {
		return nil, fault(argumentError, "the filter %q has no number", filter)
	}
	if m[2] == ">" {
		from++
	}
	if m[1] == enqueuedTime {
		return func(e event) bool { return e.at.UnixMilli() >= from }, nil
	}
	return func(e event) bool { return e.sequence >= from }, nil
}
