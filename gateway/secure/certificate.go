package secure

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"sluice/gateway/reload"
)

// readCertificate reads a certificate chain and its key, PEM. The keys are the configuration's names for the files.
func readCertificate(certKey, certFile, keyKey, keyFile string, now time.Time) (*tls.Certificate, error) {
	certPEM, err := reload.ReadFile(certKey, certFile, fileMax)
	if err != nil {
		return nil, err
	}
	keyPEM, err := reload.ReadFile(keyKey, keyFile, fileMax)
	if err != nil {
		return nil, err
	}
	if encrypted(keyPEM) {
		return nil, fmt.Errorf("%s: the key in %q is encrypted with a password, which nobody is there to enter; write it without (openssl pkey -in %s -out NEW) "+
			"into a file that only this process may read", keyKey, keyFile, keyFile)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: cannot use %q with %q: %w; both are PEM, the certificate of the key comes first, its issuers behind it",
			certKey, keyKey, certFile, keyFile, err)
	}
	if end := cert.Leaf.NotAfter; now.After(end) {
		return nil, fmt.Errorf("%s: the certificate in %q has expired on %s; put a renewed one there", certKey, certFile, end.UTC().Format(time.DateTime))
	}
	return &cert, nil
}

func encrypted(keyPEM []byte) bool {
	for block, rest := pem.Decode(keyPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
	return false
}

// readAuthorities reads certificates of CAs, PEM.
func readAuthorities(key, file string) ([]*x509.Certificate, error) {
	content, err := reload.ReadFile(key, file, fileMax)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d in %q cannot be read: %w; replace it", key, len(all)+1, file, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there is no certificate in %q; it is to hold the CA's, as PEM (-----BEGIN CERTIFICATE-----)", key, file)
	}
	return all, nil
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}
