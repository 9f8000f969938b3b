package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mqtt/topic"
)

// sendOptions are the flags of sluice send.
type sendOptions struct {
	qos           uint8
	contentType   string
	properties    []string
	ttl           time.Duration
	replyTo       string
	correlationID string
	retain        bool
	timeout       time.Duration
}

func sendCommand() *cobra.Command {
	var s settings
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send TOPIC PAYLOAD",
		Short: "Send a message to devices, as a backend would",
		Long: "Sends an AMQP message to the devices that subscribe to TOPIC and reports what the bus did with it. PAYLOAD - reads standard input.\n" +
			"It ends with status 1 when the bus did not accept the message, also when nobody subscribes to TOPIC.\n" +
			"With --retain it goes to the queue retained.queue: a node sends it to TOPIC and keeps it for later subscribers; an empty PAYLOAD removes what is kept.",
		Example: "  sluice send commands/hall on\n  sluice send commands/hall '{\"on\":true}' --content-type application/json --property trace=42 --qos 2\n" +
			"  sluice send state/hall 21.5 --retain",
		Args: arguments("TOPIC", "PAYLOAD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			body := []byte(args[1])
			if args[1] == "-" {
				if body, err = io.ReadAll(os.Stdin); err != nil {
					return err
				}
			}
			m, err := o.message(args[0], body)
			if err != nil {
				return err
			}
			bus, err := openBus(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer closeBus(bus)
			m.Properties.To = cfg.Dialect.ToTopic(args[0])
			if o.replyTo != "" {
				m.Properties.ReplyTo = cfg.Dialect.ToTopic(o.replyTo)
			}
			if o.retain {
				if cfg.RetainedQueue == "" {
					return errors.New("--retain: retained.queue is off; set it to the name that the nodes use")
				}
				m.Properties.To = bus.InboxAddress(cfg.RetainedQueue)
			}
			err = send(cmd.Context(), bus, m, o.timeout)
			if o.retain && errors.Is(err, errReleased) {
				return fmt.Errorf("released: there is no queue %s on this bus, which a node makes when it starts; the bus kept nothing", cfg.RetainedQueue)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "accepted: %d bytes to %s\n", len(body), args[0])
			return nil
		},
	}
	s.register(cmd)
	cmd.Flags().Uint8VarP(&o.qos, "qos", "q", 1, "0, 1 or 2: the most a device gets it at")
	cmd.Flags().StringVar(&o.contentType, "content-type", "", "content type of the payload")
	cmd.Flags().StringArrayVarP(&o.properties, "property", "P", nil, "application property name=value (may be repeated)")
	cmd.Flags().DurationVar(&o.ttl, "ttl", 0, "how long the message may wait for a device; 0 is for ever")
	cmd.Flags().StringVar(&o.replyTo, "reply-to", "", "topic for the device's answer")
	cmd.Flags().StringVar(&o.correlationID, "correlation-id", "", "what the device's answer refers to")
	cmd.Flags().BoolVarP(&o.retain, "retain", "r", false, "keep the message for those who subscribe later, or remove it with an empty PAYLOAD")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the bus's answer")
	return cmd
}

// message is the message, but for its addresses: they depend on the bus.
func (o *sendOptions) message(name string, body []byte) (*message.Message, error) {
	if err := topic.ValidateName(name); err != nil {
		return nil, fmt.Errorf("TOPIC %q: %w", name, err)
	}
	if o.qos > 2 {
		return nil, fmt.Errorf("--qos %d: there is 0, 1 and 2", o.qos)
	}
	if o.ttl < 0 || o.ttl > message.MaxTTL {
		return nil, fmt.Errorf("--ttl %v: give a time up to %v", o.ttl, message.MaxTTL)
	}
	m := &message.Message{
		Header:      message.Header{Durable: o.qos > 0, Priority: message.DefaultPriority, TTL: o.ttl.Truncate(time.Millisecond)},
		Annotations: map[string]any{"x-opt-mqtt-qos": o.qos},
		Properties: message.Properties{
			MessageID: "sluice-send-" + rand.Text(), // without one a message of QoS 2 can come twice
			Subject:   name, ContentType: o.contentType, CreationTime: time.Now(),
		},
		Data: [][]byte{body},
	}
	if o.replyTo != "" {
		if err := topic.ValidateName(o.replyTo); err != nil {
			return nil, fmt.Errorf("--reply-to %q: %w", o.replyTo, err)
		}
	}
	if o.correlationID != "" {
		m.Properties.CorrelationID = []byte(o.correlationID)
	}
	for _, p := range o.properties {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return nil, fmt.Errorf("--property %q: there is no =; write name=value", p)
		}
		if m.ApplicationProperties == nil {
			m.ApplicationProperties = map[string]any{}
		}
		m.ApplicationProperties[k] = v
	}
	return m, nil
}

func send(ctx context.Context, bus amqp.Bus, m *message.Message, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	outcome := make(chan message.Outcome, 1)
	bus.Publish(0, m, false, func(o message.Outcome) { outcome <- o })
	select {
	case o := <-outcome:
		return outcomeError(o)
	case <-ctx.Done():
		return errors.New("the bus did not answer in time: whether it has the message is not known")
	}
}

var errReleased = errors.New("released: nobody subscribes to this topic; the bus kept nothing")

func outcomeError(o message.Outcome) error {
	switch o.Kind {
	case message.Accepted:
		return nil
	case message.Released:
		return errReleased
	}
	if o.Error != nil {
		return fmt.Errorf("%v: %w", o.Kind, o.Error)
	}
	return fmt.Errorf("%v: the bus did not take the message", o.Kind)
}
