package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/embedded/queues"
	"sluice/amqp/embedded/servicebus"
)

// Broker is the embedded broker. It outlives its listeners: a test may end Serve, cut all connections and Serve again with the queues as
// they were.
type Broker struct {
	options     Options
	log         *zap.Logger
	containerID string
	faults      *Faults
	stats       statistics
	nextID      atomic.Uint64
	pressed     atomic.Bool // the store is nearly full: publishers get no credit
	repress     atomic.Bool // pressed has changed and the connections have not been told
	dueEarlier  atomic.Bool // the store wants Tick earlier than it last said

	mu        sync.Mutex
	store     *queues.Store
	namespace *servicebus.Namespace // nil unless the broker acts as Service Bus
	fault     error                 // the entities could not be declared
	timer     *time.Timer           // does what is due in the store
	conns     map[*connection]struct{}
	listeners map[net.Listener]struct{}
	closed    bool
	running   sync.WaitGroup
}

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("embedded: the broker is closed")

// New makes a broker that serves nobody yet.
func New(options Options) *Broker {
	options = options.withDefaults()
	b := &Broker{
		options: options, log: options.Logger, containerID: "sluice-" + rand.Text()[:10],
		conns: make(map[*connection]struct{}), listeners: make(map[net.Listener]struct{}),
	}
	b.faults = newFaults(b)
	b.stats.init()
	b.timer = time.AfterFunc(time.Hour, b.upkeep)
	b.store = b.newStore()
	b.declareEntities()
	return b
}

func (b *Broker) newStore() *queues.Store {
	s := queues.New(queues.Options{
		Limits: queues.Limits{MaxBytes: b.options.MaxQueueBytes},
		Due: func() {
			b.dueEarlier.Store(true)
			b.timer.Reset(0)
		},
		Pressure: func(full bool) {
			b.pressed.Store(full)
			b.repress.Store(true)
			b.timer.Reset(0)
		},
	})
	b.furnish(s)
	return s
}

// furnish makes what is to be there from the start. What cannot be made is missing, and told.
func (b *Broker) furnish(s *queues.Store) {
	for _, name := range b.options.Exchanges {
		if s.HasExchange(name) {
			continue
		}
		if err := s.DeclareExchange(name, queues.ExchangeSpec{Type: "topic", Durable: true}); err != nil {
			b.log.Error("an exchange was not made", zap.String("exchange", name), zap.String("why", err.Text))
		}
	}
	for _, name := range b.options.Queues {
		if _, err := s.DeclareQueue(time.Now(), 0, name, queues.QueueSpec{Durable: true}); err != nil {
			b.log.Error("a queue was not made", zap.String("queue", name), zap.String("why", err.Text))
		}
	}
}

// declareEntities makes what Options.ServiceBus names, in a store that is new.
func (b *Broker) declareEntities() {
	if b.options.ServiceBus != nil {
		b.namespace, b.fault = servicebus.New(*b.options.ServiceBus, b.store)
	}
}

// upkeep runs in the timer's goroutine, since the store may not be called from its own callbacks.
func (b *Broker) upkeep() {
	b.mu.Lock()
	store, closed := b.store, b.closed
	if closed {
		b.mu.Unlock()
		return
	}
	b.running.Add(1)
	b.mu.Unlock()
	defer b.running.Done()
	b.dueEarlier.Store(false)
	now := time.Now()
	if next := store.Tick(now); !next.IsZero() {
		b.timer.Reset(next.Sub(now))
		if b.dueEarlier.Load() {
			b.timer.Reset(0) // the line before may have put it off
		}
	}
	if b.repress.Swap(false) {
		for _, c := range b.connections() {
			c.applyStall()
		}
	}
}

// Serve accepts connections from l until l is closed, which it does not take for an error, or the broker is closed. Several listeners may
// be served at a time. Connections outlive their listener. Wrong entities in Options.ServiceBus are an error here.
func (b *Broker) Serve(l net.Listener) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errors.Join(ErrClosed, l.Close())
	}
	if b.fault != nil {
		b.mu.Unlock()
		return errors.Join(b.fault, l.Close())
	}
	b.listeners[l] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.listeners, l)
		b.mu.Unlock()
	}()
	for {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			var temporary net.Error
			if errors.As(err, &temporary) && temporary.Timeout() {
				continue
			}
			return err
		}
		b.start(nc)
	}
}

// start runs one connection, or closes it when there are too many.
func (b *Broker) start(nc net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.faults.refuses() || len(b.conns) >= b.options.MaxConnections {
		b.log.Warn("connection refused", zap.Stringer("peer", nc.RemoteAddr()), zap.Int("connections", len(b.conns)))
		_ = nc.Close()
		return
	}
	c := newConnection(b, nc)
	b.conns[c] = struct{}{}
	b.running.Go(c.run)
}

func (b *Broker) forget(c *connection) {
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
}

// connections lists the live connections, the oldest first.
func (b *Broker) connections() []*connection {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Collect(maps.Keys(b.conns))
	slices.SortFunc(list, func(x, y *connection) int { return int(x.id) - int(y.id) })
	return list
}

// Close ends all listeners and connections and waits for their goroutines. The queues are gone.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.timer.Stop()
	for l := range b.listeners {
		_ = l.Close()
	}
	b.mu.Unlock()
	b.faults.close()
	for _, c := range b.connections() {
		c.closeNow()
	}
	b.running.Wait()
}

// Wipe cuts all connections and forgets all queues and exchanges: a restart of a broker that kept nothing. Declared entities are there again, empty.
func (b *Broker) Wipe() {
	store := b.newStore()
	b.mu.Lock()
	b.store = store
	b.declareEntities()
	b.mu.Unlock()
	b.pressed.Store(false)
	b.faults.Cut()
}

// Faults are the switches for tests.
func (b *Broker) Faults() *Faults { return b.faults }

// Snapshot describes the queues at this moment.
func (b *Broker) Snapshot() queues.Snapshot {
	b.mu.Lock()
	store := b.store
	b.mu.Unlock()
	return store.Snapshot()
}

// Stats counts what has happened since New.
func (b *Broker) Stats() Stats { return b.stats.read() }

// Await waits until the counters satisfy the condition, which is asked again after each change. It is for tests: no sleeping.
func (b *Broker) Await(ctx context.Context, condition func(Stats) bool) error {
	return b.stats.await(ctx, condition)
}
