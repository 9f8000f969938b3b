package secure

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/reload"
)

// ClientCertificates says what a listener makes of devices' certificates.
type ClientCertificates string

// The ways of a listener, as the configuration has them.
const (
	Off      ClientCertificates = "off"      // none is asked for
	Optional ClientCertificates = "optional" // a device may do without; one that is shown must be good
	Required ClientCertificates = "required"
)

func (c ClientCertificates) auth() tls.ClientAuthType {
	switch c {
	case Optional:
		return tls.VerifyClientCertIfGiven
	case Required:
		return tls.RequireAndVerifyClientCert
	}
	return tls.NoClientCert
}

// What the files hold, as logs and metrics call it.
const (
	nameCertificate = "certificate"
	nameTrust       = "client_ca" // with the revocation lists
	nameSecrets     = "ticket_secret"
)

// ServerFiles are the files behind the listeners of a node, PEM. Cert and Key are required.
type ServerFiles struct {
	Section      string // begins the names of the configuration keys, for errors; empty: mqtt.tls
	Cert, Key    string
	ClientCA     string   // the CAs of the devices' certificates; empty: no listener asks for any
	ClientCRL    []string // what they have revoked
	TicketSecret string   // of the cluster; empty: tickets are good on this node until it ends
}

// Listener is what is particular to one.
type Listener struct {
	Protocol           string // ALPN: ProtocolMQTT or ProtocolHTTP
	ClientCertificates ClientCertificates
	Naming             Naming // of the devices that show one; empty: they need no name
}

// Server holds what the TLS listeners of a node have in common. Open makes one.
type Server struct {
	log     *zap.Logger
	metrics *Metrics
	section string

	certificate reload.Source[*tls.Certificate]
	trust       reload.Source[*trust]
	secrets     reload.Source[[][]byte]
	period      int64 // of the newest ticket key

	inForce   atomic.Pointer[trust]
	distrust  func() // see OnDistrust; nil: nobody asks
	listeners []*listener
}

// listener gives each handshake the newest configuration.
type listener struct {
	Listener
	current atomic.Pointer[tls.Config]
}

// Open reads the files for the first time. Its errors name the configuration key, the file, and the way to mend it.
func Open(files ServerFiles, log *zap.Logger, metrics *Metrics) (*Server, error) {
	section := cmp.Or(files.Section, "mqtt.tls")
	s := &Server{log: log, metrics: metrics, section: section}
	s.certificate = reload.Source[*tls.Certificate]{Name: nameCertificate, Files: []string{files.Cert, files.Key}, Read: func(now time.Time) (*tls.Certificate, error) {
		return readCertificate(section+".cert", files.Cert, section+".key", files.Key, now)
	}}
	s.trust = reload.Source[*trust]{Name: nameTrust}
	if files.ClientCA != "" {
		s.trust.Files = append([]string{files.ClientCA}, files.ClientCRL...)
	}
	s.trust.Read = func(time.Time) (*trust, error) {
		if files.ClientCA == "" {
			return &trust{}, nil
		}
		return readTrust(section+".client_ca", files.ClientCA, section+".client_crl", files.ClientCRL)
	}
	own := make([]byte, secretMin)
	_, _ = rand.Read(own) // never fails (crypto/rand)
	s.secrets = reload.Source[[][]byte]{Name: nameSecrets}
	if files.TicketSecret != "" {
		s.secrets.Files = []string{files.TicketSecret}
	}
	s.secrets.Read = func(time.Time) ([][]byte, error) {
		if files.TicketSecret == "" {
			return [][]byte{own}, nil
		}
		return readSecrets("mqtt.tls.ticket_secret", files.TicketSecret)
	}
	now := time.Now()
	for _, open := range []func(time.Time) error{s.certificate.Open, s.trust.Open, s.secrets.Open} {
		if err := open(now); err != nil {
			return nil, err
		}
	}
	s.renew(now)
	return s, nil
}

// Listen gives the configuration of a listener. It must not be called once Run was.
func (s *Server) Listen(l Listener) *tls.Config {
	own := &listener{Listener: l}
	s.listeners = append(s.listeners, own)
	own.current.Store(s.configure(l))
	return &tls.Config{
		MinVersion:         OldestVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return own.current.Load(), nil },
	}
}

// Expires is when the node's certificate ends.
func (s *Server) Expires() time.Time { return s.certificate.Value.Leaf.NotAfter }

// OnDistrust has f called, by Run, whenever CAs or revocation lists were replaced, so that connections may be held against Holds. It must not be
// called once Run was.
func (s *Server) OnDistrust(f func()) { s.distrust = f }

// Holds says why a connection that exists should not any more: its certificate was revoked, or its CA is not trusted now. That a certificate or a
// revocation list has gone out of date is a reason to let nobody new in, not to end what works. It may be called from any goroutine.
func (s *Server) Holds(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	err := s.inForce.Load().check(state.VerifiedChains, time.Now())
	if r := (*Refused)(nil); errors.As(err, &r) && (r.Reason == RefusedRevoked || r.Reason == RefusedUnknownCA) {
		return err
	}
	return nil
}

// Run looks after files and ticket keys until ctx ends.
func (s *Server) Run(ctx context.Context) {
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.look(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) look(now time.Time) {
	changed := period(now) != s.period
	changed = follow(s, &s.certificate, now) || changed
	trusts := follow(s, &s.trust, now)
	changed = follow(s, &s.secrets, now) || changed || trusts
	if changed {
		s.renew(now)
	}
	if trusts && s.distrust != nil {
		s.distrust()
	}
}

// follow takes what is new of a source and tells about it.
func follow[T any](s *Server, src *reload.Source[T], now time.Time) (changed bool) {
	news, err := src.Look(now)
	if !news {
		return false
	}
	s.metrics.reloaded(src.Name, err)
	if err != nil {
		s.log.Error("a file that has changed cannot be used; what was there before stays in use", zap.String("what", src.Name), zap.Error(err))
		return false
	}
	s.log.Info("a changed file is in use", zap.String("what", src.Name), zap.Strings("files", src.Files))
	return true
}

// renew gives the listeners configurations of what is there now. Connections that exist keep what they have.
func (s *Server) renew(now time.Time) {
	s.period = period(now)
	s.inForce.Store(s.trust.Value)
	for _, l := range s.listeners {
		l.current.Store(s.configure(l.Listener))
	}
	due := s.trust.Value.due()
	if !due.IsZero() && now.After(due) {
		s.log.Warn("a revocation list is out of date: who has a certificate of its CA is refused; put a newer one there", zap.String("key", s.section+".client_crl"), zap.Time("since", due))
	}
	s.metrics.expires(s.Expires(), due)
}

func (s *Server) configure(l Listener) *tls.Config {
	trust := s.trust.Value
	c := policy()
	c.Certificates = []tls.Certificate{*s.certificate.Value}
	c.NextProtos = []string{l.Protocol}
	c.ClientAuth = l.ClientCertificates.auth()
	c.ClientCAs = trust.pool
	if l.ClientCertificates != Off {
		c.VerifyConnection = func(state tls.ConnectionState) error { return trust.admit(state, l.Naming, time.Now()) }
	}
	c.SetSessionTicketKeys(ticketKeys(s.secrets.Value, s.period))
	return c
}

// admit decides about a connection, full or resumed: crypto/tls has verified the chains in this handshake, or in the one that the ticket goes back to.
func (t *trust) admit(state tls.ConnectionState, naming Naming, now time.Time) error {
	if len(state.PeerCertificates) == 0 {
		return nil // where one is required, crypto/tls has seen to it
	}
	if err := t.check(state.VerifiedChains, now); err != nil {
		return err
	}
	if naming == "" {
		return nil
	}
	_, err := naming.of(state.PeerCertificates[0])
	return err
}

// due is when the first revocation list is to be replaced; zero: never.
func (t *trust) due() (first time.Time) {
	for _, l := range t.lists {
		if !l.next.IsZero() && (first.IsZero() || l.next.Before(first)) {
			first = l.next
		}
	}
	return first
}
