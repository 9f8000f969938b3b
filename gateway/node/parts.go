package node

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/amqp/embedded"
	"sluice/gateway"
	"sluice/gateway/config"
	"sluice/mqtt/transport"
	"sluice/sessionstore"
	"sluice/sessionstore/memory"
	"sluice/sessionstore/redis"
)

// FindBus asks the bus what kind it is, where the configuration leaves it open. A bus that does not answer is taken for RabbitMQ: a node does not
// wait for its bus to serve devices. It is found out as soon as it is there (client.Options.Kind).
func FindBus(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	if !cfg.AsksBus() {
		return nil
	}
	options, err := busOptions(cfg, cfg.BusURLs, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askBusWait)
	defer cancel()
	info, err := client.Probe(ctx, options)
	for err != nil && ctx.Err() == nil {
		select {
		case <-time.After(askBusPause):
			info, err = client.Probe(ctx, options)
		case <-ctx.Done():
		}
	}
	if err != nil {
		log.Warn("the bus could not be asked for its kind and is taken for RabbitMQ; if it is not, set bus.kind", zap.Error(MendBus(err)))
	}
	return foundBus(cfg, info)
}

// AskBus connects to the bus of bus.url, for a command that needs it now, and finds out its kind as FindBus does. The error says at once why the bus
// cannot be reached.
func AskBus(ctx context.Context, cfg *config.Config) error {
	options, err := busOptions(cfg, cfg.BusURLs, zap.NewNop())
	if err != nil {
		return err
	}
	info, err := client.Probe(ctx, options)
	if err != nil {
		return fmt.Errorf("bus.url: %w", MendBus(err))
	}
	if !cfg.AsksBus() {
		return nil
	}
	return foundBus(cfg, info)
}

func foundBus(cfg *config.Config, info amqp.Info) error {
	if err := cfg.FoundBus(info.Product); err != nil {
		return fmt.Errorf("bus.url: the bus calls itself %q, and the configuration does not fit it: %w", info.Product, err)
	}
	return nil
}

// OpenBus opens the client of the bus. It connects in the background.
func OpenBus(cfg *config.Config, urls []string, log *zap.Logger) (*client.Client, error) {
	options, err := busOptions(cfg, urls, log)
	if err != nil {
		return nil, err
	}
	bus, err := client.Open(options)
	if err != nil {
		return nil, fmt.Errorf("bus.url: %w", err)
	}
	return bus, nil
}

// busOptions leaves the kind open while it is to be asked for.
func busOptions(cfg *config.Config, urls []string, log *zap.Logger) (client.Options, error) {
	tls, err := clientTLS("bus.tls", cfg.BusTLS, log)
	if err != nil {
		return client.Options{}, err
	}
	o := client.Options{URLs: urls, ContainerID: "sluice-" + cfg.NodeID, Logger: log, Connections: cfg.BusConnections, TLS: tls,
		Root: cfg.ArtemisRoot, Targets: targets(cfg), Login: login(cfg)}
	if !cfg.AsksBus() {
		o.Kind = cfg.BusTopology()
	}
	return o, nil
}

// CheckTargets looks whether the exchanges and queues that mapping rules name are on the bus. The error names what is missing, or wraps
// amqp.ErrUnavailable when the bus does not say within ctx.
func CheckTargets(ctx context.Context, bus amqp.Bus, cfg *config.Config) error {
	return gateway.CheckTargets(ctx, bus, cfg.Dialect, cfg.Rules)
}

// targets are the entities whose links are kept up.
func targets(cfg *config.Config) []string {
	if !cfg.IsAzure() {
		return nil
	}
	return []string{cfg.Azure.Entity}
}

// login is how the bus is told who we are, where that is not all said by user and password.
func login(cfg *config.Config) client.Login {
	l := client.Login{Plain: cfg.Azure.Login == config.LoginPlain}
	if cfg.Azure.Login == config.LoginToken {
		l.TokenFile = cfg.Azure.TokenFile
	}
	return l
}

// EventsQueue is the queue of this name for events, as the nodes make it.
func EventsQueue(name string) amqp.Inbox { return gateway.EventsQueue(name) }

// QuarantineQueue is the queue of this name for the quarantine, as the nodes make it.
func QuarantineQueue(name string) amqp.Inbox { return gateway.QuarantineQueue(name) }

// OpenStore opens the session store.
func OpenStore(ctx context.Context, cfg *config.Config, log *zap.Logger) (sessionstore.Store, error) {
	quota := sessionstore.RetainedQuota{
		Messages: cfg.RetainedMessages, Bytes: cfg.RetainedBytes,
		PrincipalMessages: cfg.RetainedEach, PrincipalBytes: cfg.RetainedEachSize,
	}
	if cfg.SessionsURL == "" {
		return memory.New(memory.Options{Retained: quota}), nil
	}
	tls, err := clientTLS("sessions.tls", cfg.SessionsTLS, log)
	if err != nil {
		return nil, err
	}
	options := redis.Options{Grace: cfg.BusGrace, Logger: log, Retained: quota, TLS: tls}
	if cfg.Durable() {
		options.Replicas = cfg.SessionsReplicas
	}
	store, err := redis.Open(ctx, cfg.SessionsURL, options)
	if err != nil {
		return nil, fmt.Errorf("sessions.url: %w", mendStore(err))
	}
	return store, nil
}

// embeddedBus is the broker that runs when no bus is configured.
type embeddedBus struct {
	broker  *embedded.Broker
	address string
	serving sync.WaitGroup
}

func startEmbedded(cfg *config.Config, log *zap.Logger) (*embeddedBus, error) {
	l, err := transport.Listen(cfg.EmbeddedListen, "bus.embedded.listen")
	if err != nil {
		return nil, err
	}
	options := embedded.Options{Logger: log, User: cfg.EmbeddedUser, Password: cfg.EmbeddedPassword}
	for _, t := range cfg.Rules.Targets() { // nobody else could make them before the node starts
		if t.Queue != "" {
			options.Queues = append(options.Queues, t.Queue)
		} else {
			options.Exchanges = append(options.Exchanges, t.Exchange)
		}
	}
	e := &embeddedBus{
		broker:  embedded.New(options),
		address: l.Addr().String(),
	}
	e.serving.Go(func() {
		if err := e.broker.Serve(l); err != nil {
			log.Error("the embedded bus ended", zap.Error(err))
		}
	})
	return e, nil
}

// EmbeddedURL is how the embedded bus that listens on address is reached from this machine.
func EmbeddedURL(cfg *config.Config, address string) string {
	host, port, err := net.SplitHostPort(address)
	if err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "amqp", Host: net.JoinHostPort(host, port)}
	if cfg.EmbeddedUser != "" {
		u.User = url.UserPassword(cfg.EmbeddedUser, cfg.EmbeddedPassword)
	}
	return u.String()
}

func (e *embeddedBus) stop() {
	e.broker.Close()
	e.serving.Wait()
}
