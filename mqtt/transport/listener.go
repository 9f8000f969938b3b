package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Listen opens a TCP listener. An address in use is told as such, with the configuration key to change.
func Listen(address, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program; stop it, or set %s to another address (port 0 takes a free one)",
			key, address, key)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%s: no permission to listen on %s; ports below 1024 need a privilege: set %s to a higher port", key, address, key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %q: %w; the form is host:port", key, address, err)
	}
	return l, nil
}

// Handshake finishes a TLS handshake within timeout; a plain connection is returned as it is. It runs on the connection's own goroutine,
// never in the accept loop, so that a device that says nothing holds up nobody.
func Handshake(conn net.Conn, cfg *tls.Config, timeout time.Duration) (net.Conn, error) {
	if cfg == nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	t := tls.Server(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		farewell(conn)
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return t, nil
}

// farewell lets the other side have what was last said to it, an alert or a refusal: closing with unread bytes would reset the connection under it. With
// TLS 1.3 a device has often sent its CONNECT before it knows that its certificate was refused.
func farewell(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(closeLinger))
		_, _ = io.CopyN(io.Discard, conn, handshakeMax)
	}
}

// Accept calls handle, on a goroutine of its own, for each connection that comes, until l is closed; then it returns nil. A passing
// failure to accept is waited out with a growing pause.
func Accept(l net.Listener, handle func(net.Conn), failed func(error)) error {
	backoff := time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			backoff = time.Millisecond
			go handle(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			failed(err)
			backoff = min(2*backoff, acceptBackoffMax)
			time.Sleep(backoff)
		}
	}
}
