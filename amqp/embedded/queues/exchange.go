package queues

import (
	"sort"
	"strings"
)

// ExchangeSpec is what a client declares.
type ExchangeSpec struct {
	Type       string // direct, fanout or topic
	Durable    bool   // kept for the comparison only
	AutoDelete bool
	Internal   bool
	Arguments  map[string]any
}

// Binding ties a queue to an exchange.
type Binding struct {
	Exchange, Queue, Key string
	Arguments            map[string]any
}

// exchange routes by its type. direct and fanout share one table: a fanout exchange ignores the key.
type exchange struct {
	name     string
	spec     ExchangeSpec
	topics   topicTree                 // topic
	keys     map[string]map[*queue]int // direct: by key; fanout: all under ""
	bindings map[bindingID]Binding
}

// bindingID tells bindings apart. Arguments count by their text, since a map is no key.
type bindingID struct {
	queue, key, arguments string
}

func idOf(b Binding) bindingID {
	return bindingID{queue: b.Queue, key: b.Key, arguments: ArgumentsHash(b.Arguments)}
}

// match calls found for each queue that a message with this key goes to; the same queue may come several times.
func (x *exchange) match(key string, found func(*queue)) {
	switch x.spec.Type {
	case "topic":
		x.topics.match(key, found)
		return
	case "fanout":
		key = ""
	}
	for q := range x.keys[key] {
		found(q)
	}
}

func (x *exchange) bind(b Binding, q *queue) bool {
	id := idOf(b)
	if _, ok := x.bindings[id]; ok {
		return false
	}
	x.bindings[id] = b
	q.bindings[boundTo{x, id}] = struct{}{}
	if x.spec.Type == "topic" {
		x.topics.add(b.Key, q)
		return true
	}
	key := x.tableKey(b.Key)
	if x.keys[key] == nil {
		x.keys[key] = make(map[*queue]int)
	}
	x.keys[key][q]++
	return true
}

func (x *exchange) unbind(id bindingID, q *queue) bool {
	if _, ok := x.bindings[id]; !ok {
		return false
	}
	delete(x.bindings, id)
	delete(q.bindings, boundTo{x, id})
	if x.spec.Type == "topic" {
		x.topics.remove(id.key, q)
		return true
	}
	key := x.tableKey(id.key)
	if x.keys[key][q]--; x.keys[key][q] <= 0 {
		delete(x.keys[key], q)
	}
	if len(x.keys[key]) == 0 {
		delete(x.keys, key)
	}
	return true
}

func (x *exchange) tableKey(key string) string {
	if x.spec.Type == "fanout" {
		return ""
	}
	return key
}

// sortedBindings lists the bindings in a stable order.
func (x *exchange) sortedBindings() []Binding {
	list := make([]Binding, 0, len(x.bindings))
	for _, b := range x.bindings {
		list = append(list, b)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Queue != b.Queue {
			return a.Queue < b.Queue
		}
		if a.Key != b.Key {
			return a.Key < b.Key
		}
		return ArgumentsHash(a.Arguments) < ArgumentsHash(b.Arguments)
	})
	return list
}

// The exchanges that exist from the start, as in RabbitMQ. The default exchange "" routes by queue name and is no table.
var builtIn = map[string]string{"amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic"}

func newExchange(name string, spec ExchangeSpec) *exchange {
	return &exchange{name: name, spec: spec, keys: make(map[string]map[*queue]int), bindings: make(map[bindingID]Binding)}
}

func reserved(name string) bool { return strings.HasPrefix(name, "amq.") }

// checkName refuses names that no address could carry back.
func checkName(what, name string) *Error {
	if len(name) > maxNameLength {
		return refuse(Invalid, "%s name of %d bytes: at most %d are possible", what, len(name), maxNameLength)
	}
	if strings.ContainsAny(name, "\r\n") {
		return refuse(Invalid, "%s name %q: line breaks are not possible", what, name)
	}
	return nil
}
