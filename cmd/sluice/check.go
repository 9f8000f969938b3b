package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/gateway/node"
	"sluice/mqtt/transport"
)

func checkCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration, try bus and store, say what serve would do",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			return check(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	s.register(cmd)
	return cmd
}

func check(ctx context.Context, cfg *config.Config, out io.Writer) error {
	fmt.Fprintf(out, "node      %s\n", cfg.NodeID)
	if n := cfg.Rules.Len(); n > 0 {
		fmt.Fprintf(out, "rules     %d (sluice explain says what they make of a message)\n", n)
	}
	steps := []struct {
		name string
		run  func(context.Context, *config.Config) (string, error)
	}{
		{"access", checkPolicy}, {"devices", checkListeners}, {"admin", checkAdmin}, {"bus", checkBus}, {"sessions", checkStore},
	}
	failed := 0
	for _, step := range steps {
		said, err := step.run(ctx, cfg)
		if err != nil {
			failed++
			said = "FAILED: " + err.Error()
		}
		fmt.Fprintf(out, "%-9s %s\n", step.name, strings.ReplaceAll(said, "\n", "\n          "))
	}
	if failed > 0 {
		return errNotNow
	}
	fmt.Fprintln(out, "all well: sluice serve would work with this configuration")
	return nil
}

func checkListeners(_ context.Context, cfg *config.Config) (string, error) {
	var said []string
	secured, err := node.OpenTLS(cfg, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return "", err
	}
	if _, _, err := node.OpenQuotas(cfg); err != nil {
		return "", err
	}
	if err := node.CheckAuth(cfg); err != nil {
		return "", err
	}
	for _, l := range cfg.Listeners() {
		if err := tryListen(l.Address, l.Key); err != nil {
			return "", err
		}
		what := l.Name + " on " + l.Address
		if l.WebSocket {
			what += cfg.WSPath
		}
		said = append(said, what+", profile "+l.Profile+", authentication "+strings.Join(l.Auth, ", "))
	}
	if secured != nil {
		said = append(said, "certificate good until "+secured.Expires().UTC().Format(time.DateTime))
		if cfg.TLS.TicketSecret == "" {
			said = append(said, "TLS sessions are resumed on this node only (set mqtt.tls.ticket_secret)")
		}
	}
	return strings.Join(said, "\n"), nil
}

func checkAdmin(_ context.Context, cfg *config.Config) (string, error) {
	if cfg.Admin.Listen == "" {
		return "off", nil
	}
	return "on " + cfg.Admin.Listen, tryListen(cfg.Admin.Listen, "admin.listen")
}

func tryListen(address, key string) error {
	l, err := transport.Listen(address, key)
	if err != nil {
		return err
	}
	return l.Close()
}

func checkBus(ctx context.Context, cfg *config.Config) (string, error) {
	if len(cfg.BusURLs) == 0 {
		l, err := transport.Listen(cfg.EmbeddedListen, "bus.embedded.listen")
		if err != nil {
			return "", err
		}
		_ = l.Close()
		return "embedded, on " + cfg.EmbeddedListen + ": NO MESSAGE IS KEPT (set bus.url)", nil
	}
	bus, err := openBus(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer closeBus(bus)
	info := bus.Info()
	said := strings.TrimRight(fmt.Sprintf("reached: %s %s", info.Product, info.Version), ": ")
	if n := len(cfg.Rules.Targets()); n > 0 {
		ctx, cancel := context.WithTimeout(ctx, reachWait)
		defer cancel()
		if err := node.CheckTargets(ctx, bus, cfg); err != nil {
			return "", err
		}
		said += fmt.Sprintf("\nwhat rules name is there: %d exchanges and queues", n)
	}
	if cfg.IsAzure() {
		more, err := checkEntities(ctx, bus, cfg)
		return said + "\n" + more, err
	}
	return said, nil
}

func checkStore(ctx context.Context, cfg *config.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	store, err := node.OpenStore(ctx, cfg, zap.NewNop())
	if err != nil {
		return "", err
	}
	defer func() { _ = store.Close() }()
	if err := store.Ready(ctx); err != nil {
		return "", fmt.Errorf("sessions.url: the store cannot be used: %w", err)
	}
	if cfg.SessionsURL == "" {
		return "in memory: SESSIONS END WITH THE PROCESS, no other node sees them (set sessions.url)", nil
	}
	return "reached", nil
}
