package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/gateway/clientid"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// Clients says which client identifiers principals may use.
//
// A principal that has said who it is gets its client identifier bound to it in the store: no other principal of its tenant can use it then. An anonymous one
// is bound to nothing, since nobody could tell it from the next, but may not use what is bound to another.
type Clients struct {
	// Shared: a credential may be used with any number of client identifiers. Without it the first it is used with is the only one.
	Shared bool
	// PrincipalMax is how many client identifiers a principal may have where a credential is good for any number; zero: DefaultClientsMax.
	PrincipalMax int
	// Templates are for principals that bring none of their own; empty: any client identifier.
	Templates clientid.Templates
	// Keep is how long a client identifier stays bound after its session is over; zero: DefaultClientsKeep, at least an hour.
	Keep time.Duration
}

// refusedClient is why a device may not have its client identifier.
type refusedClient struct {
	failure *failure.Failure
	text    string // for the device, in the place of the failure's sentence; empty: that
	detail  string // for the operator
}

func (r *refusedClient) event() *session.SessionRefused {
	refused := bridge.RefuseSession(r.failure, r.detail)
	refused.Text = cmp.Or(r.text, refused.Text)
	return &refused
}

// admitClient decides whether a device that has said who it is may open the session it asks for. It may give the device another client identifier in the
// place of one that was made for it. The result is the answer when it may not.
func (d *device) admitClient(who *access.Principal, e *session.OpenSession) *session.SessionRefused {
	id, refused := d.nameClient(who, e)
	if refused != nil {
		return refused.event()
	}
	e.ClientID = id
	if r := d.gw.revocations.current.Load().find(who, id, time.Now()); r != nil {
		return (&refusedClient{failure: failure.Revoked, detail: "revocation " + r.ID}).event()
	}
	if refused := d.bindClient(who, id, e); refused != nil {
		return refused.event()
	}
	return nil
}

// nameClient decides on the client identifier of a device that has said who it is: the one it brings, or one that is made for it.
func (d *device) nameClient(who *access.Principal, e *session.OpenSession) (string, *refusedClient) {
	templates, owner := d.gw.opt.Clients.Templates, clientid.Owner{Tenant: who.Tenant, Principal: who.Name}
	if len(who.ClientIDs) > 0 {
		own, err := clientid.ParseAll(who.ClientIDs)
		if err != nil {
			return "", &refusedClient{failure: failure.ClientIDNotAllowed, detail: "the templates that come with the principal cannot be used: " + err.Error()}
		}
		templates = own
	}
	if e.Connect.ClientID != "" {
		if !templates.Allow(owner, e.ClientID) {
			return "", &refusedClient{failure: failure.ClientIDNotAllowed, text: fmt.Sprintf("This client identifier is not allowed: it must be like %s.", templates)}
		}
		return e.ClientID, nil
	}
	if len(templates) == 0 {
		return e.ClientID, nil
	}
	id, ok := templates.Assign(owner, newClientID())
	if !ok {
		return "", &refusedClient{failure: failure.ClientIDNotAllowed, text: fmt.Sprintf("The server cannot make a client identifier; bring one that is like %s.", templates)}
	}
	return id, nil
}

// bindClient binds the client identifier to the principal, for as long as its session can live and the time after it.
func (d *device) bindClient(who *access.Principal, clientID string, e *session.OpenSession) *refusedClient {
	ctx, cancel := d.within(claimWait)
	defer cancel()
	inTheWay, err := d.bindingInTheWay(ctx, who, clientID, e)
	switch {
	case errors.Is(err, sessionstore.ErrPrincipalFull):
		return &refusedClient{failure: failure.TooManyClients, detail: err.Error()}
	case errors.Is(err, sessionstore.ErrFull), errors.Is(err, sessionstore.ErrInvalid):
		return &refusedClient{failure: claimFailures(err), detail: err.Error()}
	case err != nil:
		d.log().Warn("client identifier not bound", zap.String("client", clientID), zap.Error(err))
		return &refusedClient{failure: failure.StoreUnavailable}
	case inTheWay == nil:
		return nil
	case inTheWay.ClientID == clientID:
		return &refusedClient{failure: failure.ClientIDTaken, detail: fmt.Sprintf("the client identifier is bound to the principal %q", inTheWay.Principal)}
	}
	return &refusedClient{failure: failure.CredentialBound, detail: fmt.Sprintf("the credential is bound to the client identifier %q", inTheWay.ClientID)}
}

func (d *device) bindingInTheWay(ctx context.Context, who *access.Principal, clientID string, e *session.OpenSession) (*sessionstore.Binding, error) {
	store := d.gw.opt.Store
	if anonymous(who) {
		b, err := store.BoundTo(ctx, who.Tenant, clientID)
		if errors.Is(err, sessionstore.ErrNotFound) {
			return nil, nil
		}
		return &b, err
	}
	assigned := e.Connect.ClientID == ""
	d.boundFor = d.gw.keepBound(e.Expiry, d.listener.Session.SessionExpiryMax, assigned)
	req := d.gw.bindRequest(who, clientID, d.boundFor)
	req.Assigned = assigned
	inTheWay, err := store.Bind(ctx, req)
	if err != nil || inTheWay == nil || inTheWay.ClientID == clientID || !inTheWay.Assigned {
		return inTheWay, err
	}
	// A device without a client identifier of its own gets another each time. The one before is in nobody's way once its connection is gone.
	before, err := store.Get(ctx, sessionstore.Key{Tenant: who.Tenant, Principal: who.Name, ClientID: inTheWay.ClientID}, time.Now())
	if err == nil && before.Owner != "" {
		return inTheWay, nil
	}
	if err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
		return nil, err
	}
	req.Instead = inTheWay.ClientID
	return store.Bind(ctx, req)
}

// anonymous principals are all the same one: nobody knows which device is which.
func anonymous(who *access.Principal) bool { return who.Source == access.AnonymousName }

func (gw *Gateway) bindRequest(who *access.Principal, clientID string, keep time.Duration) sessionstore.BindRequest {
	req := sessionstore.BindRequest{
		Binding:    sessionstore.Binding{Tenant: who.Tenant, ClientID: clientID, Principal: who.Name},
		Credential: who.Credential, One: !gw.opt.Clients.Shared, Keep: keep,
	}
	if gw.opt.Clients.Shared {
		req.Most = cmp.Or(gw.opt.Clients.PrincipalMax, DefaultClientsMax) // else one credential could fill the store
	}
	if !who.Expires.IsZero() {
		// Tokens are many, and each is good for a short time.
		req.CredentialKeep = max(time.Until(who.Expires), 0) + boundAfterExpiry
	}
	return req
}

// keepBound is how long a client identifier is bound without another word. A session that outlives its connection may do so for as long as the
// listener offers: a device can still change its mind, with DISCONNECT.
func (gw *Gateway) keepBound(expiry, longest uint32, assigned bool) time.Duration {
	keep := max(cmp.Or(gw.opt.Clients.Keep, DefaultClientsKeep), boundAssigned)
	if assigned {
		keep = boundAssigned // nobody else will come upon it
	}
	if expiry > 0 {
		keep += time.Duration(longest) * time.Second
	}
	return keep
}

// renewBindings goes round the connections and binds anew what they have bound, so that a binding lasts as long as its connection. A connection whose
// client identifier has become another principal's meanwhile, after an operator removed the binding, is ended.
func (u *upkeep) renewBindings(ctx context.Context) (again bool) {
	devices := u.gw.directory.connections()
	tick := time.NewTicker(max(bindingsRound/time.Duration(len(devices)+1), bindingsTick))
	defer tick.Stop()
	for _, d := range devices {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		d.renewBinding(ctx)
	}
	return false
}

func (d *device) renewBinding(ctx context.Context) {
	f, owns := d.owns()
	who := d.principal.Load()
	if !owns || anonymous(who) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	inTheWay, err := d.gw.opt.Store.Bind(ctx, d.gw.bindRequest(who, f.Key.ClientID, d.boundFor))
	if err != nil {
		d.log().Debug("a binding was not renewed", zap.String("client", f.Key.ClientID), zap.Error(err))
		return
	}
	if inTheWay != nil {
		d.log().Warn("a connection is closed: its client identifier, or its credential, is bound otherwise by now", zap.String("client", f.Key.ClientID),
			zap.String("bound_client", inTheWay.ClientID), zap.String("bound_principal", inTheWay.Principal))
		d.post(takenOver)
	}
}
