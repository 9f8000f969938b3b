package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"go.uber.org/zap"

	"sluice/gateway/adminport"
	"sluice/gateway/secure"
)

// adminAccess is who may use the administration port.
type adminAccess struct {
	tokens *adminport.Tokens // nil: none
	tls    *secure.Server    // nil: plain HTTP
}

// openAdmin reads the files behind the administration port.
func (n *Node) openAdmin() (err error) {
	a := n.cfg.Admin
	if a.TokenFile != "" {
		if n.adminTo.tokens, err = adminport.OpenTokens("admin.token_file", a.TokenFile, n.log); err != nil {
			return err
		}
	}
	if a.Cert != "" {
		files := secure.ServerFiles{Section: "admin.tls", Cert: a.Cert, Key: a.Key, ClientCA: a.ClientCA}
		n.adminTo.tls, err = secure.Open(files, n.log, secure.NewAdminMetrics(n.registry))
	}
	return err
}

// serveAdmin serves the administration port until Stop.
func (n *Node) serveAdmin(ctx context.Context, l net.Listener) {
	a := n.cfg.Admin
	guard := &adminport.Guard{
		Tokens: n.adminTo.tokens, Certificates: a.ClientCA != "", OpenMetrics: a.OpenMetrics, Refused: adminport.NewRefused(n.registry),
	}
	if n.adminTo.tokens != nil {
		n.serving.Go(func() { n.adminTo.tokens.Run(ctx) })
	}
	if n.adminTo.tls != nil {
		// A certificate is not required: /healthz needs none, and a token may do.
		certificates := secure.Off
		if guard.Certificates {
			certificates = secure.Optional
		}
		l = tls.NewListener(l, n.adminTo.tls.Listen(secure.Listener{Protocol: secure.ProtocolHTTP, ClientCertificates: certificates}))
		n.serving.Go(func() { n.adminTo.tls.Run(ctx) })
	}
	connections := adminport.NewConnections(adminport.ConnectionsMax, guard.Refused)
	debug, _ := zap.NewStdLogAt(n.log, zap.DebugLevel) // fails for a level that is none
	n.admin = &http.Server{
		Handler: guard.Wrap(n.gateway.AdminHandler()), MaxHeaderBytes: adminHeaderMax, ErrorLog: debug,
		ReadHeaderTimeout: adminHeaderTime, ReadTimeout: adminReadTime, WriteTimeout: adminWriteTime, IdleTimeout: adminIdleTime,
		ConnState: connections.Track,
	}
	n.serving.Go(func() {
		if err := n.admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("admin server ended", zap.Error(err))
		}
	})
}
