package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/gateway/config"
	"sluice/gateway/e2e/rig"
	"sluice/gateway/node"
)

// startObserved starts a node whose log the test reads, from info up.
func startObserved(t *testing.T, set ...string) (*node.Node, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	log := rig.Logger(t).WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return zapcore.NewTee(c, core) }))
	cfg, _, err := config.Load(config.Source{Set: append([]string{
		"node.id=" + rig.Prefix(t) + "-node", "mqtt.tcp.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "bus.embedded.listen=127.0.0.1:0", "events.address=off",
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(rig.Context(t), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.ShutdownTimeout)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Errorf("stopping the node: %v", err)
		}
	})
	rig.Eventually(t, "the node is ready", func() error { return n.Ready(rig.Context(t)) })
	return n, logs
}

// countLines counts the lines of the log that match.
func countLines(logs *observer.ObservedLogs, pattern string) int {
	says := regexp.MustCompile(pattern)
	return logs.Filter(func(e observer.LoggedEntry) bool { return says.MatchString(e.Message) }).Len()
}

// admin asks the node's admin server.
func admin(t *testing.T, n *node.Node, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + n.Admin + path)
	if err != nil {
		t.Fatalf("admin %s: %v", path, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("admin %s: %v", path, err)
	}
	return response.StatusCode, string(b)
}

// expectReady waits until /readyz answers with a status.
func expectReady(t *testing.T, n *node.Node, want int) {
	t.Helper()
	rig.Eventually(t, fmt.Sprintf("/readyz answers %d", want), func() error {
		if status, body := admin(t, n, "/readyz"); status != want {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

// metric reads one sample of /metrics.
func metric(t *testing.T, n *node.Node, name string) float64 {
	t.Helper()
	_, body := admin(t, n, "/metrics")
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name+" ")
		if !ok {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest, &v); err != nil {
			t.Fatalf("metric %s: %v", name, err)
		}
		return v
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
