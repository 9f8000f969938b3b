package secure

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/reload"
	"sluice/gateway/secure/securetest"
)

// demanding is a listener that wants certificates.
var demanding = Listener{Protocol: ProtocolMQTT, ClientCertificates: Required, Naming: NamedByCN}

// TestARevokedCertificateDoesNotComeBackByTicket: the ticket is good, the certificate in it is not any more.
func TestARevokedCertificateDoesNotComeBackByTicket(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		meter, other := ca.Issue("meter-1"), ca.Issue("meter-2")
		files := filesOf(t, ca)
		files.ClientCA, files.TicketSecret = securetest.File(t, ca.PEM), securetest.File(t, secret)
		due := time.Now().Add(24 * time.Hour)
		files.ClientCRL = []string{securetest.File(t, ca.CRL(due))}
		first, second := openServer(t, files), openServer(t, files)
		one, two := first.Listen(demanding), second.Listen(demanding)
		stop := running(t, second)
		client, innocent := device(ca, version, meter), device(ca, version, other)
		welcome(t, one, client)
		welcome(t, one, innocent)
		if m := welcome(t, two, client); !m.server.DidResume || len(m.server.PeerCertificates) != 1 {
			t.Fatalf("resumed %v with %d certificates", m.server.DidResume, len(m.server.PeerCertificates))
		}
		securetest.Write(t, files.ClientCRL[0], ca.CRL(due, meter))
		time.Sleep(reload.Pause)
		synctest.Wait()
		refused(t, two, client, RefusedRevoked)
		refused(t, two, device(ca, version, meter), RefusedRevoked)
		if !welcome(t, two, innocent).server.DidResume {
			t.Error("who was not revoked was not resumed")
		}
		stop()
		time.Sleep(25 * time.Hour)
		refused(t, two, device(ca, version, other), RefusedCRLExpired)
	})
}

func TestAnExpiredCertificateDoesNotComeBackByTicket(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		meter := ca.Issue("meter-1", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) })
		files := filesOf(t, ca)
		files.ClientCA, files.TicketSecret = securetest.File(t, ca.PEM), securetest.File(t, secret)
		node := openServer(t, files).Listen(demanding)
		client := device(ca, version, meter)
		welcome(t, node, client)
		time.Sleep(30 * time.Minute)
		if !welcome(t, node, client).server.DidResume {
			t.Error("not resumed in time")
		}
		time.Sleep(time.Hour)
		refused(t, node, client, RefusedExpired)
	})
}

// TestAnAuthorityThatIsNotTrustedAnyMore takes its tickets with it.
func TestAnAuthorityThatIsNotTrustedAnyMore(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca, next := securetest.New(t, "CA"), securetest.New(t, "next CA")
		files := filesOf(t, ca)
		files.ClientCA = securetest.File(t, ca.PEM)
		s := openServer(t, files)
		node := s.Listen(demanding)
		running(t, s)
		client := device(ca, version, ca.Issue("meter-1"))
		welcome(t, node, client)
		securetest.Write(t, files.ClientCA, next.PEM)
		time.Sleep(reload.Pause)
		synctest.Wait()
		refused(t, node, client, FailedOther) // it has no certificate of the CAs that are wanted now, and shows none
		welcome(t, node, device(ca, version, next.Issue("meter-1")))
	})
}

// TestATicketWithoutCertificateIsNoCertificate: it was made where none is asked for.
func TestATicketWithoutCertificateIsNoCertificate(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		files.ClientCA = securetest.File(t, ca.PEM)
		s := openServer(t, files)
		open, strict := s.Listen(Listener{Protocol: ProtocolMQTT, ClientCertificates: Optional, Naming: NamedByCN}), s.Listen(demanding)
		client := device(ca, version)
		if m := welcome(t, open, client); len(m.server.PeerCertificates) != 0 {
			t.Error("a certificate out of nowhere")
		}
		if !welcome(t, open, client).server.DidResume {
			t.Error("not resumed where no certificate is needed")
		}
		refused(t, strict, client, FailedOther)
	})
}

// TestRevocationThroughIntermediates: the list of who issued it counts, and an intermediate can be revoked too.
func TestRevocationThroughIntermediates(t *testing.T) {
	root := securetest.New(t, "root")
	sub := root.Sub("sub")
	meter := sub.Issue("meter")
	subPair := securetest.Pair{}
	subPair.TLS.Leaf = sub.Certificate
	due := time.Now().Add(time.Hour)
	both := append(root.PEM[:len(root.PEM):len(root.PEM)], sub.PEM...)
	chain := [][]*x509.Certificate{{meter.TLS.Leaf, sub.Certificate, root.Certificate}}
	for _, c := range []struct {
		name  string
		lists [][]byte
		want  string
	}{
		{"no lists", nil, ""},
		{"nobody revoked", [][]byte{root.CRL(due), sub.CRL(due)}, ""},
		{"no list of the root", [][]byte{sub.CRL(due)}, ""},
		{"the device", [][]byte{sub.CRL(due, meter)}, RefusedRevoked},
		{"the intermediate", [][]byte{root.CRL(due, subPair), sub.CRL(due)}, RefusedRevoked},
		{"no list of the issuer", [][]byte{root.CRL(due)}, RefusedNoCRL},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []string
			for _, l := range c.lists {
				files = append(files, securetest.File(t, l))
			}
			tr, err := readTrust("ca", securetest.File(t, both), "crl", files)
			if err != nil {
				t.Fatal(err)
			}
			err = tr.check(chain, time.Now())
			if r, ok := err.(*Refused); ok != (c.want != "") || ok && r.Reason != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
			// One good chain is enough.
			if err := tr.check(append(chain, []*x509.Certificate{root.Certificate}), time.Now()); err != nil {
				t.Errorf("with another chain: %v", err)
			}
		})
	}
	none := [][]*x509.Certificate{{}}
	for _, chains := range [][][]*x509.Certificate{nil, none, chain} {
		if r, ok := (&trust{}).check(chains, time.Now()).(*Refused); !ok || r.Reason != RefusedUnknownCA {
			t.Errorf("%d chains without a CA: %v", len(chains), r)
		}
	}
}

func TestFaultsOfRevocationLists(t *testing.T) {
	ca, stranger := securetest.New(t, "CA"), securetest.New(t, "stranger")
	due := time.Now().Add(time.Hour)
	delta := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: time.Now(), NextUpdate: due,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}}
	file := func(b []byte) string { return securetest.File(t, b) }
	for _, c := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"no file", []string{"no-such.crl"}, []string{"crl:", "no-such.crl", "no such file"}},
		{"no list", []string{file(ca.PEM)}, []string{"crl:", "is no revocation list", "X509 CRL"}},
		{"of a stranger", []string{file(stranger.CRL(due))}, []string{"crl:", "signed by none", "CN=stranger", "add its issuer"}},
		{"a delta", []string{file(ca.SignList(delta))}, []string{"2.5.29.27", "complete lists"}},
		{"two of one issuer", []string{file(ca.CRL(due)), file(ca.CRL(due))}, []string{"both have a list", "CN=CA"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readTrust("ca", file(ca.PEM), "crl", c.files)
			contains(t, err, c.want...)
		})
	}
	block, _ := pem.Decode(ca.CRL(due))
	if _, err := readTrust("ca", file(ca.PEM), "crl", []string{file(block.Bytes)}); err != nil {
		t.Errorf("DER: %v", err)
	}
}

// TestHolds: what a connection that exists is held against, and when that is asked.
func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, next := securetest.New(t, "CA"), securetest.New(t, "next CA")
		meter, other := ca.Issue("meter-1"), ca.Issue("meter-2", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) })
		files := filesOf(t, ca)
		files.ClientCA, files.ClientCRL = securetest.File(t, ca.PEM), []string{securetest.File(t, ca.CRL(time.Now().Add(time.Minute)))}
		s := openServer(t, files)
		node := s.Listen(Listener{Protocol: ProtocolMQTT, ClientCertificates: Optional, Naming: NamedByCN})
		asked := 0
		s.OnDistrust(func() { asked++ })
		running(t, s)
		states := map[string]tls.ConnectionState{
			"meter":     welcome(t, node, device(ca, tls.VersionTLS13, meter)).server,
			"other":     welcome(t, node, device(ca, tls.VersionTLS13, other)).server,
			"anonymous": welcome(t, node, device(ca, tls.VersionTLS13)).server,
		}
		expect := func(what string, wantAsked int, gone ...string) {
			t.Helper()
			time.Sleep(reload.Pause)
			synctest.Wait()
			for name, state := range states {
				if err := s.Holds(state); (err != nil) != slices.Contains(gone, name) {
					t.Errorf("%s: %s: %v", what, name, err)
				}
			}
			if asked != wantAsked {
				t.Errorf("%s: asked %d times, want %d", what, asked, wantAsked)
			}
		}
		expect("at first", 0)
		time.Sleep(time.Hour)
		expect("certificate and list out of date", 0)
		securetest.Write(t, files.Cert, nil)
		expect("a broken certificate", 0)
		securetest.Write(t, files.ClientCRL[0], ca.CRL(time.Now().Add(-time.Second), meter))
		expect("revoked by a list that is out of date already", 1, "meter")
		both := append(next.PEM[:len(next.PEM):len(next.PEM)], ca.PEM...)
		securetest.Write(t, files.ClientCA, both)
		expect("another CA as well", 2, "meter")
		securetest.Write(t, files.ClientCRL[0], next.CRL(time.Now().Add(time.Hour)))
		securetest.Write(t, files.ClientCA, next.PEM)
		expect("another CA", 3, "meter", "other")
	})
}
