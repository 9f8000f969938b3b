package node

import (
	"crypto/tls"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/gateway/secure"
)

// OpenTLS reads the files behind the TLS listeners; nil where there is no such listener.
func OpenTLS(cfg *config.Config, log *zap.Logger, registry prometheus.Registerer) (*secure.Server, error) {
	if !slices.ContainsFunc(cfg.Listeners(), func(l config.Listener) bool { return l.TLS }) {
		return nil, nil
	}
	t := cfg.TLS
	files := secure.ServerFiles{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, ClientCRL: t.ClientCRL, TicketSecret: t.TicketSecret}
	return secure.Open(files, log, secure.NewMetrics(registry))
}

func secureListener(cfg *config.Config, c config.Listener) secure.Listener {
	l := secure.Listener{
		Protocol: secure.ProtocolMQTT, ClientCertificates: secure.ClientCertificates(c.ClientCertificates), Naming: secure.Naming(cfg.TLS.ClientIdentity),
	}
	if c.WebSocket {
		l.Protocol = secure.ProtocolHTTP
	}
	return l
}

// clientTLS is how the bus or the store is met; nil is the default of the client.
func clientTLS(key string, c config.ClientTLS, log *zap.Logger) (*tls.Config, error) {
	files := secure.ClientFiles{Key: key, CA: c.CA, Cert: c.Cert, PrivateKey: c.Key, ServerName: c.ServerName}
	if files.Empty() {
		return nil, nil
	}
	return secure.Client(files, log)
}
