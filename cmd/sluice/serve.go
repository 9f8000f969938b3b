package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/gateway/heap"
	"sluice/gateway/node"
)

func serveCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: "Runs a node until SIGTERM or SIGINT. Without bus.url it runs an AMQP 1.0 bus of its own, without sessions.url it keeps sessions in\n" +
			"memory: good for trying it out, and nothing is kept.\n\nKeys (as --set key=value, SLUICE_KEY in the environment, or in the file):\n\n" + config.Help(),
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			log, err := newLogger(cfg, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }()
			return serve(cmd.Context(), cfg, log, cmd.OutOrStdout())
		},
	}
	s.register(cmd)
	return cmd
}

func serve(ctx context.Context, cfg *config.Config, log *zap.Logger, out io.Writer) error {
	defer governMemory(log)()
	n, err := node.Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	banner(out, cfg, n)
	log.Info("serving", zap.String("node", cfg.NodeID), zap.String("mqtt", n.TCP), zap.String("mqtts", n.TLS), zap.String("ws", n.WS), zap.String("wss", n.WSS), zap.String("admin", n.Admin),
		zap.String("embedded_bus", n.EmbeddedBus), zap.String("version", versionText()))
	<-ctx.Done()
	log.Info("stopping: devices are told, deliveries go back to the bus", zap.Duration("within", cfg.ShutdownTimeout))
	stop, cancel := context.WithTimeout(context.Background(), cfg.ShutdownTimeout)
	defer cancel()
	if err := n.Stop(stop); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// governMemory governs the garbage collector until end.
func governMemory(log *zap.Logger) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		heap.Govern(ctx, log)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// banner says, to who tries it out, that nothing is kept and what to try next.
func banner(out io.Writer, cfg *config.Config, n *node.Node) {
	if n.EmbeddedBus == "" && cfg.SessionsURL != "" {
		return
	}
	fmt.Fprintln(out)
	switch {
	case n.EmbeddedBus == "":
		fmt.Fprintln(out, "  SESSIONS ARE KEPT IN MEMORY: they end with this process, and no other node sees them. Set sessions.url.")
	case cfg.SessionsURL != "":
		fmt.Fprintln(out, "  NO MESSAGE IS KEPT: the bus runs inside this process and ends with it. Set bus.url.")
	default:
		fmt.Fprintln(out, "  NOTHING IS KEPT: bus and sessions are in the memory of this process. Set bus.url and sessions.url for the real thing.")
	}
	fmt.Fprintln(out)
	if n.TCP != "" {
		fmt.Fprintf(out, "  MQTT      %s\n", n.TCP)
	}
	if n.TLS != "" {
		fmt.Fprintf(out, "  MQTT/TLS  %s\n", n.TLS)
	}
	if n.WS != "" {
		fmt.Fprintf(out, "  MQTT/WS   ws://%s%s\n", n.WS, cfg.WSPath)
	}
	if n.WSS != "" {
		fmt.Fprintf(out, "  MQTT/WSS  wss://%s%s\n", n.WSS, cfg.WSPath)
	}
	if n.EmbeddedBus != "" {
		fmt.Fprintf(out, "  AMQP 1.0  %s (any AMQP 1.0 client can use it)\n", n.EmbeddedBus)
	}
	if n.Admin != "" {
		fmt.Fprintf(out, "  admin     http://%s/healthz /readyz /metrics\n", n.Admin)
	}
	if n.TCP == "" || n.EmbeddedBus == "" || !openToAll(cfg) {
		fmt.Fprintln(out)
		return
	}
	self, flags := programName(), ""
	if n.EmbeddedBus != defaultEmbedded {
		flags = " --set bus.embedded.listen=" + n.EmbeddedBus
	}
	fmt.Fprintf(out, "\n  Try, in three other terminals:\n")
	fmt.Fprintf(out, "    %s tail 'sensors/#'%s\n", self, flags)
	fmt.Fprintf(out, "    mosquitto_sub -V 5 -p %s -q 1 -t 'commands/#' -v\n", port(n.TCP))
	fmt.Fprintf(out, "    mosquitto_pub -V 5 -p %s -q 1 -t sensors/hall -m 21.5; %s send commands/hall on%s\n\n", port(n.TCP), self, flags)
}

// openToAll says whether the commands of the banner would be let in, and may do what they do.
func openToAll(cfg *config.Config) bool {
	open := cfg.Access.Policy == "" && cfg.Access.Default == config.AccessAll
	for _, l := range cfg.Listeners() {
		open = open && (l.Key != "mqtt.tcp.listen" || slices.Contains(l.Auth, config.AuthAnonymous))
	}
	return open
}

// programName is how this program was called, so that the commands of the banner can be copied where sluice is not on the PATH.
func programName() string {
	if strings.ContainsAny(os.Args[0], " '\"$\\") {
		return "sluice"
	}
	return os.Args[0]
}
