package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"

	"go.uber.org/zap"

	"sluice/gateway/bridge"
	"sluice/gateway/secure"
	"sluice/mapping/failure"
	"sluice/mqtt/transport"
)

// arrival is a connection that is ready for MQTT. Its RemoteAddr is the device's, also behind a load balancer that says so.
type arrival struct {
	net.Conn
	// identity is whom the device's certificate names, verified; empty without one.
	identity secure.Identity
	// holds says why the connection may not stay although it was let in; nil: it may.
	holds func() error
}

// serve sees a connection through. Its handshakes and CONNECT take a deep stack, which a goroutine keeps; so the rest is on a new one, since most connections
// are idle most of the time, or on none.
func (gw *Gateway) serve(conn net.Conn, l *Listener) {
	if !gw.begin() {
		_ = conn.Close()
		return
	}
	d := gw.admit(conn, l)
	if d == nil {
		gw.work.Done()
		return
	}
	gw.metrics.connections.Inc()
	if more := d.begin(); !more || !d.park() {
		go d.serve(more)
	}
}

// admit gives the device of a connection, or nil when the connection is not to be and is closed.
func (gw *Gateway) admit(conn net.Conn, l *Listener) *device {
	if why := gw.admission.ask(conn, gw.directory); why != nil {
		gw.turnAway(conn, l, why)
		return nil
	}
	if gw.isStopping() {
		_ = conn.Close() // it came in while the handshakes were being ended
	}
	a, err := gw.shakeHands(conn, l)
	if err != nil {
		gw.directory.unreserve(conn)
		gw.handshakeFailed(conn, l, err)
		_ = conn.Close()
		return nil
	}
	d := newDevice(gw, a, l)
	gw.directory.admit(conn, d)
	d.recheck() // what was changed during the handshake has not seen this connection
	if gw.isStopping() {
		d.post(gw.goingDown()) // it came in while the devices were being told
	}
	return d
}

// shakeHands makes a connection ready for MQTT: PROXY header, TLS, WebSocket, each within the handshake's time limit.
func (gw *Gateway) shakeHands(conn net.Conn, l *Listener) (a arrival, err error) {
	timeout := gw.opt.HandshakeTimeout
	if a.Conn, err = l.Proxies.Unwrap(conn, timeout); err != nil {
		if !errors.Is(err, io.EOF) { // a load balancer looks whether the port is open
			gw.metrics.proxyFailures.WithLabelValues(l.Name).Inc()
		}
		return a, err
	}
	remote := a.RemoteAddr()
	if a.Conn, err = transport.Handshake(a.Conn, l.TLS, timeout); err != nil {
		gw.metrics.handshakeFailures.WithLabelValues(l.Name, secure.Failure(err)).Inc()
		return a, &unmet{remote, err}
	}
	if t, ok := a.Conn.(*tls.Conn); ok {
		state := t.ConnectionState()
		a.identity, _ = secure.IdentityOf(state, l.Naming)
		gw.metrics.secured(l.Name, state)
		if l.Holds != nil && a.identity.Name != "" {
			a.holds = func() error { return l.Holds(t.ConnectionState()) }
		}
	}
	if l.WebSocket == nil {
		return a, nil
	}
	if a.Conn, err = l.WebSocket.Upgrade(a.Conn, timeout); err != nil {
		gw.metrics.upgradeFailures.Inc()
		return a, &unmet{remote, err}
	}
	return a, nil
}

// unmet is a handshake that failed, with whom.
type unmet struct {
	remote net.Addr // the device's
	error
}

func (u *unmet) Unwrap() error { return u.error }

// handshakeFailed tells of a connection that did not come about. Anybody can cause that at any rate, so it is for debugging; a certificate of a CA of ours that
// does not do any more concerns a device that somebody will ask about.
func (gw *Gateway) handshakeFailed(conn net.Conn, l *Listener, err error) {
	remote := conn.RemoteAddr()
	if u := (*unmet)(nil); errors.As(err, &u) {
		remote = u.remote
	}
	level, refused := zap.DebugLevel, (*secure.Refused)(nil)
	if errors.As(err, &refused) {
		level = zap.InfoLevel
	}
	gw.log.Log(level, "a connection did not come about", zap.String("remote", remote.String()), zap.String("listener", l.Name), zap.Error(err))
}

// Recheck closes the connections whose certificates or credentials do not do any more. It is for when Listener.Holds, or an authenticator that is an
// auth.Holder, has begun to say something else.
func (gw *Gateway) Recheck() {
	for _, d := range gw.directory.connections() {
		d.recheck()
	}
}

func (d *device) recheck() {
	if d.holds != nil {
		if err := d.holds(); err != nil {
			d.log().Info("a connection is closed: its certificate does not do any more", zap.Error(err))
			d.post(bridge.CloseFor(failure.Certificate))
			return
		}
	}
	if err := d.listener.Auth.Holds(d.principal.Load()); err != nil {
		d.log().Info("a connection is closed: its credential does not do any more", zap.Error(err))
		d.post(bridge.CloseFor(failure.CredentialGone))
	}
}
