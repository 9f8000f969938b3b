package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/client"
	"sluice/gateway/config"
	"sluice/gateway/node"
)

// busURLs is where the bus of the configuration is; for the embedded one, where another process of this configuration runs it.
func busURLs(cfg *config.Config) []string {
	if len(cfg.BusURLs) > 0 {
		return cfg.BusURLs
	}
	return []string{node.EmbeddedURL(cfg, cfg.EmbeddedListen)}
}

// openBus connects to the bus and waits until it can be used. That a bus is not there it says at once; only for the embedded one it waits, which is a
// process that has perhaps been started together with this one.
func openBus(ctx context.Context, cfg *config.Config) (*client.Client, error) {
	if len(cfg.BusURLs) > 0 {
		ask, cancel := context.WithTimeout(ctx, reachWait)
		defer cancel()
		if err := node.AskBus(ask, cfg); err != nil {
			return nil, err
		}
	}
	bus, err := node.OpenBus(cfg, busURLs(cfg), zap.NewNop())
	if err != nil {
		return nil, err
	}
	if err := reach(ctx, bus); err != nil {
		closeBus(bus)
		return nil, unreachable(cfg, err)
	}
	return bus, nil
}

// reach waits for the bus. It does not wait for other credentials.
func reach(ctx context.Context, bus *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	for {
		err := bus.Ready(ctx)
		if err == nil || errors.Is(err, client.ErrLogin) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reachPause):
		}
	}
}

func unreachable(cfg *config.Config, err error) error {
	if len(cfg.BusURLs) > 0 {
		return fmt.Errorf("bus.url: %w", node.MendBus(err))
	}
	host, p, _ := net.SplitHostPort(cfg.EmbeddedListen)
	return fmt.Errorf("no embedded bus on %s port %s: start one with `sluice serve`, or set bus.url to the bus you use: %w", host, p, err)
}

func closeBus(bus *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	_ = bus.Close(ctx)
}
