package gateway

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/access"
	"sluice/gateway/events"
	"sluice/sessionstore"
)

// eventReader takes the place of the queue of events: it answers busy until it is opened.
type eventReader struct {
	amqp.Bus
	mu   sync.Mutex
	open bool
	one  map[string]int // events told one by one, by id
	more uint64         // those that were only counted
}

func (r *eventReader) Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome)) {
	if m.Properties.ContentType != events.ContentType {
		r.Bus.Publish(shard, m, settled, done)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		go done(message.Outcome{Kind: message.Busy})
		return
	}
	var e struct {
		ID   string
		Data struct{ Count uint64 }
	}
	if err := json.Unmarshal(m.Data[0], &e); err != nil {
		panic(err)
	}
	if e.Data.Count > 0 {
		r.more += e.Data.Count
	} else {
		r.one[e.ID]++
	}
	go done(message.Outcome{Kind: message.Accepted})
}

// While the bus is away events take no more room than they may, nobody waits for them, and afterwards each was told or counted.
func TestEventsWaitForTheBusAndAreBounded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		r := &eventReader{one: map[string]int{}}
		b.inFront = func(bus amqp.Bus) amqp.Bus {
			r.Bus = bus
			return r
		}
		b.change = func(o *Options) { o.EventsAddress = "events" }
		n := b.start("n1", b.store)
		const clients, each, rounds = 100, 10, 30
		for range rounds {
			for c := range clients {
				for range each {
					n.tell(sessionstore.Key{Tenant: access.DefaultTenant, Principal: access.AnonymousName, ClientID: fmt.Sprint(c)}, events.Event{Type: events.PublishRefused})
				}
			}
			synctest.Wait()
			n.events.mu.Lock()
			waiting := len(n.events.waiting)
			n.events.mu.Unlock()
			if waiting > eventsWaiting+clients {
				b.t.Fatalf("%d events wait", waiting)
			}
			time.Sleep(10 * time.Second)
		}
		r.mu.Lock()
		r.open = true
		r.mu.Unlock()
		time.Sleep(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		for id, times := range r.one {
			if times != 1 {
				b.t.Errorf("%s came %d times", id, times)
			}
		}
		if told := uint64(len(r.one)) + r.more; told != clients*each*rounds || len(r.one) < eventsWaiting {
			b.t.Errorf("%d one by one and %d counted, of %d", len(r.one), r.more, clients*each*rounds)
		}
	})
}

// What a stopping node has to tell is told.
func TestEventsAreSentBeforeANodeStops(t *testing.T) {
	inBubble(t, func(b *bubble) {
		r := &eventReader{one: map[string]int{}, open: true}
		b.inFront = func(bus amqp.Bus) amqp.Bus {
			r.Bus = bus
			return r
		}
		b.change = func(o *Options) { o.EventsAddress = "events" }
		n := b.start("n1", b.store)
		synctest.Wait()
		const told = 30
		for range told {
			n.tell(sessionstore.Key{Tenant: access.DefaultTenant, Principal: "p"}, events.Event{Type: events.PublishRefused})
		}
		n.stop(b.t.Context())
		if got := uint64(len(r.one)) + r.more; got != told || r.more == 0 {
			b.t.Errorf("%d one by one and %d counted, of %d", len(r.one), r.more, told)
		}
	})
}
