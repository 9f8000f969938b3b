package queues

import "strings"

// topicTree finds the queues whose binding keys match a routing key. Words are separated by dots; "*" stands for one word, "#" for any
// number of words, none included. An empty word is a word, as in RabbitMQ: "a..b" has three.
type topicTree struct {
	root topicNode
}

type topicNode struct {
	words map[string]*topicNode // "*" and "#" stand here too: a routing key's own "*" is looked up in match
	ends  map[*queue]int        // queues bound with the key that ends here, and how many bindings each has (they differ in arguments)
}

// words splits a key. The empty key has no words.
func words(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

func (t *topicTree) add(key string, q *queue) {
	n := &t.root
	for _, w := range words(key) {
		next := n.words[w]
		if next == nil {
			if n.words == nil {
				n.words = make(map[string]*topicNode)
			}
			next = &topicNode{}
			n.words[w] = next
		}
		n = next
	}
	if n.ends == nil {
		n.ends = make(map[*queue]int)
	}
	n.ends[q]++
}

func (t *topicTree) remove(key string, q *queue) { t.root.remove(words(key), q) }

// remove reports whether the node is empty afterwards, so that its parent can drop it.
func (n *topicNode) remove(rest []string, q *queue) bool {
	if len(rest) == 0 {
		if n.ends[q]--; n.ends[q] <= 0 {
			delete(n.ends, q)
		}
	} else if next := n.words[rest[0]]; next != nil && next.remove(rest[1:], q) {
		delete(n.words, rest[0])
	}
	return len(n.ends) == 0 && len(n.words) == 0
}

// match calls found for each queue with a matching key; the same queue may come several times.
func (t *topicTree) match(key string, found func(*queue)) {
	t.root.match(words(key), found)
}

func (n *topicNode) match(rest []string, found func(*queue)) {
	if hash := n.words["#"]; hash != nil {
		// "#" takes none, one, ... all of the remaining words.
		for i := 0; i <= len(rest); i++ {
			hash.match(rest[i:], found)
		}
	}
	if len(rest) == 0 {
		for q := range n.ends {
			found(q)
		}
		return
	}
	if star := n.words["*"]; star != nil {
		star.match(rest[1:], found)
	}
	// A published "*" or "#" is an ordinary word; the branches above have already followed those two nodes.
	if w := rest[0]; w != "*" && w != "#" {
		if next := n.words[w]; next != nil {
			next.match(rest[1:], found)
		}
	}
}
