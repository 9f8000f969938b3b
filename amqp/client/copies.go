package client

import (
	"sync"

	"sluice/amqp/topology"
)

// copies remembers which originals a link has delivered, for buses that put a copy into an inbox for each pattern that matches. The copies of one message
// come close to each other: the bus makes them in one go, and only what other senders send at that moment comes between. What is forgotten too early, or
// comes on another link, is delivered once more; MQTT allows a copy for each matching subscription ([MQTT-3.3.4-2]).
//
// A receiver has one for each of its links.
type copies struct {
	mu        sync.Mutex
	first     map[topology.Original]uint64 // tag of the copy that was delivered
	order     [copiesRemembered]delivered  // a ring; next is the oldest
	next      int
	unsettled map[uint64]topology.Original
}

type delivered struct {
	of  topology.Original
	tag uint64
}

func newCopies() *copies {
	return &copies{first: make(map[topology.Original]uint64), unsettled: make(map[uint64]topology.Original)}
}

// repeats tells whether another copy of the original was delivered before, and notes this one if not.
func (c *copies) repeats(of topology.Original, tag uint64, settled bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.first[of]; there {
		return true
	}
	c.forget(c.order[c.next])
	c.order[c.next] = delivered{of, tag}
	c.next = (c.next + 1) % len(c.order)
	c.first[of] = tag
	if !settled {
		c.unsettled[tag] = of
	}
	return false
}

func (c *copies) forget(d delivered) {
	if tag, there := c.first[d.of]; there && tag == d.tag {
		delete(c.first, d.of)
	}
}

// settling is told how a delivery ends. A nil c has seen no copies. One that goes back to the bus comes again and is no repetition then.
func (c *copies) settling(tag uint64, goesBack bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of, there := c.unsettled[tag]
	delete(c.unsettled, tag)
	if there && goesBack {
		c.forget(delivered{of, tag})
	}
}
