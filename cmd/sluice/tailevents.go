package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/config"
	"sluice/gateway/node"
)

// tailEvents prints the events of the nodes. They stay on the bus for who reads them there, unless take removes them.
func tailEvents(ctx context.Context, bus amqp.Bus, cfg *config.Config, o tailOptions, out, info io.Writer) error {
	queue, err := queueOf("events.address", cfg.EventsAddress)
	if err != nil {
		return err
	}
	var prepare func(context.Context) error
	if queue == cfg.EventsAddress { // ours, and perhaps no node has been there yet
		prepare = func(ctx context.Context) error { return bus.EnsureInbox(ctx, node.EventsQueue(queue)) }
	}
	b := browse(bus, queue, prepare)
	defer b.close()
	if err := b.begin(ctx, browseMax); err != nil {
		return fmt.Errorf("queue %s: %w", queue, err)
	}
	fmt.Fprintf(info, "events of queue %s (press Ctrl-C to end)\n", queue)
	for n := 0; o.count == 0 || n < o.count; {
		select {
		case d := <-b.deliveries:
			n++
			printEvent(out, d, o.json)
			if o.take {
				b.accept(d)
				b.receiver.IssueCredit(1)
			} else if n == browseMax {
				fmt.Fprintf(info, "%d events are held, which is the most; they go back to the queue now. --take prints and removes them\n", n)
				return nil
			}
		case err := <-b.lost:
			return fmt.Errorf("the bus is gone: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// printEvent writes an event: as it is with raw, else a line with when and what, and indented lines for the rest.
func printEvent(out io.Writer, d amqp.Delivery, raw bool) {
	body := []byte(nil)
	if d.Message != nil {
		body = bytes.Join(d.Message.Data, nil)
	}
	if raw {
		fmt.Fprintf(out, "%s\n", body)
		return
	}
	var e struct {
		Type, Time, Source string
		Data               map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &e); err != nil {
		fmt.Fprintf(out, "(no event: %s)\n", whatIs(d.Message))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n", e.Time, e.Type, strings.TrimPrefix(e.Source, "/sluice/nodes/"))
	for _, k := range slices.Sorted(maps.Keys(e.Data)) {
		line(&b, k, plainJSON(e.Data[k]))
	}
	_, _ = io.WriteString(out, b.String())
}

// plainJSON is a value as a person reads it: texts without quotes, unless they would break the line.
func plainJSON(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return s
	}
	return string(v)
}

func whatIs(m *message.Message) string {
	if m == nil {
		return "a message that cannot be read"
	}
	return "content type " + m.Properties.ContentType
}
