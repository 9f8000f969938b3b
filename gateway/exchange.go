package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/gateway/clientid"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
)

// exchange answers session.Authenticate: an enhanced authentication (MQTT 5, 4.12), by CONNECT or on an open connection. The methods offered need one message of the
// device, so there is nothing to continue.
func (d *device) exchange(e session.Authenticate, clientID string) {
	ctx, cancel := d.within(authWait)
	defer cancel()
	a := d.attempt(clientID)
	a.Method, a.Data = e.Method, e.Data
	if c := e.Connect; c != nil {
		a.UserName, a.HasUserName = c.Username, c.HasUsername
		a.Password, a.HasPassword = c.Password, c.HasPassword
	}
	if e.Again {
		a.Before = d.principal.Load()
		d.paceRenewal(ctx)
	}
	who, err := d.authenticate(ctx, a)
	if err == nil && e.Again {
		err = d.renews(ctx, a, who)
	}
	if err != nil {
		d.post(bridge.FailAuthentication(exchangeFailure(a, err)))
		return
	}
	d.principal.Store(who)
	// What was taken back meanwhile has not seen this principal. If that closes the connection, the device is not told of a success before.
	d.recheck()
	d.endIfRevoked(d.gw.revocations.current.Load(), clientID)
	d.post(authenticated{})
	if e.Again {
		d.post(bridge.AccessChanged{}) // other groups and claims may have other rights
	}
}

// paceRenewal waits until a device may authenticate again: what it shows is judged anew each time, with signatures and the store. It is for one exchange at a time, as all of a
// connection are.
func (d *device) paceRenewal(ctx context.Context) {
	wait := time.NewTimer(time.Until(d.renewed.Add(renewPause)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	d.renewed = time.Now()
}

// authenticated is session.AuthSucceeded, with a new principal.
type authenticated struct{}

// renews reports why a principal may not take the place of the one that the connection has; nil: it may. What CONNECT would have to pass, this has to pass.
func (d *device) renews(ctx context.Context, a *access.Attempt, who *access.Principal) error {
	if err := sameAs(a.Before, who); err != nil {
		return err
	}
	if len(who.ClientIDs) > 0 {
		templates, err := clientid.ParseAll(who.ClientIDs)
		if err != nil || !templates.Allow(clientid.Owner{Tenant: who.Tenant, Principal: who.Name}, a.ClientID) {
			return &access.Refused{Reason: reasonClientID, Detail: fmt.Sprintf("it allows client identifiers like %q", who.ClientIDs)}
		}
	}
	if anonymous(who) || who.Credential == a.Before.Credential {
		return nil
	}
	// Else another client could be the first with the new credential.
	switch inTheWay, err := d.gw.opt.Store.Bind(ctx, d.gw.bindRequest(who, a.ClientID, d.boundFor)); {
	case err != nil:
		return fmt.Errorf("the client identifier was not bound: %w", err)
	case inTheWay != nil:
		return &access.Refused{Reason: reasonClientID, Detail: fmt.Sprintf("client identifier or credential are bound otherwise (%q of %q)", inTheWay.ClientID, inTheWay.Principal)}
	}
	return nil
}

// sameAs refuses a re-authentication as somebody else: session, subscriptions and what is under way are the first one's.
func sameAs(before, who *access.Principal) error {
	if who.Tenant == before.Tenant && who.Name == before.Name {
		return nil
	}
	return &access.Refused{Reason: reasonAnother, Detail: "it shows " + who.Tenant + "/" + who.Name + ", and the connection is of " + before.Tenant + "/" + before.Name}
}

// The reasons of a re-authentication that is refused although what it shows is good.
const (
	reasonAnother  = "another-principal"
	reasonClientID = "client-id"
)

// exchangeFailure is what a device is told of an exchange that failed, and what the operator is told besides. On an open connection it is a DISCONNECT.
func exchangeFailure(a *access.Attempt, err error) (f *failure.Failure, detail string) {
	f, detail = authFailure(a, err)
	refused := (*access.Refused)(nil)
	switch {
	case a.Before == nil:
		return f, detail
	case errors.As(err, &refused):
		return failure.ReauthFailed, detail
	}
	return failure.ReauthUnavailable, detail
}
