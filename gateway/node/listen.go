package node

import (
	"crypto/tls"
	"net"

	"sluice/gateway"
	"sluice/gateway/config"
	"sluice/mqtt/transport"
)

// listen opens the ports.
func (n *Node) listen() (listeners []gateway.Listener, admin net.Listener, err error) {
	defer func() {
		if err != nil {
			closeAll(listeners, admin)
		}
	}()
	for _, c := range n.cfg.Listeners() {
		l, err := n.open(c)
		if err != nil {
			return listeners, admin, err
		}
		listeners = append(listeners, l)
	}
	if n.cfg.AdminListen != "" {
		admin, err = transport.Listen(n.cfg.AdminListen, "admin.listen")
		if err != nil {
			return listeners, admin, err
		}
		n.Admin = admin.Addr().String()
	}
	return listeners, admin, nil
}

// open opens one port for devices and notes its address.
func (n *Node) open(c config.Listener) (l gateway.Listener, err error) {
	offered := offer(n.cfg, c.Profile)
	l = gateway.Listener{Name: c.Key, Session: &offered}
	if c.TLS {
		if l.TLS, err = TLSConfig(n.cfg, c); err != nil {
			return l, err
		}
	}
	if c.WebSocket {
		l.WebSocket = &transport.WebSocket{Path: n.cfg.WSPath, Origins: n.cfg.WSOrigins}
	}
	if l.Listener, err = transport.Listen(c.Address, c.Key); err != nil {
		return l, err
	}
	address := l.Addr().String()
	switch {
	case c.TLS && c.WebSocket:
		n.WSS = address
	case c.TLS:
		n.TLS = address
	case c.WebSocket:
		n.WS = address
	default:
		n.TCP = address
	}
	return l, nil
}

// TLSConfig is how a listener on TLS greets its devices.
func TLSConfig(cfg *config.Config, c config.Listener) (*tls.Config, error) {
	t, err := transport.TLSConfig(cfg.TLSCert, cfg.TLSKey)
	if err == nil && c.WebSocket {
		// A browser offers the protocols of HTTP, and a WebSocket begins with HTTP/1.1.
		t.NextProtos = []string{"http/1.1"}
	}
	return t, err
}

func closeAll(listeners []gateway.Listener, admin net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
	if admin != nil {
		_ = admin.Close()
	}
}
