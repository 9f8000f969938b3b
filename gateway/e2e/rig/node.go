package rig

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice/gateway/config"
	"sluice/gateway/node"
)

// Node is a running node in this process.
type Node struct {
	*node.Node
	ID     string
	BusURL string // where a backend reaches the bus, credentials included

	config *config.Config
	stop   sync.Once
}

// Start runs a node on b and waits until it is ready. It is stopped with the test at the latest. set overrides keys, as --set does.
func Start(t testing.TB, b Backend, set ...string) *Node {
	t.Helper()
	n := start(t, b, "", set)
	Eventually(t, "the node is ready", func() error { return n.Ready(Context(t)) })
	return n
}

// StartWith is Start with a configuration file of this content, for what cannot be set otherwise.
func StartWith(t testing.TB, b Backend, content string, set ...string) *Node {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, b, file, set)
	Eventually(t, "the node is ready", func() error { return n.Ready(Context(t)) })
	return n
}

func start(t testing.TB, b Backend, file string, set []string) *Node {
	t.Helper()
	id := Prefix(t) + "-node"
	keys := append([]string{
		"node.id=" + id, "mqtt.tcp.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "bus.embedded.listen=127.0.0.1:0",
		"bus.url=" + b.busURL, "bus.kind=" + cmp.Or(b.busKind, config.KindRabbitMQ), "sessions.url=" + b.sessionsURL,
		// Tests share a bus and not always their sessions: what is to be retained must not go to another test's node.
		"retained.queue=off", "events.address=off", "quarantine.address=off",
	}, set...)
	if !slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, "access.") }) {
		keys = append(keys, "access.default=all") // what devices may do is not what most tests are about
	}
	cfg, _, err := config.Load(config.Source{File: file, Set: keys})
	if err != nil {
		t.Fatalf("the configuration of the node: %v", err)
	}
	run := node.Start
	if b.store != nil {
		run = func(ctx context.Context, cfg *config.Config, log *zap.Logger) (*node.Node, error) {
			return node.StartOn(ctx, b.store, cfg, log)
		}
	}
	started, err := run(Context(t), cfg, Logger(t))
	if err != nil {
		t.Fatalf("starting a node on %s: %v", b.Name, err)
	}
	n := &Node{Node: started, ID: cfg.NodeID, config: cfg}
	t.Cleanup(func() { n.Stop(t) })
	if len(cfg.BusURLs) > 0 {
		n.BusURL = cfg.BusURLs[0]
	} else {
		n.BusURL = node.EmbeddedURL(cfg, started.EmbeddedBus)
	}
	return n
}

// Address is where a backend sends what devices get on topic.
func (n *Node) Address(topic string) string { return n.config.Dialect.ToTopic(topic) }

// Pair starts two nodes that share sessions and messages. On a backend that cannot be shared both are the same node, so that a test of
// moving between nodes becomes one of coming back.
func Pair(t testing.TB, b Backend, set ...string) (first, second *Node) {
	t.Helper()
	first = Start(t, b, set...)
	if !b.Shared {
		return first, first
	}
	return first, Start(t, b, set...)
}

// Stop stops the node in good order. It may be called again.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	n.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), n.config.ShutdownTimeout)
		defer cancel()
		if err := n.Node.Stop(ctx); err != nil {
			t.Errorf("stopping node %s: %v", n.ID, err)
		}
	})
}

// Logger writes to the test's output, which is shown when it fails: warnings, or everything with SLUICE_TEST_LOG=debug.
func Logger(t testing.TB) *zap.Logger {
	level := zapcore.WarnLevel
	if os.Getenv("SLUICE_TEST_LOG") != "" {
		level = zapcore.DebugLevel
	}
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(shortLines{t.Output()})), level))
}

// shortLines keeps the beginnings of lines: those of a test stay in memory until it ends, and a topic may have 64 KB.
type shortLines struct{ w io.Writer }

func (s shortLines) Write(line []byte) (int, error) {
	short := line
	if len(line) > logLineMax {
		short = append(slices.Clone(line[:logLineMax]), "...\n"...)
	}
	if _, err := s.w.Write(short); err != nil {
		return 0, err
	}
	return len(line), nil
}
