package gateway

import (
	"context"
	"errors"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
)

// exchange answers session.Authenticate: an enhanced authentication (MQTT 5, 4.12), by CONNECT or on an open connection. The methods offered need one message of the
// device, so there is nothing to continue.
func (d *device) exchange(e session.Authenticate, clientID string) {
	ctx, cancel := context.WithTimeout(d.ctx, authWait)
	defer cancel()
	a := d.attempt(clientID)
	a.Method, a.Data = e.Method, e.Data
	if c := e.Connect; c != nil {
		a.UserName, a.HasUserName = c.Username, c.HasUsername
		a.Password, a.HasPassword = c.Password, c.HasPassword
	}
	if e.Again {
		a.Before = d.principal.Load()
	}
	who, err := d.authenticate(ctx, a)
	if err == nil && e.Again {
		err = sameAs(a.Before, who)
	}
	if err != nil {
		d.post(bridge.FailAuthentication(exchangeFailure(a, err)))
		return
	}
	d.principal.Store(who)
	d.post(authenticated{})
	d.recheck() // what was taken back meanwhile has not seen this principal
}

// authenticated is session.AuthSucceeded, with a new principal.
type authenticated struct{}

// sameAs refuses a re-authentication as somebody else: session, subscriptions and what is under way are the first one's.
func sameAs(before, who *access.Principal) error {
	if who.Tenant == before.Tenant && who.Name == before.Name {
		return nil
	}
	return &access.Refused{Reason: reasonAnother, Detail: "it shows " + who.Tenant + "/" + who.Name + ", and the connection is of " + before.Tenant + "/" + before.Name}
}

// reasonAnother is the reason of a re-authentication that shows another principal.
const reasonAnother = "another-principal"

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
