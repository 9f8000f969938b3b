package memory

import (
	"context"
	"fmt"
	"time"

	"sluice/sessionstore"
)

// clientID names a client identifier of a tenant.
type clientID struct{ tenant, id string }

// bound is what is known of a client identifier.
type bound struct {
	principal  string
	assigned   bool
	generation uint64 // a credential that was bound to an earlier one is bound to nothing
	until      time.Time
}

// credential names what a principal has shown.
type credential struct{ tenant, principal, name string }

// holder is the client identifier that a credential is bound to.
type holder struct {
	id         string
	generation uint64
	until      time.Time
}

// owner is whose client identifiers are counted.
type owner struct{ tenant, principal string }

// keep puts an entry into clients, forget takes one out; nothing else does.
func (s *Store) keep(id clientID, b bound) {
	s.forget(id)
	s.clients[id] = b
	s.owned[owner{id.tenant, b.principal}]++
}

func (s *Store) forget(id clientID) {
	b, known := s.clients[id]
	if !known {
		return
	}
	delete(s.clients, id)
	who := owner{id.tenant, b.principal}
	if s.owned[who]--; s.owned[who] == 0 {
		delete(s.owned, who)
	}
}

// Bind: see sessionstore.Store.
func (s *Store) Bind(ctx context.Context, req sessionstore.BindRequest) (*sessionstore.Binding, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	now := s.now()
	id, cred := clientID{req.Tenant, req.ClientID}, credential{req.Tenant, req.Principal, req.Credential}
	own, known := s.boundAt(id, now)
	if known && own.principal != req.Principal {
		return binding(id, own), nil
	}
	if who := (owner{req.Tenant, req.Principal}); !known && req.Most > 0 && s.owned[who] >= req.Most {
		if s.sweep(now); s.owned[who] >= req.Most {
			return nil, fmt.Errorf("%w: it may have %d", sessionstore.ErrPrincipalFull, req.Most)
		}
	}
	if req.One {
		if other, has := s.holds(cred, now); has && other != id {
			b, _ := s.boundAt(other, now)
			switch {
			case other.id != req.Instead:
				return binding(other, b), nil
			case b.assigned:
				s.forget(other)
			}
		}
	}
	if !known {
		if !s.roomForBinding(now) {
			return nil, fmt.Errorf("%w: %d client identifiers are bound in memory, the most this store may hold", sessionstore.ErrFull, len(s.clients))
		}
		s.epoch++
		own = bound{principal: req.Principal, assigned: req.Assigned, generation: s.epoch}
	}
	own.until = now.Add(req.Keep)
	s.keep(id, own)
	if req.One {
		s.credentials[cred] = holder{req.ClientID, own.generation, now.Add(req.KeepOfCredential())}
	}
	return nil, nil
}

func binding(id clientID, b bound) *sessionstore.Binding {
	return &sessionstore.Binding{Tenant: id.tenant, ClientID: id.id, Principal: b.principal, Assigned: b.assigned}
}

func (s *Store) boundAt(id clientID, now time.Time) (b bound, ok bool) {
	b, ok = s.clients[id]
	return b, ok && now.Before(b.until)
}

// holds gives the client identifier that a credential is bound to.
func (s *Store) holds(c credential, now time.Time) (id clientID, ok bool) {
	h, ok := s.credentials[c]
	id = clientID{c.tenant, h.id}
	b, known := s.boundAt(id, now)
	return id, ok && now.Before(h.until) && known && b.principal == c.principal && b.generation == h.generation
}

// roomForBinding reports whether one more client identifier may be bound, after removing what is over if need be.
func (s *Store) roomForBinding(now time.Time) bool {
	if len(s.clients) < s.max && len(s.credentials) < s.max {
		return true
	}
	s.removeOver(now)
	for c := range s.credentials {
		if _, holds := s.holds(c, now); !holds {
			delete(s.credentials, c)
		}
	}
	return len(s.clients) < s.max && len(s.credentials) < s.max
}

// sweep removes what is over, now and then.
func (s *Store) sweep(now time.Time) {
	if now.Sub(s.swept) >= sweepPause {
		s.swept = now
		s.removeOver(now)
	}
}

func (s *Store) removeOver(now time.Time) {
	for id, b := range s.clients {
		if !now.Before(b.until) {
			s.forget(id)
		}
	}
}

// BoundTo: see sessionstore.Store.
func (s *Store) BoundTo(ctx context.Context, tenant, client string) (sessionstore.Binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return sessionstore.Binding{}, err
	}
	id := clientID{tenant, client}
	b, ok := s.boundAt(id, s.now())
	if !ok {
		return sessionstore.Binding{}, sessionstore.ErrNotFound
	}
	return *binding(id, b), nil
}

// Unbind: see sessionstore.Store.
func (s *Store) Unbind(ctx context.Context, tenant, client string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	id := clientID{tenant, client}
	if _, ok := s.boundAt(id, s.now()); !ok {
		return sessionstore.ErrNotFound
	}
	s.forget(id)
	return nil
}
