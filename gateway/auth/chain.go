package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/access"
)

// Method is an authenticator under the name that the configuration has for it.
type Method struct {
	Name string
	access.Authenticator
}

// Holder is an authenticator that can take back what it said. Gateway.Recheck asks it about the principals it has let in.
type Holder interface {
	// Holds says why a principal of this authenticator, as it gave it, is not one any more; nil: it is. It does not block.
	Holds(p *access.Principal) error
}

// Chain asks its methods in their order: the first that has something to judge decides. The zero Chain lets nobody in.
type Chain struct {
	Methods []Method
	// Brake slows those who fail; nil: nobody is slowed. Chains may share it.
	Brake *Brake
}

// The reasons of a Chain's own refusals (access.Refused.Reason).
const (
	// ReasonNoCredential: nothing was shown that any method judges.
	ReasonNoCredential = "no-credential"
	// ReasonNotUsable: a method gave a principal that cannot be one.
	ReasonNotUsable = "principal-not-usable"
	// ReasonSlowed: too many attempts have failed, so this one is not judged. See Brake.
	ReasonSlowed = "too-many-failed"
)

// Nobody is how metrics call the method that judged, where none did.
const Nobody = "none"

// Authenticate judges an attempt. by names the method that decided, or is Nobody. The error is a *access.Refused, or the reason why a method cannot judge at present. An answer to
// somebody who has failed before is late, by up to delayMax, unless ctx ends.
func (c *Chain) Authenticate(ctx context.Context, a *access.Attempt) (p *access.Principal, by string, err error) {
	p, by, err = c.judge(ctx, a)
	if refused := (*access.Refused)(nil); errors.As(err, &refused) {
		switch {
		case refused.Reason == ReasonSlowed || by == Nobody:
		case refused.Unguessable:
			pause(ctx, c.Brake.Noted())
		default:
			pause(ctx, c.Brake.Failed(time.Now(), a))
		}
		return nil, by, err
	}
	if err == nil && by != MethodAnonymous {
		c.Brake.Succeeded(time.Now(), a)
	}
	return p, by, err
}

func (c *Chain) judge(ctx context.Context, a *access.Attempt) (*access.Principal, string, error) {
	for _, m := range c.Methods {
		p, err := m.Authenticate(ctx, a)
		switch {
		case errors.Is(err, access.ErrNotMine):
			continue
		case err != nil:
			return nil, m.Name, err
		}
		if err := usable(p, m.Name); err != nil {
			return nil, m.Name, err
		}
		return p, m.Name, nil
	}
	return nil, Nobody, &access.Refused{Reason: ReasonNoCredential, Detail: "the device shows nothing that the methods of this listener judge"}
}

// usable guards what all else relies on. The name of those who show nothing is not for those who show something: rules and events could not tell them apart.
func usable(p *access.Principal, by string) error {
	switch {
	case p == nil:
		return fmt.Errorf("a bug: %s has let in nobody", by)
	case p.Name == access.AnonymousName && by != MethodAnonymous:
		return &access.Refused{Reason: ReasonNotUsable, Detail: "the name " + access.AnonymousName + " is for those who show nothing; give the principal another one"}
	}
	return p.Check(ReasonNotUsable)
}

// pause waits, as long as anybody waits for the answer.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Holds says why a principal that this chain has let in is not one any more; nil: it is.
func (c *Chain) Holds(p *access.Principal) error {
	for _, m := range c.Methods {
		if h, ok := m.Authenticator.(Holder); ok && m.Name == p.Source {
			return h.Holds(p)
		}
	}
	return nil
}
