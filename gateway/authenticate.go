package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/bridge"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// nobody is who a device is before it has said so.
var nobody = access.Anonymous()

// identify finds out who the device of a CONNECT is. One that has named an Authentication Method has gone through that already. The other result is the answer when it may not come in.
func (d *device) identify(e *session.OpenSession) (*access.Principal, *session.SessionRefused) {
	if e.Connect.Properties.Has(packet.PropAuthMethod) {
		return d.principal.Load(), nil
	}
	ctx, cancel := d.within(authWait)
	defer cancel()
	a := d.attempt(e.ClientID)
	a.UserName, a.HasUserName = e.Connect.Username, e.Connect.HasUsername
	a.Password, a.HasPassword = e.Connect.Password, e.Connect.HasPassword
	who, err := d.authenticate(ctx, a)
	if err != nil {
		f, detail := authFailure(a, err)
		refused := bridge.RefuseSession(f, detail)
		return nil, &refused
	}
	d.principal.Store(who)
	d.recheck() // what was taken back meanwhile has not seen this connection
	return who, nil
}

// attempt is what the connection itself shows.
func (d *device) attempt(clientID string) *access.Attempt {
	a := &access.Attempt{Listener: d.listener.Name, Remote: addressOf(d.conn.RemoteAddr()), ClientID: clientID}
	if c := d.certificate; c != nil {
		a.Certificate, a.Serial = c.Name, c.Serial
	}
	return a
}

// authenticate judges an attempt, and counts what came of it.
func (d *device) authenticate(ctx context.Context, a *access.Attempt) (*access.Principal, error) {
	who, by, err := d.listener.Auth.Authenticate(ctx, a)
	result, refused := "success", (*access.Refused)(nil)
	switch {
	case errors.As(err, &refused):
		result = refused.Reason
	case err != nil:
		result = "unavailable"
	}
	d.gw.metrics.authentications.WithLabelValues(d.listener.Name, by, result).Inc()
	return who, err
}

// authFailure is what a device is told of an attempt that failed, and what the operator is told besides.
func authFailure(a *access.Attempt, err error) (f *failure.Failure, detail string) {
	refused := (*access.Refused)(nil)
	if !errors.As(err, &refused) {
		return failure.AuthUnavailable, err.Error()
	}
	detail = refused.Reason + ": " + refused.Detail
	switch {
	case refused.Reason == auth.ReasonSlowed:
		return failure.TooManyAttempts, detail
	case refused.Expired:
		return failure.AuthExpired, detail
	case refused.Reason != auth.ReasonNoCredential && a.Method == "" && (a.HasUserName || a.HasPassword):
		return failure.BadCredentials, detail
	}
	return failure.NotAuthorized, detail
}

// addressOf is the address without its port; the zero Addr where there is none.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
