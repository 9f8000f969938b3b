package rig

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
	"sluice/amqp/topology"
	"sluice/gateway/config"
	"sluice/mapping"
	"sluice/sessionstore"
	"sluice/sessionstore/memory"
)

// Backend is a bus and a store to run nodes on.
type Backend struct {
	Name string
	// Shared: several nodes can use it. Otherwise bus and store are inside the node and a test has one node.
	Shared bool
	// Dialect is how the bus names addresses, and what it can tell.
	Dialect mapping.Dialect
	// BoundsInboxes: the bus refuses a message for a queue that is full (sessions.queue_max).
	BoundsInboxes bool
	// KeepsTTL: a consumer sees the ttl in the header. Artemis makes absolute-expiry-time of it.
	KeepsTTL bool
	// MaxLevels is how many levels a topic may have; zero is no bound.
	MaxLevels int
	// MaxTopic is how many bytes a topic with many characters to escape may have; zero is no bound. Artemis keeps a message's addresses in one record
	// of its journal.
	MaxTopic int

	busURL, busKind, sessionsURL, ownSessionsURL string
	store                                        sessionstore.Store // nil: the one of the configuration
}

// Embedded is the bus in the node's process with sessions in memory.
func Embedded() Backend {
	return Backend{Name: "embedded", BoundsInboxes: true, KeepsTTL: true, busKind: config.KindRabbitMQ}
}

// InProcess is an embedded bus and sessions in memory, as Embedded, but outside of any node, so that several share them. It ends with the
// test.
func InProcess(t testing.TB) Backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker, store := embedded.New(embedded.Options{Logger: Logger(t)}), memory.New(memory.Options{})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := broker.Serve(l); err != nil {
			t.Errorf("the embedded bus ended: %v", err)
		}
	})
	t.Cleanup(func() {
		broker.Close()
		serving.Wait()
		if err := store.Close(); err != nil {
			t.Errorf("closing the sessions in memory: %v", err)
		}
	})
	return Backend{Name: "memory", Shared: true, BoundsInboxes: true, KeepsTTL: true, busKind: config.KindRabbitMQ, busURL: "amqp://" + l.Addr().String(), store: store}
}

// InProcessOnRedis is InProcess with the sessions in Redis, in a database of their own: nodes on another bus would do their work there.
func InProcessOnRedis(t testing.TB) Backend {
	t.Helper()
	b := InProcess(t)
	b.Name, b.store, b.sessionsURL = "redis", nil, database(t, databaseOwn)
	return b
}

// Real is RabbitMQ with Redis.
func Real(t testing.TB) Backend {
	t.Helper()
	return Backend{Name: "rabbitmq", Shared: true, BoundsInboxes: true, KeepsTTL: true, busKind: config.KindRabbitMQ, busURL: Env(t, EnvRabbitMQ),
		sessionsURL: Env(t, EnvRedis), ownSessionsURL: database(t, databaseOwn)}
}

// Artemis is ActiveMQ Artemis with Redis. Its sessions are in a database of their own: nodes on another bus would do their work there.
func Artemis(t testing.TB) Backend {
	t.Helper()
	return Backend{Name: "artemis", Shared: true, Dialect: mapping.Artemis(topology.DefaultRoot), MaxLevels: 127, MaxTopic: 40_000, busKind: config.KindArtemis, busURL: Env(t, EnvArtemis),
		sessionsURL: database(t, databaseArtemis), ownSessionsURL: database(t, databaseArtemisOwn)}
}

// Carries reports whether the bus can take messages on this topic.
func (b Backend) Carries(topic string) bool {
	return b.MaxLevels == 0 || strings.Count(topic, "/") < b.MaxLevels
}

// Own takes what gateways add and what the bus asks for beside a message out of its application properties, and demands that the latter is right.
func (b Backend) Own(t testing.TB, m *message.Message) map[string]any {
	t.Helper()
	properties := maps.Clone(m.ApplicationProperties)
	maps.DeleteFunc(properties, func(name string, _ any) bool { return mapping.IsMark(name) })
	name := b.Dialect.DuplicateID()
	if id, there := properties[name]; name != "" && (there && id != m.Properties.MessageID || !there && mapping.Mark(m, mapping.AnnotationQoS) == uint8(2)) {
		t.Errorf("%s is %v, want the message-id %v", name, id, m.Properties.MessageID)
	}
	delete(properties, name)
	return properties
}

// QueueName is what the bus calls a queue that Bus.QueueNamed has made.
func (b Backend) QueueName(name string) string {
	if b.Dialect.HasExchanges() {
		return name
	}
	return "sluice.inbox." + name
}

// SessionsURL is where the store is; empty where it is in the node.
func (b Backend) SessionsURL() string { return b.sessionsURL }

// The databases of Redis that tests share; scripts/services gives it 128. Nodes on one database do each other's work, so they must be on one bus, and
// none of them may be cut off from it alone.
const (
	databaseArtemis    = 13 // 0 is that of nodes on RabbitMQ
	databaseArtemisOwn = 12
	databaseOwn        = 14
	databaseThirdParty = 15
	databaseFirst      = 16 // from here on they are given out, to one test each (Alone)
	databases          = 128
)

// ThirdPartySessions are those of gateway/e2e/thirdparty.
func ThirdPartySessions(t testing.TB) string { return database(t, databaseThirdParty) }

// database is a database of Redis.
func database(t testing.TB, number int) string {
	t.Helper()
	return fmt.Sprint(strings.TrimSuffix(Env(t, EnvRedis), "/"), "/", number)
}

// OwnSessions gives nodes with rules sessions apart from those of other tests' nodes, which would publish their Wills without the rules.
func (b Backend) OwnSessions() []string {
	if b.ownSessionsURL == "" {
		return nil
	}
	return []string{"sessions.url=" + b.ownSessionsURL}
}

// Backends are all there is to test against.
func Backends(t testing.TB) []Backend {
	t.Helper()
	return []Backend{Embedded(), Real(t), Artemis(t)}
}

// Each runs test on every backend, at the same time.
func Each(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Helper()
	each(t, Backends(t), test)
}

// EachWithExchanges is Each for what only a bus with several exchanges can do.
func EachWithExchanges(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Helper()
	each(t, slices.DeleteFunc(Backends(t), func(b Backend) bool { return !b.Dialect.HasExchanges() }), test)
}

func each(t *testing.T, backends []Backend, test func(t *testing.T, b Backend)) {
	t.Helper()
	t.Parallel()
	for _, b := range backends {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}
