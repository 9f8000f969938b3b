package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
)

// tokens gives one connection the right to use entities: it puts a token for each on the node $cbs (AMQP claims-based security, as Azure has it) before
// the first link to it is attached, and renews it while the entity is in use. The links know nothing of it.
type tokens struct {
	conn    *connection
	session *goamqp.Session
	log     *zap.Logger
	changed chan struct{} // has room for one: there is another token to be renewed

	mu   sync.Mutex // also held during a request: they go one after another
	pair *tokenPair // nil until the first request, and after its loss
	next uint64
	held map[string]*heldToken // by entity; bounded by the links of the connection
}

// heldToken is a token that was put.
type heldToken struct {
	users   int // links to the entity, those to come included
	renew   time.Time
	expires time.Time
}

// tokenPair are the links to and from $cbs.
type tokenPair struct {
	sender   *goamqp.Sender
	receiver *goamqp.Receiver
}

const (
	tokenNode    = "$cbs"
	tokenReplies = "sluice-cbs"
)

// errToken: the bus, or we ourselves, did not come up with a token. It says nothing about the entity.
var errToken = errors.New("no token for the bus")

// newTokens begins to renew; the caller runs run. It is nil where SASL has said who we are.
func newTokens(c *connection, session *goamqp.Session, log *zap.Logger) *tokens {
	if c.login.Plain {
		return nil
	}
	return &tokens{conn: c, session: session, log: log, changed: make(chan struct{}, 1), held: map[string]*heldToken{}}
}

// acquire has a token put for the entity unless one holds. The caller gives it back with release.
func (t *tokens) acquire(entity string) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if h := t.held[entity]; h != nil && now.Add(tokenSkew).Before(h.expires) {
		h.users++
		return nil
	}
	expires, err := t.put(entity, now)
	if err != nil {
		return err
	}
	users := 1
	if h := t.held[entity]; h != nil {
		users += h.users
	}
	t.hold(entity, users, now, expires)
	return nil
}

// hold notes a token. t.mu is held.
func (t *tokens) hold(entity string, users int, now, expires time.Time) {
	t.held[entity] = &heldToken{users: users, renew: now.Add(expires.Sub(now) * 3 / 4), expires: expires}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *tokens) release(entity string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.held[entity]; h != nil {
		if h.users--; h.users == 0 {
			delete(t.held, entity)
		}
	}
}

// run renews tokens until ctx ends or the connection does.
func (t *tokens) run(ctx context.Context) {
	if t == nil {
		return
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var wait backoff
	for {
		timer.Reset(t.pause(time.Now()))
		select {
		case <-timer.C:
			if t.renewDue(time.Now()) {
				wait.reset()
				continue
			}
			if !wait.wait(ctx, t.conn.done()) {
				return
			}
		case <-t.changed:
		case <-ctx.Done():
			return
		case <-t.conn.done():
			return
		}
	}
}

// pause is how long nothing has to be renewed.
func (t *tokens) pause(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	pause := time.Hour
	for _, h := range t.held {
		pause = min(pause, h.renew.Sub(now))
	}
	return max(pause, 0)
}

// renewDue renews what is due. It is false when something could not be; the old token holds a while longer, so that it is tried again.
func (t *tokens) renewDue(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	renewed := true
	for entity, h := range t.held {
		if now.Before(h.renew) {
			continue
		}
		expires, err := t.put(entity, now)
		if err != nil {
			renewed = false
			t.log.Warn("the bus's token could not be renewed, trying on", zap.String("entity", entity), zap.Time("expires", h.expires), zap.Error(err))
			continue
		}
		t.hold(entity, h.users, now, expires)
	}
	return renewed
}

// put makes a token and gives it to the bus. A pair of links that was lost meanwhile, as Azure ends idle ones, is made anew once. t.mu is held.
func (t *tokens) put(entity string, now time.Time) (expires time.Time, err error) {
	token, err := t.conn.login.token(entity, now)
	if err != nil {
		return expires, fmt.Errorf("%w: %w: %w", errToken, amqp.ErrRefused, err)
	}
	if !now.Before(token.expires) {
		return expires, fmt.Errorf("%w: %w: it has expired on %v", errToken, amqp.ErrRefused, token.expires)
	}
	for attempt := 0; ; attempt++ {
		fresh := t.pair == nil
		var answer *message.Message
		err := t.conn.within("token", func() (err error) {
			answer, err = t.ask(entity, token)
			return err
		})
		if err == nil {
			return token.expires, t.verdict(entity, answer)
		}
		t.pair = nil
		if fresh || scopeOf(err) != newLink || attempt > 0 {
			return expires, fmt.Errorf("%w for %q: %w", errToken, entity, err)
		}
	}
}

// ask sends one request and waits for its answer.
func (t *tokens) ask(entity string, token token) (*message.Message, error) {
	ctx := context.Background() // without deadline: see the package's invariants
	if t.pair == nil {
		if err := t.attach(ctx); err != nil {
			return nil, err
		}
	}
	t.next++
	back := tokenReplies
	err := t.pair.sender.Send(ctx, &goamqp.Message{
		Properties: &goamqp.MessageProperties{MessageID: t.next, ReplyTo: &back},
		ApplicationProperties: map[string]any{
			"operation": "put-token", "type": token.kind, "name": t.conn.login.audience(entity), "expiration": token.expires.UTC(),
		},
		Value: token.text,
	}, nil)
	if err != nil {
		return nil, err
	}
	for {
		m, err := t.pair.receiver.Receive(ctx, nil)
		if err != nil {
			return nil, err
		}
		in, err := decodeMessage(unwrap(m.Data))
		if err == nil && in.message.Properties.CorrelationID == t.next {
			return in.message, t.pair.receiver.AcceptMessage(ctx, m)
		}
		if err := t.pair.receiver.AcceptMessage(ctx, m); err != nil {
			return nil, err
		}
	}
}

func (t *tokens) attach(ctx context.Context) error {
	receiver, err := t.session.NewReceiver(ctx, tokenNode, &goamqp.ReceiverOptions{TargetAddress: tokenReplies, Credit: 1})
	if err != nil {
		return err
	}
	sender, err := t.session.NewSender(ctx, tokenNode, nil)
	t.pair = &tokenPair{sender, receiver}
	return err
}

// verdict reads the answer: a status as in HTTP.
func (t *tokens) verdict(entity string, answer *message.Message) error {
	status, _ := answer.ApplicationProperties["status-code"].(int32)
	text, _ := answer.ApplicationProperties["status-description"].(string)
	switch {
	case status/100 == 2:
		return nil
	case status == 404:
		return fmt.Errorf("%w: the bus has no entity %q: %s", amqp.ErrNotFound, entity, text)
	case status/100 == 4:
		return fmt.Errorf("%w: %w: for %q it answers %d: %s", errToken, amqp.ErrRefused, entity, status, text)
	}
	return fmt.Errorf("%w: %w: for %q it answers %d: %s", errToken, amqp.ErrUnavailable, entity, status, text)
}
