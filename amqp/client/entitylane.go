package client

import (
	"context"
	"errors"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
)

// serveEntity keeps a link to the lane's entity up until the connection ends, its session is used up, or the lane stops.
//
// Azure ends a link that carried nothing for a while. Nothing was lost then, and another one is attached quietly. An entity that is not there, or not for
// us, makes the lane refuse its messages for a while; a token that cannot be had makes it hold them, since it says nothing about them.
func (l *lane) serveEntity(s *stage) {
	var wait backoff
	for s.conn.alive() && !l.isStopping() {
		l.setOpen() // what comes meanwhile waits for the link
		started := time.Now()
		attached, err := l.entityLink(s)
		pause := wait.duration
		switch {
		case errors.Is(err, errRotated):
			return // nothing was lost, and the queue is as it was
		case err == nil || s.ctx.Err() != nil || isClosed(s.stopping): // nil: the lane was stopped
			l.shut(busy(condClosed, "the bus client is closing"), errClosed)
			return
		case attached && l.isOpen() && s.conn.alive():
			l.log.Debug("idle sender link ended, opening another", zap.Error(err))
		default:
			no := busy(condLinkLost, "link lost: %s", describe(err))
			if refusal, ok := refusalOf(err); ok && !attached {
				no, pause = refusal, func() time.Duration { return refusedPause }
			}
			l.shutFor(no, err)
			if s.conn.alive() {
				l.log.Warn("no sender link to the entity, trying on", zap.Error(err))
			}
		}
		if attached && time.Since(started) > backoffMax {
			wait.reset()
		}
		if !sleep(s.ctx, s.conn.done(), pause()) {
			break
		}
	}
	l.shut(busy(condLinkLost, "no connection to the bus"), s.conn.reason())
}

// refusalOf is what the messages to an entity are answered that cannot be attached to, for as long as nobody does something about it.
func refusalOf(err error) (message.Outcome, bool) {
	kind := kindOf(err)
	if errors.Is(err, errToken) || !errors.Is(kind, amqp.ErrNotFound) && !errors.Is(kind, amqp.ErrRefused) {
		return message.Outcome{}, false
	}
	o := message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: string(goamqp.ErrCondNotFound), Description: describe(err)}}
	var e *goamqp.Error
	if errors.As(err, &e) {
		o.Error.Condition = string(e.Condition)
	}
	return o, true
}

// entityLink attaches a sender and sends until the link is lost, the session is used up, or the lane stops.
func (l *lane) entityLink(s *stage) (attached bool, err error) {
	if err := s.tokens.acquire(l.entity); err != nil {
		return false, err
	}
	defer s.tokens.release(l.entity)
	mode := goamqp.SenderSettleModeUnsettled
	var sender *goamqp.Sender
	err = s.conn.within("attach", func() error {
		sender, err = s.session.NewSender(context.Background(), l.entity, &goamqp.SenderOptions{SettlementMode: &mode})
		return err
	})
	if err != nil {
		return false, err
	}
	l.maxMessageSize.Store(sender.MaxMessageSize())
	err = l.pump(s.ctx, sender, s.conn.net.closed(sender), s.stopping, s.budget)
	if err == nil || errors.Is(err, errRotated) {
		// All outcomes are there: none can come behind the detach, which would cost the session.
		_ = s.conn.within("detach", func() error { return sender.Close(context.Background()) })
	}
	return true, err
}

// shutFor is shut for a lane that gives this answer from now on.
func (l *lane) shutFor(o message.Outcome, cause error) {
	l.mu.Lock()
	l.no = o
	l.mu.Unlock()
	l.shut(o, cause)
}

func (l *lane) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

func (l *lane) isStopping() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// idle: nothing is queued or under way.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.len() == 0 && l.inflight.Load() == 0
}
