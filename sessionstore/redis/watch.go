package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"sluice/sessionstore"
)

// Watch: see sessionstore.Store. The subscription is made anew after each loss of the connection; what was published meanwhile is lost.
// It gives up with ErrUnavailable when it cannot subscribe within the grace.
func (s *Store) Watch(ctx context.Context, node string, lost func(sessionstore.Key, uint64), missed func()) error {
	until := time.Now().Add(s.grace)
	for failures := 1; ; failures++ {
		sub, err := s.subscribe(ctx, node)
		if err == nil {
			if err := s.start(func() { s.receive(ctx, sub, lost, missed) }); err != nil {
				_ = sub.Close()
				return err
			}
			return nil
		}
		if ctx.Err() != nil || s.ctx.Err() != nil || time.Now().After(until) {
			return unavailable(err)
		}
		select {
		case <-time.After(min(backoffMax, backoffMin<<min(failures, 7))):
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
}

// subscribe returns once Redis confirmed the subscription.
func (s *Store) subscribe(ctx context.Context, node string) (*goredis.PubSub, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	sub := s.client.Subscribe(ctx, s.channel(node))
	if _, err := sub.Receive(ctx); err != nil {
		_ = sub.Close()
		return nil, err
	}
	return sub, nil
}

func (s *Store) receive(ctx context.Context, sub *goredis.PubSub, lost func(sessionstore.Key, uint64), missed func()) {
	defer func() { _ = sub.Close() }()
	// The channel pings the connection and subscribes again by itself.
	incoming := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ctx.Done():
			return
		case event, ok := <-incoming:
			if !ok || ctx.Err() != nil {
				return
			}
			switch event := event.(type) {
			case *goredis.Subscription:
				s.log.Info("takeover notices in reach again; some may have been missed", zap.String("channel", event.Channel))
				missed()
			case *goredis.Message:
				key, epoch, ok := parseNotice(event.Payload)
				if !ok {
					s.log.Warn("a takeover notice cannot be read", zap.String("channel", event.Channel))
					continue
				}
				lost(key, epoch)
			}
		}
	}
}

// parseNotice reads what claim.lua publishes: version, epoch lost, epoch that took it, key.
func parseNotice(payload string) (key sessionstore.Key, epoch uint64, ok bool) {
	parts := strings.Split(payload, " ")
	if len(parts) != 4 || parts[0] != "1" {
		return key, 0, false
	}
	epoch, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return key, 0, false
	}
	key, err = sessionstore.ParseKey(parts[3])
	return key, epoch, err == nil
}
