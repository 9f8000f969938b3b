package secure

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"sluice/gateway/reload"
)

// trust says which certificates of devices are good.
type trust struct {
	key   string // of the configuration, that names the CAs
	pool  *x509.CertPool
	known map[string]bool // the certificates in pool
	// lists has the revocation lists by who issued them; nil: none are configured.
	lists map[issuer]*revocations
}

// issuer is a name with a key. The same CA may have several certificates.
type issuer struct{ subject, key string }

func issuerOf(c *x509.Certificate) issuer {
	return issuer{string(c.RawSubject), string(c.RawSubjectPublicKeyInfo)}
}

// revocations is one revocation list (RFC 5280, 5).
type revocations struct {
	file    string
	next    time.Time           // by when there is to be a newer one; zero: not said
	serials map[string]struct{} // of what is revoked
}

// The reasons for which a certificate is refused, as metrics count them.
const (
	RefusedRevoked    = "revoked"
	RefusedExpired    = "expired"
	RefusedUnknownCA  = "unknown_ca"
	RefusedNoCRL      = "no_crl"
	RefusedCRLExpired = "crl_expired"
	RefusedNoIdentity = "no_identity"
)

// Refused is why a device's certificate does not do.
type Refused struct {
	Reason string // one of the constants
	Detail string
}

func (r *Refused) Error() string { return "certificate refused: " + r.Detail }

// readTrust reads the CAs of the devices and, if there are any, revocation lists.
func readTrust(caKey, caFile, crlKey string, crlFiles []string) (*trust, error) {
	authorities, err := readAuthorities(caKey, caFile)
	if err != nil {
		return nil, err
	}
	t := &trust{key: caKey, pool: poolOf(authorities), known: map[string]bool{}}
	for _, a := range authorities {
		t.known[string(a.Raw)] = true
	}
	for _, file := range crlFiles {
		content, err := reload.ReadFile(crlKey, file, crlMax)
		if err != nil {
			return nil, err
		}
		if err := t.addLists(content, file, authorities); err != nil {
			return nil, fmt.Errorf("%s: %w", crlKey, err)
		}
	}
	return t, nil
}

// addLists takes the revocation lists of a file, PEM or DER.
func (t *trust) addLists(content []byte, file string, authorities []*x509.Certificate) error {
	var ders [][]byte
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "X509 CRL" {
			ders = append(ders, block.Bytes)
		}
	}
	if len(ders) == 0 {
		ders = [][]byte{content}
	}
	for _, der := range ders {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("%q is no revocation list: %w; it is to hold X.509 CRLs, as PEM (-----BEGIN X509 CRL-----) or DER", file, err)
		}
		if err := t.add(list, file, authorities); err != nil {
			return err
		}
	}
	return nil
}

func (t *trust) add(list *x509.RevocationList, file string, authorities []*x509.Certificate) error {
	for _, e := range list.Extensions {
		// What a list means that is partial, indirect or a difference to another one is in critical extensions (RFC 5280, 5.2).
		if e.Critical {
			return fmt.Errorf("a list in %q of %s has the critical extension %v; only complete lists of one issuer are understood: give one of those", file, list.Issuer, e.Id)
		}
	}
	var from *x509.Certificate
	for _, a := range authorities {
		if string(a.RawSubject) == string(list.RawIssuer) && list.CheckSignatureFrom(a) == nil {
			from = a
			break
		}
	}
	if from == nil {
		return fmt.Errorf("a list in %q is signed by none of the CAs of mqtt.tls.client_ca (it says it is of %s); give a list of theirs, or add its issuer to them",
			file, list.Issuer)
	}
	r := &revocations{file: file, next: list.NextUpdate, serials: make(map[string]struct{}, len(list.RevokedCertificateEntries))}
	for _, e := range list.RevokedCertificateEntries {
		r.serials[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	if t.lists == nil {
		t.lists = map[issuer]*revocations{}
	}
	if older := t.lists[issuerOf(from)]; older != nil {
		return fmt.Errorf("%q and %q both have a list of %s; keep the newer one", older.file, file, list.Issuer)
	}
	t.lists[issuerOf(from)] = r
	return nil
}

// check looks whether one of the chains, which were verified once, is good now. The error is a *Refused.
func (t *trust) check(chains [][]*x509.Certificate, now time.Time) error {
	var first error
	for _, chain := range chains {
		err := t.checkChain(chain, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &Refused{RefusedUnknownCA, "it was not verified"}
	}
	return first
}

// checkChain: a chain is the device's certificate, its issuers, and last a CA of ours. What was taken back comes before what has run out (see Holds).
func (t *trust) checkChain(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 || !t.known[string(chain[len(chain)-1].Raw)] {
		return &Refused{RefusedUnknownCA, "its CA is none of " + t.key}
	}
	for i, c := range chain[:len(chain)-1] {
		if list := t.lists[issuerOf(chain[i+1])]; list.revokes(c) {
			return &Refused{RefusedRevoked, fmt.Sprintf("%s (serial number %x) is revoked by %s", c.Subject, c.SerialNumber, chain[i+1].Subject)}
		}
	}
	for _, c := range chain {
		if now.After(c.NotAfter) || now.Before(c.NotBefore) {
			return &Refused{RefusedExpired, fmt.Sprintf("%s is good from %s to %s only", c.Subject, c.NotBefore.UTC().Format(time.DateTime), c.NotAfter.UTC().Format(time.DateTime))}
		}
	}
	return t.checkLists(chain, now)
}

// checkLists looks whether the lists that a chain was looked up in are there and current.
func (t *trust) checkLists(chain []*x509.Certificate, now time.Time) error {
	if t.lists == nil {
		return nil
	}
	for i := range chain[:len(chain)-1] {
		list := t.lists[issuerOf(chain[i+1])]
		switch {
		case list == nil && i == 0:
			// Who gives revocation lists wants devices checked: a list that is missing must not let a revoked one in.
			return &Refused{RefusedNoCRL, fmt.Sprintf("mqtt.tls.client_crl has no list of its issuer %s; add one", chain[i+1].Subject)}
		case list != nil && !list.next.IsZero() && now.After(list.next):
			return &Refused{RefusedCRLExpired, fmt.Sprintf("the revocation list %q is out of date since %s; put a newer one there", list.file, list.next.UTC().Format(time.DateTime))}
		}
	}
	return nil
}

// revokes: no list revokes nothing.
func (r *revocations) revokes(c *x509.Certificate) bool {
	if r == nil {
		return false
	}
	_, found := r.serials[string(c.SerialNumber.Bytes())]
	return found
}
