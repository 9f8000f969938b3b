package secure

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/reload"
)

// ClientFiles say how this node meets the bus or the session store over TLS, PEM. All may be empty.
type ClientFiles struct {
	Key        string // of the configuration, before which ".ca" and the others stand: "bus.tls"
	CA         string // whom to trust; empty: the system's
	Cert       string // our own certificate, with PrivateKey
	PrivateKey string
	ServerName string // what the certificate of the other side must be for; empty: the host of the URL
}

// Empty: nothing is said, the defaults will do.
func (f ClientFiles) Empty() bool { return f.CA+f.Cert+f.PrivateKey+f.ServerName == "" }

// Client gives the configuration for connections to the bus or to the store. Our certificate is read again when its files change: each connection shows
// the newest that was good. The CA is read once.
func Client(f ClientFiles, log *zap.Logger) (*tls.Config, error) {
	c := policy()
	c.ServerName = f.ServerName
	if f.CA != "" {
		authorities, err := readAuthorities(f.Key+".ca", f.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = poolOf(authorities)
	}
	if f.Cert == "" {
		return c, nil
	}
	own := reload.Source[*tls.Certificate]{Name: f.Key, Files: []string{f.Cert, f.PrivateKey}, Read: func(now time.Time) (*tls.Certificate, error) {
		return readCertificate(f.Key+".cert", f.Cert, f.Key+".key", f.PrivateKey, now)
	}}
	if err := own.Open(time.Now()); err != nil {
		return nil, err
	}
	var mu sync.Mutex // connections are few, and made side by side
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if news, err := own.Look(time.Now()); news && err != nil {
			log.Error("a file that has changed cannot be used; what was there before stays in use", zap.String("what", f.Key), zap.Error(err))
		}
		if err := r.SupportsCertificate(own.Value); err != nil {
			return nil, fmt.Errorf("%s.cert: the other side does not take the certificate in %q: %w", f.Key, f.Cert, err)
		}
		return own.Value, nil
	}
	return c, nil
}
