package node

import (
	"net"

	"sluice/gateway"
	"sluice/gateway/config"
	"sluice/gateway/secure"
	"sluice/mqtt/transport"
)

// listen opens the ports.
func (n *Node) listen() (listeners []gateway.Listener, admin net.Listener, err error) {
	defer func() {
		if err != nil {
			closeAll(listeners, admin)
		}
	}()
	if n.tls, err = OpenTLS(n.cfg, n.log, n.registry); err != nil {
		return nil, nil, err
	}
	if err = n.openAuth(); err != nil {
		return nil, nil, err
	}
	if err = n.openAccess(); err != nil {
		return nil, nil, err
	}
	for _, c := range n.cfg.Listeners() {
		l, err := n.open(c)
		if err != nil {
			return listeners, admin, err
		}
		listeners = append(listeners, l)
	}
	if n.cfg.Admin.Listen != "" {
		if err := n.openAdmin(); err != nil {
			return listeners, nil, err
		}
		admin, err = transport.Listen(n.cfg.Admin.Listen, "admin.listen")
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
	offered.AuthMethods = enhanced(c)
	l = gateway.Listener{Name: c.Key, Session: &offered, Proxies: c.Proxies, Auth: n.chain(c), Naming: secure.Naming(n.cfg.TLS.ClientIdentity)}
	if c.TLS {
		l.TLS, l.Holds = n.tls.Listen(secureListener(n.cfg, c)), n.tls.Holds
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

func closeAll(listeners []gateway.Listener, admin net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
	if admin != nil {
		_ = admin.Close()
	}
}
