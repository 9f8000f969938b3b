// Command sluice is an MQTT to AMQP 1.0 gateway. See README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sluice/gateway/config"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sluice: "+err.Error())
		os.Exit(1)
	}
}

// settings are the flags every command with a configuration has.
type settings struct {
	file string
	set  []string
}

func (s *settings) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&s.file, "config", "c", "", "configuration file (YAML)")
	cmd.Flags().StringArrayVarP(&s.set, "set", "s", nil, "set a key: --set key=value (may be repeated)")
}

// load reads the configuration and tells of what is odd.
func (s *settings) load(cmd *cobra.Command) (*config.Config, error) {
	c, warnings, err := config.Load(config.Source{File: s.file, Set: s.set, Env: os.Environ()})
	for _, w := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "sluice: warning: "+w)
	}
	if err != nil {
		return nil, configurationFault(err)
	}
	return c, nil
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sluice",
		Short: "An MQTT to AMQP 1.0 gateway",
		Long: "Sluice lets MQTT 3.1.1 and 5.0 devices talk to an AMQP 1.0 bus (RabbitMQ 4, ActiveMQ Artemis, Azure Service Bus).\n" +
			"Nodes are stateless: sessions live in Redis, messages on the bus.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example:       "  sluice serve                                       # alone, with its own bus: to try it\n  sluice serve --set bus.url=amqp://user:pass@host --set sessions.url=redis://host:6379",
	}
	cmd.SetFlagErrorFunc(flagFault)
	return group(cmd, serveCommand(), checkCommand(), tailCommand(), sendCommand(), explainCommand(), quarantineCommand(), revokeCommand(), clientCommand(), passwdCommand(),
		versionCommand(), configCommand())
}
