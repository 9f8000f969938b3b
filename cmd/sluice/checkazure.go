package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/amqp"
	"sluice/gateway/config"
)

// checkEntities attaches to what the node is to receive from, and takes nothing. It tells what devices do not get on such a bus.
func checkEntities(ctx context.Context, bus amqp.Bus, cfg *config.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	var faults []error
	for _, entity := range cfg.Azure.Receive {
		if err := tryReceive(ctx, bus, entity); err != nil {
			faults = append(faults, fmt.Errorf("bus.azure.receive: %w", err))
		}
	}
	if len(faults) > 0 {
		return "", errors.Join(faults...)
	}
	from := "devices GET NOTHING from the bus (set bus.azure.receive)"
	if len(cfg.Azure.Receive) > 0 {
		from = "devices get what comes to " + strings.Join(cfg.Azure.Receive, ", ")
	}
	return "devices' messages go to " + cfg.Azure.Entity + "; " + from + "\n" +
		"subscriptions are granted QoS 0, nothing is kept for a device that is away, there are no shared subscriptions (docs/backends.md)", nil
}

// tryReceive attaches without credit.
func tryReceive(ctx context.Context, bus amqp.Bus, entity string) error {
	tried := make(attempt, 1)
	r := bus.Attach(amqp.Source{Inbox: entity}, tried)
	defer func() { _ = r.Close(ctx) }()
	select {
	case err := <-tried:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the bus does not answer for %s", entity)
	}
}

// attempt is one try to attach: what came of it.
type attempt chan error

// Attached implements amqp.Handler.
func (a attempt) Attached() { a <- nil }

// Delivered implements amqp.Handler; there is no credit.
func (a attempt) Delivered(amqp.Delivery) {}

// Detached implements amqp.Handler.
func (a attempt) Detached(err error) bool {
	select {
	case a <- err:
	default:
	}
	return false
}
