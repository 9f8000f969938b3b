package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/gateway"
	"sluice/gateway/auth"
	"sluice/gateway/bridge"
	"sluice/gateway/config"
	"sluice/gateway/permit"
	"sluice/gateway/quota"
	"sluice/gateway/reload"
	"sluice/gateway/secure"
	"sluice/gateway/tracing"
	"sluice/sessionstore"
)

// Node is a running node.
type Node struct {
	cfg      *config.Config
	log      *zap.Logger
	gateway  *gateway.Gateway
	bus      *client.Client
	store    sessionstore.Store
	lent     bool         // the store is not ours to close
	embedded *embeddedBus // nil with a real bus
	admin    *http.Server
	adminTo  adminAccess
	registry *prometheus.Registry
	tls      *secure.Server    // nil without TLS listeners
	spans    *tracing.Exporter // nil: off
	quotas   *quota.Book
	quotasOf *quota.File // nil: there is no quota.file
	serving  sync.WaitGroup
	stop     context.CancelFunc // ends what runs beside the listeners

	auth      map[string]authenticator // the methods in use, by name
	authBrake *auth.Brake

	startPolicy *permit.Policy                 // nil: everything is allowed
	policy      *reload.Source[*permit.Policy] // nil: there is no file

	// The addresses listened on, chosen ports filled in; empty where off.
	TCP, TLS, WS, WSS, Admin, EmbeddedBus string
}

// Start opens everything the configuration names. After an error nothing is left running.
func Start(ctx context.Context, cfg *config.Config, log *zap.Logger) (*Node, error) {
	return (&Node{cfg: cfg, log: log}).start(ctx)
}

// StartOn is Start with a session store that is open already, in place of the one that the configuration names. Closing it remains with
// its lender: this is how nodes in one process share sessions in memory.
func StartOn(ctx context.Context, store sessionstore.Store, cfg *config.Config, log *zap.Logger) (*Node, error) {
	return (&Node{cfg: cfg, log: log, store: store, lent: true}).start(ctx)
}

func (n *Node) start(ctx context.Context) (_ *Node, err error) {
	defer func() {
		if err != nil {
			n.abandon()
		}
	}()
	n.registry = prometheus.NewRegistry()
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.openQuotas(); err != nil {
		return nil, err
	}
	// Listeners first: a taken port is the commonest fault and should not cost a wait for the bus.
	listeners, admin, err := n.listen()
	if err != nil {
		return nil, err
	}
	if err := n.connect(ctx); err != nil {
		closeAll(listeners, admin)
		return nil, err
	}
	if err := n.checkTargets(ctx); err != nil {
		closeAll(listeners, admin)
		return nil, err
	}
	start, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	if err := n.trace(); err != nil {
		closeAll(listeners, admin)
		return nil, err
	}
	n.gateway, err = gateway.New(start, n.options())
	if err != nil {
		closeAll(listeners, admin)
		return nil, err
	}
	n.serve(listeners, admin)
	return n, nil
}

// checkTargets refuses to start when the bus has not got what mapping rules name. A bus that does not answer is not waited for: devices are served
// all the same, and the gateway looks for it later.
func (n *Node) checkTargets(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, targetsWait)
	defer cancel()
	err := CheckTargets(ctx, n.bus, n.cfg)
	if errors.Is(err, amqp.ErrUnavailable) {
		n.log.Warn("what the rules name could not be looked for yet", zap.Error(err))
		return nil
	}
	return err
}

// connect opens the bus and the store.
func (n *Node) connect(ctx context.Context) (err error) {
	urls := n.cfg.BusURLs
	if len(urls) == 0 {
		n.embedded, err = startEmbedded(n.cfg, n.log)
		if err != nil {
			return err
		}
		n.EmbeddedBus = n.embedded.address
		urls = []string{EmbeddedURL(n.cfg, n.EmbeddedBus)}
	}
	if err := FindBus(ctx, n.cfg, n.log); err != nil {
		return err
	}
	if n.cfg.BusKind == config.KindArtemis && n.cfg.SessionsQueue > 0 {
		n.log.Info("sessions.queue_max has no effect on ActiveMQ Artemis: bound what waits for devices by its address settings for sluice.inbox.#")
	}
	if n.bus, err = OpenBus(n.cfg, urls, n.log); err != nil {
		return err
	}
	if n.lent {
		return nil
	}
	start, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	n.store, err = OpenStore(start, n.cfg, n.log)
	return err
}

// trace starts the exporter of spans, if there is to be one.
func (n *Node) trace() (err error) {
	if n.cfg.TracesEndpoint == "" {
		return nil
	}
	n.spans, err = tracing.Start(tracing.Options{
		Endpoint: n.cfg.TracesEndpoint, Timeout: n.cfg.TracesTimeout, NodeID: n.cfg.NodeID, Logger: n.log, Registry: n.registry,
	})
	return err
}

func (n *Node) options() gateway.Options {
	c := n.cfg
	var traces *bridge.Tracing
	if n.spans != nil {
		traces = &bridge.Tracing{Ratio: c.TracesRatio}
	}
	return gateway.Options{
		Spans:    n.spans,
		NodeID:   c.NodeID,
		Bus:      n.bus,
		Store:    n.store,
		Logger:   n.log,
		Registry: n.registry,
		Bridge: bridge.Config{
			Session:  offer(c, c.Profile),
			Dialect:  c.Dialect,
			Rules:    c.Rules,
			Grace:    c.BusGrace,
			QoS0Hold: qos0Hold,
			Tracing:  traces,
		},
		Policy:            n.startPolicy,
		ConnectionsMax:    c.MaxConnections,
		ConnectRate:       c.ConnectRate,
		MemoryMax:         int64(c.MemoryMax),
		Quotas:            n.quotas,
		HandshakeTimeout:  c.ConnectTimeout,
		WriteTimeout:      c.WriteTimeout,
		DrainRate:         c.ShutdownRate,
		ServerReference:   c.ServerReference,
		InboxExpires:      uint64((c.SessionsExpiry + inboxMargin) / time.Millisecond),
		InboxLength:       uint64(c.SessionsQueue),
		Sources:           c.Azure.Receive,
		RetainedQueue:     c.RetainedQueue,
		EventsAddress:     c.EventsAddress,
		QuarantineAddress: c.Quarantine,
		Clients:           gateway.Clients{Shared: c.Clients.Sharing == config.SharingShared, PrincipalMax: c.Clients.PrincipalMax, Templates: c.Clients.Templates, Keep: c.Clients.Keep},
	}
}

func (n *Node) serve(listeners []gateway.Listener, admin net.Listener) {
	for _, l := range listeners {
		n.serving.Go(func() {
			if err := n.gateway.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
				n.log.Error("listener ended", zap.String("address", l.Addr().String()), zap.Error(err))
			}
		})
	}
	n.tellOpen()
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.runAuth(ctx)
	n.tellUnlimited()
	n.runAccess(ctx)
	if n.tls != nil {
		n.tls.OnDistrust(n.gateway.Recheck)
		n.serving.Go(func() { n.tls.Run(ctx) })
	}
	if n.quotasOf != nil {
		n.serving.Go(func() { n.watchQuotas(ctx) })
	}
	if admin != nil {
		n.serveAdmin(ctx, admin)
	}
}

// Ready reports why the node should get no devices, nil when it should.
func (n *Node) Ready(ctx context.Context) error { return n.gateway.Ready(ctx) }

// Stop takes the node apart: devices are told, deliveries given back, sessions kept, within ctx.
func (n *Node) Stop(ctx context.Context) error {
	err := n.gateway.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("not everything was finished in time: %w", err)
	}
	if n.admin != nil {
		_ = n.admin.Close()
	}
	if n.stop != nil {
		n.stop()
	}
	n.serving.Wait()
	n.abandon()
	return err
}

// abandon closes what was opened.
func (n *Node) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), closeSpansWait)
	defer cancel()
	n.spans.Close(ctx)
	if n.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeBusWait)
		defer cancel()
		_ = n.bus.Close(ctx)
	}
	if n.store != nil && !n.lent {
		_ = n.store.Close()
	}
	if n.embedded != nil {
		n.embedded.stop()
	}
}
