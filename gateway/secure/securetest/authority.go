package securetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// life is how long certificates are good if nothing else is asked for.
const life = 30 * 24 * time.Hour

var serials atomic.Int64

// Authority is a certificate authority.
type Authority struct {
	Certificate *x509.Certificate
	PEM         []byte

	t    testing.TB
	key  *ecdsa.PrivateKey
	list int64 // the number of its last revocation list
}

// New makes one that signs itself.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	template := authority(name)
	key := newKey(t)
	return adopt(t, sign(t, template, template, key.Public(), key), key)
}

// Sub makes one that is signed by a.
func (a *Authority) Sub(name string) *Authority {
	a.t.Helper()
	key := newKey(a.t)
	return adopt(a.t, sign(a.t, authority(name), a.Certificate, key.Public(), a.key), key)
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(2 * life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func adopt(t testing.TB, der []byte, key *ecdsa.PrivateKey) *Authority {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{Certificate: c, PEM: encode("CERTIFICATE", der), t: t, key: key}
}

// Pool trusts a and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// Pair is a certificate with its key, as a value and as PEM.
type Pair struct {
	TLS          tls.Certificate
	Cert, KeyPEM []byte
}

// Issue signs a certificate for name, good for servers on the loopback interface, "localhost" and name, and for clients. change may alter it.
func (a *Authority) Issue(name string, change ...func(*x509.Certificate)) Pair {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(template)
	}
	key := newKey(a.t)
	der := sign(a.t, template, a.Certificate, key.Public(), a.key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	p := Pair{Cert: encode("CERTIFICATE", der), KeyPEM: encode("PRIVATE KEY", keyDER)}
	if p.TLS, err = tls.X509KeyPair(p.Cert, p.KeyPEM); err != nil {
		a.t.Fatal(err)
	}
	return p
}

// Files writes the pair into a folder of the test's.
func (p Pair) Files(t testing.TB) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	Write(t, cert, p.Cert)
	Write(t, key, p.KeyPEM)
	return cert, key
}

// CRL is a revocation list, as PEM, that is good until due.
func (a *Authority) CRL(due time.Time, revoked ...Pair) []byte {
	a.t.Helper()
	a.list++
	template := &x509.RevocationList{Number: big.NewInt(a.list), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: due}
	for _, p := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: p.TLS.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	return a.SignList(template)
}

// SignList is a revocation list of the test's own making, as PEM.
func (a *Authority) SignList(template *x509.RevocationList) []byte {
	a.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, template, a.Certificate, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

// File writes content into a new file of the test's.
func File(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	Write(t, file, content)
	return file
}

// Write puts content in the place of a file, in one step.
func Write(t testing.TB, file string, content []byte) {
	t.Helper()
	next := file + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
