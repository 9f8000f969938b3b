package client

import (
	"context"
	"slices"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp/message"
)

// entities publishes to a bus of static entities: the address of a message names the entity, and each entity has a sender link of its own. All are on
// the one session of the connection.
//
// There are no links for settled messages: an error would cost them the link, and unsettled on the other link they keep their order as well.
type entities struct {
	options    *Options
	log        *zap.Logger
	name       string
	supervisor *supervisor

	mu       sync.Mutex
	lanes    map[string]*lane // by address; at most maxEntities
	stage    *stage           // nil while there is no connection
	stopping bool
}

// stage is one connection in use.
type stage struct {
	ctx      context.Context
	conn     *connection
	session  *goamqp.Session
	tokens   *tokens
	budget   *budget // of the session
	stopping <-chan struct{}
	serving  sync.WaitGroup
}

func newEntities(name string, o *Options) *entities {
	return &entities{options: o, log: o.Logger, name: name, lanes: map[string]*lane{}}
}

// publish hands a message to the lane of its entity. There is one order for all messages to it.
func (e *entities) publish(_ int, _ bool, p publication) {
	l, no := e.lane(p.message.Properties.To)
	if l == nil {
		p.done(no)
		return
	}
	l.publish(p)
}

// lane is the lane of an address, made when there is none; without a lane the outcome says why.
func (e *entities) lane(address string) (*lane, message.Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.lanes[address]; l != nil {
		l.used = time.Now()
		return l, message.Outcome{}
	}
	switch {
	case e.stopping:
		return nil, busy(condClosed, "the bus client is closing")
	case address == "":
		return nil, message.Outcome{Kind: message.Rejected, Error: ourError(condEncode, "the message names no entity")}
	case e.stage == nil:
		return nil, busy(condNotConnected, "no connection to the bus")
	case len(e.lanes) >= maxEntities && !e.evict():
		return nil, busy(condQueueFull, "messages for %d entities are under way", maxEntities)
	}
	l := e.add(address)
	l.setOpen() // what comes while the link is being attached waits for it
	e.start(l)
	return l, message.Outcome{}
}

// add makes a lane. e.mu is held.
func (e *entities) add(address string) *lane {
	l := newLane(e.name+"/"+address, false, e.options)
	l.entity, l.used = address, time.Now()
	e.lanes[address] = l
	return l
}

// start serves a lane over the connection there is. e.mu is held.
func (e *entities) start(l *lane) {
	s := e.stage
	s.serving.Go(func() { l.serveEntity(s) })
}

// evict makes room: the lane that was idle longest goes, unless its link is to be kept. e.mu is held.
func (e *entities) evict() bool {
	var oldest *lane
	for address, l := range e.lanes {
		if !slices.Contains(e.options.Targets, address) && l.idle() && (oldest == nil || l.used.Before(oldest.used)) {
			oldest = l
		}
	}
	if oldest == nil {
		return false
	}
	delete(e.lanes, oldest.entity)
	oldest.stop()
	return true
}

// serve runs all lanes over conn.
func (e *entities) serve(ctx context.Context, conn *connection, stopping <-chan struct{}) {
	session, err := conn.newSession()
	if err != nil {
		conn.kill(err)
		return
	}
	defer conn.endSession(session)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stage{ctx: ctx, conn: conn, session: session, tokens: newTokens(conn, session, e.log), budget: newBudget(e.options.rotate), stopping: stopping}
	if !e.open(s) {
		return
	}
	var upkeep sync.WaitGroup
	upkeep.Go(func() { s.tokens.run(ctx) })
	upkeep.Go(func() { watch(ctx, conn, e.list, e.options.SendTimeout) })
	select {
	case <-conn.done():
	case <-stopping:
	case <-s.budget.gone:
	}
	e.mu.Lock()
	e.stage = nil
	e.mu.Unlock()
	s.serving.Wait()
	cancel()
	upkeep.Wait()
}

// open starts the lanes that there are, and those that are to be kept.
func (e *entities) open(s *stage) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.stage = s
	for _, address := range e.options.Targets {
		if e.lanes[address] == nil {
			e.add(address)
		}
	}
	for _, l := range e.lanes {
		e.start(l)
	}
	return true
}

// list gives the lanes.
func (e *entities) list() []*lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		all = append(all, l)
	}
	return all
}

// lookup attaches to an entity and detaches again.
func (e *entities) lookup(address string) error {
	e.mu.Lock()
	s := e.stage
	if s == nil {
		e.mu.Unlock()
		return failure("send to", address, orError(e.supervisor.ready()))
	}
	s.serving.Add(1) // the session stays for as long
	e.mu.Unlock()
	defer s.serving.Done()
	if err := s.tokens.acquire(address); err != nil {
		return failure("send to", address, err)
	}
	defer s.tokens.release(address)
	err := s.conn.within("attach", func() error {
		sender, err := s.session.NewSender(context.Background(), address, nil)
		if err == nil {
			err = sender.Close(context.Background())
		}
		return err
	})
	if err != nil {
		return failure("send to", address, err)
	}
	return nil
}

func (e *entities) largest() uint64 {
	for _, l := range e.list() {
		if size := l.maxMessageSize.Load(); size > 0 {
			return size
		}
	}
	return 0
}

func (e *entities) stop() {
	e.mu.Lock()
	e.stopping = true
	e.mu.Unlock()
	for _, l := range e.list() {
		l.stop()
	}
}

// ready tells why the entities that are to be there cannot be used.
func (e *entities) ready() error {
	if err := e.supervisor.ready(); err != nil {
		return err
	}
	for _, l := range e.list() {
		if slices.Contains(e.options.Targets, l.entity) {
			if err := l.ready(); err != nil {
				return err
			}
		}
	}
	return nil
}
