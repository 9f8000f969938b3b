package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/auth"
	"sluice/gateway/bridge"
	"sluice/gateway/permit"
	"sluice/gateway/quota"
	"sluice/gateway/secure"
	"sluice/gateway/tracing"
	"sluice/mqtt/session"
	"sluice/mqtt/transport"
	"sluice/sessionstore"
)

// Options are what a gateway is made of. All fields are required unless they say otherwise.
type Options struct {
	NodeID   string
	Bus      amqp.Bus
	Store    sessionstore.Store
	Logger   *zap.Logger
	Registry *prometheus.Registry
	Bridge   bridge.Config

	// ConnectionsMax bounds the connections of this node, those that still shake hands included; one more is turned away.
	ConnectionsMax int
	// ConnectRate bounds the new connections in a second, and at once; more are turned away. Zero is no bound.
	ConnectRate int
	// MemoryMax bounds the live heap and stacks in bytes: beyond it new connections are turned away. Zero is a share of GOMEMLIMIT, where that is set.
	MemoryMax int64
	// Quotas are those of principals and tenants; nil: there are none. Its owner may put other rules in force at any time.
	Quotas *quota.Book
	// HandshakeTimeout bounds the wait for a PROXY header, a TLS handshake, and a WebSocket's, each.
	HandshakeTimeout time.Duration
	// WriteTimeout bounds the sending of up to 64 KiB to a device; a device that does not read for so long is disconnected.
	WriteTimeout time.Duration
	// DrainRate is how many devices a second are told to go when the node stops; zero tells all at once.
	DrainRate int
	// ServerReference is where devices are sent when the node stops; empty lets them come back to where they connected.
	ServerReference string
	// InboxExpires is how long, in milliseconds, a session's inbox outlives its last receiver on the bus: longer than the longest session
	// expiry. Zero is for ever.
	InboxExpires uint64
	// InboxLength bounds the messages of a session's inbox; beyond it the bus refuses the newest. Zero is no bound of ours.
	InboxLength uint64
	// Sources are what this node receives from, where the bus has no inboxes (mapping.Dialect.HasInboxes): addresses of entities that are there.
	Sources []string
	// RetainedQueue is the queue from which messages of backends are retained; empty: backends cannot set retained messages.
	RetainedQueue string
	// EventsAddress is where events go: the name of a queue, which is made when it is missing, or an address that begins with a slash. Empty: nowhere.
	EventsAddress string
	// QuarantineAddress is where messages go that were refused for good, written as EventsAddress. Empty: there is no quarantine.
	QuarantineAddress string
	// Clients says which client identifiers may be used by whom. The zero value binds each credential to one.
	Clients Clients
	// Policy says what devices may do; nil: everything.
	Policy *permit.Policy
	// Spans takes the spans that Bridge.Tracing makes; nil with that. It is the caller's to close, after Shutdown.
	Spans *tracing.Exporter
}

// Listener is where devices connect.
type Listener struct {
	net.Listener
	Name    string            // how /capabilities, metrics and logs call it
	Proxies transport.Proxies // load balancers that say where a device is; empty: none
	TLS     *tls.Config       // nil: plain TCP
	Naming  secure.Naming     // what in the certificates of devices names them
	// Auth says who a device is. Without methods it lets nobody in.
	Auth *auth.Chain
	// Holds says why a connection may not stay although it was let in; nil: all may. See Gateway.Recheck.
	Holds     func(tls.ConnectionState) error
	WebSocket *transport.WebSocket // nil: none
	// Session is what devices here are offered, nil for Options.Bridge.Session.
	Session *session.Config

	bridge *bridge.Config // Options.Bridge with Session
}

// Gateway is one node.
type Gateway struct {
	opt       Options
	log       *zap.Logger
	metrics   *metrics
	directory *directory
	nodes     *nodeLane
	targets   *targets
	fixed     *fixedSources
	upkeep    *upkeep
	retained  *retainedQueue // nil: off
	events    *eventSender   // nil: off
	admission *admission
	tallies   *tallies
	quotas    *quotas
	lines     *logLines
	rights    *rights
	// quarantine is nil when it is off.
	quarantine  *quarantine
	revocations *revocations
	beats       atomic.Uint32 // see beatPause
	parking     transport.Parking
	// unansweredSlots bounds the claims without an answer that are looked after.
	unansweredSlots chan struct{}

	ctx    context.Context // ends when the gateway is closed
	cancel context.CancelFunc
	work   sync.WaitGroup // connections
	// recording are the connections whose records of failures are on their way to inboxes, also after their end.
	recording sync.WaitGroup

	mu        sync.Mutex
	listeners []Listener
	stopping  bool
}

// New returns a gateway that watches for takeovers and listens nowhere yet. It fails when the store cannot be watched.
func New(ctx context.Context, opt Options) (*Gateway, error) {
	lines := newLogLines(opt.Logger)
	gw := &Gateway{
		opt: opt, lines: lines, log: newBoundedLog(opt.Logger, lines), directory: newDirectory(), admission: newAdmission(opt.ConnectionsMax, opt.ConnectRate, opt.MemoryMax),
		unansweredSlots: make(chan struct{}, unansweredMax),
	}
	gw.ctx, gw.cancel = context.WithCancel(context.Background())
	gw.metrics = newMetrics(opt.Registry)
	watchParked(opt.Registry, &gw.parking)
	gw.quotas = newQuotas(gw, opt.Quotas)
	if opt.EventsAddress != "" {
		gw.events = newEventSender(gw)
	}
	if opt.QuarantineAddress != "" {
		gw.quarantine = newQuarantine(gw, opt.QuarantineAddress)
		gw.opt.Bridge.Quarantine = gw.quarantine.address
	}
	gw.nodes = newNodeLane(gw)
	gw.targets = newTargets(gw)
	gw.upkeep = newUpkeep(gw)
	gw.tallies = newTallies(gw)
	gw.rights = newRights(gw)
	gw.revocations = newRevocations(gw)
	if err := gw.revocations.load(ctx); err != nil {
		gw.cancel()
		return nil, fmt.Errorf("sessions.url: cannot read the revocations: %w", err)
	}
	if err := gw.watch(ctx); err != nil {
		gw.cancel()
		return nil, fmt.Errorf("sessions.url: cannot watch for takeovers: %w", err)
	}
	if err := gw.upkeep.start(ctx); err != nil {
		gw.cancel()
		return nil, fmt.Errorf("sessions.url: cannot take this node's lease: %w", err)
	}
	if gw.events != nil {
		go gw.events.run()
	}
	if gw.quarantine != nil {
		gw.quarantine.start()
	}
	gw.fixed = newFixedSources(gw)
	if opt.RetainedQueue != "" {
		gw.retained = newRetainedQueue(gw)
		gw.retained.start()
	}
	return gw, nil
}

// watch starts the store's watch; ctx bounds only its start.
func (gw *Gateway) watch(ctx context.Context) error {
	started := make(chan error, 1)
	go func() {
		started <- gw.opt.Store.Watch(gw.ctx, gw.opt.NodeID, gw.directory.lost, gw.upkeep.noticesMissed)
	}()
	select {
	case err := <-started:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serve accepts devices on l until Shutdown. It may be called for several listeners.
func (gw *Gateway) Serve(l Listener) error {
	if l.Session == nil {
		l.Session = &gw.opt.Bridge.Session
	}
	offer := gw.opt.Bridge
	offer.Session = *l.Session
	l.bridge = &offer
	if l.Auth == nil {
		l.Auth = &auth.Chain{}
	}
	gw.mu.Lock()
	if gw.stopping {
		gw.mu.Unlock()
		return errors.Join(net.ErrClosed, l.Close())
	}
	gw.listeners = append(gw.listeners, l)
	gw.mu.Unlock()
	return transport.Accept(l, func(c net.Conn) { gw.serve(c, &l) }, func(err error) {
		gw.log.Warn("a connection could not be accepted", zap.Error(err))
	})
}

// begin counts a piece of work that Shutdown waits for; it is false once the gateway is stopping.
func (gw *Gateway) begin() bool {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	if gw.stopping {
		return false
	}
	gw.work.Add(1)
	return true
}

func (gw *Gateway) isStopping() bool {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	return gw.stopping
}

// Ready reports why the node should get no devices: the bus or the store is out of reach, or it is stopping.
func (gw *Gateway) Ready(ctx context.Context) error {
	if gw.isStopping() {
		return errors.New("stopping")
	}
	if err := gw.opt.Bus.Ready(ctx); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	if err := gw.opt.Store.Ready(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := gw.fixed.ready(); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	return nil
}

// Connections is the number of devices connected to this node.
func (gw *Gateway) Connections() int { return len(gw.directory.connections()) }
