package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sluice/gateway/config"
	"sluice/mapping/rules/explain"
)

func explainCommand() *cobra.Command {
	var s settings
	var q explain.Question
	var payload string
	var asJSON bool
	var rights rightsQuestion
	cmd := &cobra.Command{
		Use:   "explain [TOPIC]",
		Short: "Say what becomes of a message, or where those of a subscription come from",
		Long: "Explains what the configuration makes of a message that a device publishes to TOPIC: the mapping rule that matches, the AMQP message with\n" +
			"every section, what the bus's answers mean for the device, what a device gets when the message comes back, and what is lost.\n" +
			"With --address or --subject and no TOPIC it explains a backend's message on its way to devices. With --subscribe it says where the\n" +
			"messages of a subscription come from, and which rules it hears nothing of. It needs neither bus nor store.\n" +
			"With --as it says instead whether a device of that principal may publish to TOPIC, or subscribe with --subscribe, and which rule of access.policy decides;\n" +
			"--policy asks a file that is not in force.",
		Example: "  sluice explain plant/hall/line/7/temp --qos 1 --payload 21.5 -c sluice.yaml\n" +
			"  sluice explain plant/hall/line/7/temp --v311 --json\n" +
			"  sluice explain --address /exchanges/commands/dev.7 --payload on\n" +
			"  sluice explain --subscribe 'plant/#' -c sluice.yaml\n" +
			"  sluice explain plant/7/recipe --as otto --group contractors --policy new.yaml",
		Args: arguments("[TOPIC]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				q.Topic = args[0]
			}
			q.Payload = []byte(payload)
			e, err := explained(cfg, &q, &rights)
			if err != nil {
				return err
			}
			return writeExplanation(cmd.OutOrStdout(), e, asJSON)
		},
	}
	s.register(cmd)
	f := cmd.Flags()
	f.IntVarP(&q.QoS, "qos", "q", 0, "0, 1 or 2; of a backend's message 1 and 2 mean durable")
	f.BoolVarP(&q.Retain, "retain", "r", false, "with RETAIN")
	f.StringVar(&payload, "payload", "", "payload")
	f.StringVar(&q.ContentType, "content-type", "", "content type")
	f.StringVar(&q.ResponseTopic, "response-topic", "", "response topic")
	f.Uint32Var(&q.Expiry, "expiry", 0, "message expiry in seconds; 0 is none")
	f.StringArrayVarP(&q.User, "user-property", "P", nil, "user property key=value, of a backend's message an application property (may be repeated)")
	f.StringVar(&q.Principal, "principal", "anonymous", "principal of the device")
	f.StringVar(&q.Tenant, "tenant", "default", "tenant of the device")
	f.StringVar(&q.ClientID, "client-id", "", "client id of the device")
	f.BoolVar(&q.V311, "v311", false, "the devices speak MQTT 3.1.1")
	f.StringVar(&q.Address, "address", "", "address that a backend sends to: /exchanges/NAME/KEY or /queues/NAME, percent-encoded, on Artemis as it is")
	f.StringVar(&q.Subject, "subject", "", "subject of a backend's message")
	f.StringVar(&q.Filter, "subscribe", "", "topic filter of a subscription to be explained, instead of a message")
	rights.register(f)
	f.BoolVar(&asJSON, "json", false, "print JSON, as GET /api/v1/explain does")
	return cmd
}

// explanation is any of the three: of rights, of a subscription, of a message.
type explanation interface{ Text() string }

func explained(cfg *config.Config, q *explain.Question, rights *rightsQuestion) (explanation, error) {
	if err := rights.check(); err != nil {
		return nil, err
	}
	if rights.as != "" {
		e, err := rights.ask(cfg, q)
		return &e, err
	}
	if q.Filter != "" {
		e, err := explain.Subscribe(cfg.Dialect, cfg.Rules, *q)
		return &e, err
	}
	e, err := explain.Ask(cfg.Dialect, cfg.Rules, *q)
	return &e, err
}

func writeExplanation(out io.Writer, e explanation, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(e)
	}
	_, err := fmt.Fprint(out, e.Text())
	return err
}
