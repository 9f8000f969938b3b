package servicebus

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"sluice/amqp/embedded/queues"
)

// Options declare a namespace. Entities are made outside AMQP, so that nothing is added later.
type Options struct {
	Queues []Queue
	Topics []Topic
	Hubs   []Hub
	// Keys are the shared access keys by the name of their rule. A key's bytes are those of its text, as with Azure.
	Keys map[string]string
	// JWTKey signs the tokens of type jwt (HS256); empty: none is taken.
	JWTKey string
	Timing Timing
}

// Queue is a queue of Service Bus.
type Queue struct {
	Name string
	// DuplicateWindow is how long a message-id is remembered; zero: duplicates are not detected.
	DuplicateWindow time.Duration
	Deliveries      int // failed ones before a message goes to the dead-letter queue; default 10
}

// Topic is a topic of Service Bus with its subscriptions. Each gets every message.
type Topic struct {
	Name            string
	DuplicateWindow time.Duration // as of Queue
	Subscriptions   []string
}

// Hub is an event hub: logs that are read without being emptied.
type Hub struct {
	Name           string
	Partitions     int      // default 1
	ConsumerGroups []string // beside $Default
	Retention      int      // events that a partition keeps; default 10,000
}

// Timing are the waits after which something is ended; zero fields take Azure's.
type Timing struct {
	// LinkIdle is how long a link may carry nothing (10 min; on a hub 30 min), ConnectionIdle how long a connection may be without links (5 min),
	// FirstLink how long a new one may (1 min).
	LinkIdle, HubLinkIdle, ConnectionIdle, FirstLink time.Duration
	// TokenWait is how long a connection without credentials may take to put its first token (20 s).
	TokenWait time.Duration
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.LinkIdle, defaultLinkIdle}, {&t.HubLinkIdle, defaultHubLinkIdle}, {&t.ConnectionIdle, defaultConnectionIdle}, {&t.FirstLink, defaultFirstLink},
		{&t.TokenWait, defaultTokenWait},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Namespace is what the options declare, over a store.
type Namespace struct {
	store  *queues.Store
	keys   map[string]string
	jwtKey string
	timing Timing
	nodes  map[string]*Node // by lower-case address: Azure's names know no case

	mu      sync.Mutex
	readers uint64 // of hubs, ever
}

// Node is what an address leads to.
type Node struct {
	Path string // as it was declared: what tokens are for

	sends     *entity // what a sender's messages become; nil: nobody sends here
	partition int     // of the hub that is sent to or read; -1: whichever the message's key chooses
	queue     string  // what a receiver gets; empty: nobody receives here
	hub       *hub    // that a receiver reads
}

// entity is what messages are sent to. The namespace's mutex guards what changes.
type entity struct {
	exchange, key string
	hub           *hub // nil: not one
	seen          *history
	sequence      int64
}

// IsHub tells whether the node belongs to an event hub.
func (n *Node) IsHub() bool { return n.hub != nil || n.sends != nil && n.sends.hub != nil }

// New declares everything in the store.
func New(o Options, store *queues.Store) (*Namespace, error) {
	n := &Namespace{store: store, keys: o.Keys, jwtKey: o.JWTKey, timing: o.Timing.withDefaults(), nodes: map[string]*Node{}}
	for _, q := range o.Queues {
		if err := n.addQueue(q); err != nil {
			return nil, err
		}
	}
	for _, t := range o.Topics {
		if err := n.addTopic(t); err != nil {
			return nil, err
		}
	}
	for _, h := range o.Hubs {
		if err := n.addHub(h); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Namespace) add(node Node) error {
	key := strings.ToLower(node.Path)
	if node.Path == "" || n.nodes[key] != nil {
		return fmt.Errorf("servicebus: entity %q is declared twice, or has no name", node.Path)
	}
	n.nodes[key] = &node
	return nil
}

func (n *Namespace) addQueue(q Queue) error {
	if err := n.declare(q.Name, q.Deliveries); err != nil {
		return err
	}
	return n.addBoth(q.Name, &entity{key: q.Name, seen: newHistory(q.DuplicateWindow)})
}

// declare makes a queue and its dead-letter queue.
func (n *Namespace) declare(name string, deliveries int) error {
	if deliveries == 0 {
		deliveries = defaultDeliveries
	}
	dead := name + deadLetterSuffix
	if _, err := n.store.DeclareQueue(time.Time{}, 0, dead, queues.QueueSpec{Durable: true}); err != nil {
		return err
	}
	arguments := map[string]any{
		"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
		"x-delivery-limit": int64(deliveries - 1), // the failed delivery that reaches the number ends it
	}
	if _, err := n.store.DeclareQueue(time.Time{}, 0, name, queues.QueueSpec{Durable: true, Arguments: arguments}); err != nil {
		return err
	}
	return nil
}

const deadLetterSuffix = "/$DeadLetterQueue"

func (n *Namespace) addBoth(name string, sends *entity) error {
	if err := n.add(Node{Path: name, sends: sends, queue: name}); err != nil {
		return err
	}
	return n.add(Node{Path: name + deadLetterSuffix, queue: name + deadLetterSuffix})
}

func (n *Namespace) addTopic(t Topic) error {
	if err := n.store.DeclareExchange(t.Name, queues.ExchangeSpec{Type: "fanout", Durable: true}); err != nil {
		return err
	}
	if err := n.add(Node{Path: t.Name, sends: &entity{exchange: t.Name, seen: newHistory(t.DuplicateWindow)}}); err != nil {
		return err
	}
	for _, s := range t.Subscriptions {
		name := t.Name + "/Subscriptions/" + s
		if err := n.declare(name, 0); err != nil {
			return err
		}
		if err := n.store.Bind(0, queues.Binding{Exchange: t.Name, Queue: name}); err != nil {
			return err
		}
		if err := n.addBoth(name, nil); err != nil {
			return err
		}
	}
	return nil
}
