package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// tailOptions are the flags of sluice tail.
type tailOptions struct {
	count              int
	events, take, json bool
}

func tailCommand() *cobra.Command {
	var s settings
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail [FILTER]",
		Short: "Print what arrives on the bus",
		Long: "Attaches to the bus as a backend would and prints each message whose topic matches FILTER (an MQTT topic filter, default #):\n" +
			"address, topic, QoS, properties, payload. It takes a copy: nobody else misses a message.\n\n" +
			"With --events it prints the events of the nodes (docs/events.md) instead: refused messages, takeovers and the like. They stay in their queue,\n" +
			"though nobody else gets those that are shown until the command ends; --take removes them.",
		Example: "  sluice tail 'sensors/#'\n  sluice tail --events\n  sluice tail 'sensors/+/temperature' --set bus.url=amqp://user:pass@rabbitmq:5672",
		Args:    arguments("[FILTER]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			if o.events && len(args) == 1 {
				return fmt.Errorf("FILTER %q: --events has none; look for what you want in what is printed", args[0])
			}
			if !o.events && (o.take || o.json) {
				return errors.New("--take and --json go with --events")
			}
			filter := "#"
			if len(args) == 1 {
				filter = args[0]
			}
			if err := topic.ValidateFilter(filter); err != nil {
				return fmt.Errorf("FILTER %q: %w", filter, err)
			}
			bus, err := openBus(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer closeBus(bus)
			if o.events {
				return tailEvents(cmd.Context(), bus, cfg, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return tail(cmd.Context(), bus, cfg.Dialect, filter, o.count, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.register(cmd)
	cmd.Flags().IntVarP(&o.count, "count", "n", 0, "stop after this many messages; 0 goes on until interrupted")
	cmd.Flags().BoolVar(&o.events, "events", false, "print the events of the nodes instead of messages")
	cmd.Flags().BoolVar(&o.take, "take", false, "with --events: remove what is printed")
	cmd.Flags().BoolVar(&o.json, "json", false, "with --events: print each event as it is, one JSON document a line")
	return cmd
}

func tail(ctx context.Context, bus amqp.Bus, dialect mapping.Dialect, filter string, count int, out, info io.Writer) error {
	inbox := amqp.Inbox{Name: "sluice.tail." + strings.ToLower(rand.Text()), Expires: tailExpires, MaxLength: tailLength, DropOldest: true}
	if err := bus.EnsureInbox(ctx, inbox); err != nil {
		return err
	}
	defer func() {
		leave, cancel := context.WithTimeout(context.Background(), leaveWait)
		defer cancel()
		_ = bus.DeleteInbox(leave, inbox.Name)
	}()
	if err := bus.Subscribe(ctx, inbox.Name, amqp.Topics(dialect.Pattern(filter))); err != nil {
		return err
	}
	h := &tailHandler{messages: make(chan *message.Message, tailBacklog), attached: make(chan struct{}, 1), lost: make(chan error, 1)}
	r := bus.Attach(amqp.Source{Inbox: inbox.Name, Settled: true, Credit: tailBacklog}, h)
	defer func() {
		leave, cancel := context.WithTimeout(context.Background(), leaveWait)
		defer cancel()
		_ = r.Close(leave)
	}()
	for n := 0; count == 0 || n < count; {
		select {
		case m := <-h.messages:
			n++
			printMessage(out, dialect, m)
		case <-h.attached:
			fmt.Fprintf(info, "listening to %s on the bus (press Ctrl-C to end)\n", filter)
		case err := <-h.lost:
			return fmt.Errorf("the bus is gone: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// tailHandler passes messages on. It does not come back after a loss: a tail that silently missed something would mislead.
type tailHandler struct {
	messages chan *message.Message
	attached chan struct{}
	lost     chan error
}

func (h *tailHandler) Attached() { h.attached <- struct{}{} }

func (h *tailHandler) Delivered(d amqp.Delivery) {
	if d.Malformed != nil {
		return
	}
	select {
	case h.messages <- d.Message:
	default:
	}
}

func (h *tailHandler) Detached(err error) bool {
	select {
	case h.lost <- err:
	default:
	}
	return false
}

// printMessage writes one message: a line with where and what, indented lines for the rest. What is not the application's begins with @, whichever
// place the bus has for it (mapping.marks).
func printMessage(out io.Writer, dialect mapping.Dialect, m *message.Message) {
	d, losses, err := mapping.Downlink(m, mapping.DownlinkOptions{Dialect: dialect, Now: time.Now(), MessageID: true})
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "%s  (not deliverable over MQTT: %v)\n", address(dialect, m), err)
	} else {
		fmt.Fprintf(&b, "%s  qos=%d  %d bytes\n", d.Publish.Topic, d.Publish.QoS, len(d.Publish.Payload))
		line(&b, "address", address(dialect, m))
	}
	line(&b, "message-id", text(m.Properties.MessageID))
	line(&b, "content-type", m.Properties.ContentType)
	line(&b, "reply-to", m.Properties.ReplyTo)
	line(&b, "correlation-id", text(m.Properties.CorrelationID))
	if m.Header.TTL > 0 {
		line(&b, "ttl", m.Header.TTL.String())
	}
	added := maps.Clone(m.ApplicationProperties)
	maps.DeleteFunc(added, func(name string, _ any) bool { return !mapping.IsMark(name) })
	if added == nil {
		added = map[string]any{}
	}
	maps.Copy(added, m.Annotations)
	for _, k := range slices.Sorted(maps.Keys(added)) {
		line(&b, "@"+k, text(added[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(m.ApplicationProperties)) {
		if !mapping.IsMark(k) {
			line(&b, k, text(m.ApplicationProperties[k]))
		}
	}
	for _, l := range losses {
		line(&b, "(not carried to MQTT)", l.String())
	}
	if err == nil {
		line(&b, "payload", payload(d.Publish))
	}
	_, _ = io.WriteString(out, b.String())
}

func line(b *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(b, "    %s: %s\n", name, value)
	}
}

func address(dialect mapping.Dialect, m *message.Message) string {
	if m.Properties.To != "" {
		return m.Properties.To
	}
	exchange, _ := m.Annotations["x-exchange"].(string)
	key, _ := m.Annotations["x-routing-key"].(string)
	return dialect.To(exchange, key)
}

func payload(p packet.Publish) string {
	b, more := p.Payload, ""
	if len(b) > payloadShown {
		b, more = b[:payloadShown], fmt.Sprintf(" ... (%d bytes)", len(p.Payload))
	}
	return text(b) + more
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		if utf8.Valid(v) && !strings.ContainsFunc(string(v), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
			return string(v)
		}
		return fmt.Sprintf("0x%x", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}
