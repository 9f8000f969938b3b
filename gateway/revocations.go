package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/mapping/failure"
	"sluice/sessionstore"
)

// revocations is what this node knows of the store's list. All nodes ask for its version every second: that is one mechanism, which needs no notice that could be
// lost, and a list that was read stays in force while the store is away.
type revocations struct {
	gw      *Gateway
	kicks   chan struct{} // the list was changed by way of this node
	current atomic.Pointer[revokedSet]
	failing bool // the last look failed, which was told
}

// revokedSet is a list, to look things up in.
type revokedSet struct {
	version     uint64
	principals  map[nameIn][]sessionstore.Revocation
	clients     map[nameIn][]sessionstore.Revocation
	credentials map[string][]sessionstore.Revocation
}

// nameIn is a name in a tenant.
type nameIn struct{ tenant, name string }

func newRevocations(gw *Gateway) *revocations {
	r := &revocations{gw: gw, kicks: make(chan struct{}, 1)}
	r.current.Store(&revokedSet{})
	return r
}

func newRevokedSet(list []sessionstore.Revocation, version uint64) *revokedSet {
	s := &revokedSet{
		version: version, principals: map[nameIn][]sessionstore.Revocation{}, clients: map[nameIn][]sessionstore.Revocation{},
		credentials: map[string][]sessionstore.Revocation{},
	}
	for _, r := range list {
		switch {
		case r.Credential != "":
			s.credentials[r.Credential] = append(s.credentials[r.Credential], r)
		case r.Principal != "":
			at := nameIn{r.Tenant, r.Principal}
			s.principals[at] = append(s.principals[at], r)
		default:
			at := nameIn{r.Tenant, r.ClientID}
			s.clients[at] = append(s.clients[at], r)
		}
	}
	return s
}

// find gives a revocation of a principal, of what it has shown, or of the client identifier it uses. A credential that was made after the revocation is not
// meant by it; one that does not say when it was made is.
func (s *revokedSet) find(who *access.Principal, clientID string, now time.Time) *sessionstore.Revocation {
	meant := func(list []sessionstore.Revocation) *sessionstore.Revocation {
		for i := range list {
			if r := &list[i]; !r.Over(now) && !who.Issued.After(r.At) {
				return r
			}
		}
		return nil
	}
	if who.Credential != "" {
		if r := meant(s.credentials[who.Credential]); r != nil {
			return r
		}
	}
	if r := meant(s.principals[nameIn{who.Tenant, who.Name}]); r != nil {
		return r
	}
	return meant(s.clients[nameIn{who.Tenant, clientID}])
}

// revokedNow ends a connection.
var revokedNow = bridge.CloseFor(failure.Revoked)

// look reads the list if it has changed, and ends the connections that it means.
func (r *revocations) look(ctx context.Context) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	err := r.load(ctx)
	if err != nil && !r.failing {
		r.gw.log.Warn("the revocations cannot be read; what was known of them before stays in force", zap.Error(err))
	}
	r.failing = err != nil
	return false
}

func (r *revocations) load(ctx context.Context) error {
	known := r.current.Load().version
	list, version, err := r.gw.opt.Store.Revocations(ctx, known)
	if err != nil || version == known {
		return err
	}
	set := newRevokedSet(list, version)
	r.current.Store(set)
	for _, d := range r.gw.directory.connections() {
		// One that does not own its session yet looks at the list once it does.
		if f, owns := d.owns(); owns {
			d.endIfRevoked(set, f.Key.ClientID)
		}
	}
	return nil
}

func (d *device) endIfRevoked(set *revokedSet, clientID string) {
	if rev := set.find(d.principal.Load(), clientID, time.Now()); rev != nil {
		d.log().Info("a connection is closed: it was revoked", zap.String("client", clientID), zap.String("revocation", rev.ID), zap.String("reason", rev.Reason))
		d.post(revokedNow)
	}
}

// kick has the list looked at at once.
func (r *revocations) kick() {
	select {
	case r.kicks <- struct{}{}:
	default:
	}
}
