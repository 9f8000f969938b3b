package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp/topology"
)

// Options says which bus to use and how. URLs is required, the zero value of everything else is a good default.
type Options struct {
	// URLs are the bus's hosts, in order of preference, such as "amqp://user:password@host:5672/vhost" or "amqps://host". All must be one
	// bus: when a host fails, the next is tried. The path names a RabbitMQ virtual host.
	URLs []string
	// TLS is used for amqps. Nil trusts the system's roots. ServerName is set from the URL when empty.
	TLS *tls.Config
	// ContainerID names us to the bus; a number per connection is added. Empty: the library makes one up.
	ContainerID string
	Logger      *zap.Logger

	// Connections is how many connections publish (default: one for every four cores that the process may use), Lanes how many pairs of
	// sender links each has (default 1). More carry more where the bus is far away, and cost both sides more for each message.
	Connections, Lanes int
	// ReceiveConnections is how many connections receivers are spread over (default 2). More are opened when they are full.
	ReceiveConnections int
	// Window is how many sends of one link may be unanswered (default 1,024), Queue how many more may wait for a lane's link before Publish
	// answers Busy (default 16,384).
	Window, Queue int
	// SendTimeout is how long a written transfer may stay unanswered before its connection is closed and it gets Lost (default 20 s).
	// Waiting for the bus's credit does not count.
	SendTimeout time.Duration
	// IdleTimeout is after how much silence of the bus a connection counts as dead (default 10 s, at least 2 s).
	IdleTimeout time.Duration
	// Dial opens the TCP connection; default net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Exchange is where patterns are bound on a bus of the bindings family (default "amq.topic").
	Exchange string
	// Kind says what kind of bus it is; one that is known to be of another is not used. Empty: what the bus calls itself decides.
	Kind topology.Kind
	// Targets are entities that messages go to, on a bus of static entities: their links are kept up, and Ready tells of them. Links to others are opened
	// when there is something to send.
	Targets []string
	// Login says how such a bus is told who we are; the default is a token made from user and password of the URL.
	Login Login
	// Root begins the addresses of topics on a bus of the diverts family (default "mqtt").
	Root string

	// tokenLife is how long a token that we make holds; shorter in tests.
	tokenLife time.Duration
	rotate    uint64 // sessionRotation; smaller in tests
}

func (o *Options) setDefaults() {
	o.rotate = orDefault(o.rotate, sessionRotation)
	o.tokenLife = orDefault(o.tokenLife, tokenLife)
	o.Connections = orDefault(o.Connections, min((runtime.GOMAXPROCS(0)+connectionCores-1)/connectionCores, maxConnections))
	o.Lanes = orDefault(o.Lanes, defaultLanes)
	if o.Kind.Static() && o.ReceiveConnections == 0 {
		o.ReceiveConnections = 1 // one that nobody uses would be ended again and again
	}
	o.ReceiveConnections = orDefault(o.ReceiveConnections, defaultReceiveConnections)
	o.Window = orDefault(o.Window, defaultWindow)
	o.Queue = orDefault(o.Queue, defaultQueue)
	o.SendTimeout = orDefault(o.SendTimeout, defaultSendTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, defaultIdleTimeout)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (o *Options) check() error {
	for _, b := range []struct {
		name       string
		value, max int
	}{
		{"Connections", o.Connections, maxConnections},
		{"Lanes", o.Lanes, maxLanes},
		{"ReceiveConnections", o.ReceiveConnections, maxReceiveConnections},
		{"Window", o.Window, maxWindow},
		{"Queue", o.Queue, maxQueue},
	} {
		if b.value < 1 || b.value > b.max {
			return fmt.Errorf("amqp/client: %s is %d; use 1 to %d", b.name, b.value, b.max)
		}
	}
	if o.SendTimeout < 0 || o.IdleTimeout < minIdleTimeout {
		return fmt.Errorf("amqp/client: SendTimeout %v must be positive and IdleTimeout %v at least %v", o.SendTimeout, o.IdleTimeout, minIdleTimeout)
	}
	if len(o.Targets) > maxTargets {
		return fmt.Errorf("amqp/client: %d Targets; at most %d are possible", len(o.Targets), maxTargets)
	}
	return nil
}

// endpoint is one host of the bus.
type endpoint struct {
	address  string // host:port
	host     string
	hostname string // of the open performative
	tls      bool
	sasl     goamqp.SASLType
	user     string // with its password: the name of a shared access rule and its key, on a bus of static entities
	password string
}

// parseEndpoints reads the URLs. Its errors never show a URL, since that may hold a password.
func parseEndpoints(urls []string) ([]endpoint, error) {
	if len(urls) == 0 {
		return nil, errors.New("amqp/client: no bus URL; give one such as amqp://user:password@host:5672")
	}
	var all []endpoint
	for i, raw := range urls {
		e, err := parseEndpoint(strings.TrimSpace(raw))
		if err != nil {
			return nil, fmt.Errorf("amqp/client: bus URL %d of %d: %w", i+1, len(urls), err)
		}
		all = append(all, e)
	}
	return all, nil
}

func parseEndpoint(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return endpoint{}, errors.New("it is not a URL; percent-encode special characters in user name and password")
	}
	e := endpoint{host: u.Hostname(), sasl: goamqp.SASLTypeAnonymous()}
	port := "5672"
	switch u.Scheme {
	case "amqp":
	case "amqps":
		e.tls, port = true, "5671"
	default:
		return endpoint{}, fmt.Errorf("scheme %q is not known; use amqp or amqps", u.Scheme)
	}
	if e.host == "" {
		return endpoint{}, errors.New("it names no host")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	e.address = net.JoinHostPort(e.host, port)
	e.hostname = e.host
	if vhost := strings.TrimPrefix(u.Path, "/"); vhost != "" {
		e.hostname = "vhost:" + vhost // how RabbitMQ wants a virtual host named
	}
	if u.User != nil {
		e.user = u.User.Username()
		e.password, _ = u.User.Password()
		e.sasl = goamqp.SASLTypePlain(e.user, e.password)
	}
	return e, nil
}
