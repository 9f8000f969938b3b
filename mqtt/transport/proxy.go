package transport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Proxies are the addresses of load balancers that begin each connection with a header of the PROXY protocol, version 1 or 2, which says where the
// device is. None: nobody does.
//
// From these addresses the header is required; from all others it is not looked at, since anybody can write one. There it is what it is: bytes
// that are neither TLS nor MQTT.
type Proxies []netip.Prefix

// trusts reports whether a connection comes from one of them.
func (p Proxies) trusts(conn net.Conn) bool {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	from := remote.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p, func(x netip.Prefix) bool { return x.Contains(from) })
}

// Unwrap reads the header within timeout, if there has to be one, and gives a connection whose RemoteAddr is the device's. A header that is none gives
// ErrProxyHeader, other errors are the connection's. The caller closes conn after an error.
func (p Proxies) Unwrap(conn net.Conn, timeout time.Duration) (net.Conn, error) {
	if len(p) == 0 || !p.trusts(conn) {
		return conn, nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(timeout))
	source, err := readProxyHeader(conn)
	if err != nil {
		return nil, fmt.Errorf("PROXY header: %w", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	if !source.IsValid() {
		return conn, nil
	}
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	return &proxiedConn{conn, net.TCPAddrFromAddrPort(source)}, nil
}

// proxiedConn is a connection that came through a load balancer.
type proxiedConn struct {
	net.Conn
	device net.Addr
}

// RemoteAddr is the device's address.
func (c *proxiedConn) RemoteAddr() net.Addr { return c.device }

// CloseWrite closes the sending half, as that of the connection below.
func (c *proxiedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
