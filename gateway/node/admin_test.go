package node

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/gateway/adminport"
	"sluice/gateway/secure/securetest"
)

const adminToken = "0123456789abcdef0123456789abcdef"

// adminGet asks the administration port.
func adminGet(t *testing.T, c *http.Client, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func adminHTTP(t *testing.T, c *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: c}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func TestAdminPortWithTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, alone(t, "admin.listen=0.0.0.0:0", "admin.token_file="+file))
	waitReady(t, n)
	c, at := adminHTTP(t, nil), "http://"+n.Admin
	for _, w := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 401}, {"/metrics", adminToken + "x", 401}, {"/metrics", adminToken, 200},
		{"/capabilities", "", 401}, {"/api/v1/revocations", "", 401}, {"/api/v1/revocations", adminToken, 200},
	} {
		if code, body := adminGet(t, c, at+w.path, w.token); code != w.want {
			t.Errorf("%s: %d %.100s, want %d", w.path, code, body, w.want)
		}
	}
}

func TestAdminPortWithCertificates(t *testing.T) {
	ca, strangers := securetest.New(t, "operators"), securetest.New(t, "strangers")
	cert, key := ca.Issue("localhost").Files(t)
	n := start(t, alone(t, "admin.tls.cert="+cert, "admin.tls.key="+key, "admin.tls.client_ca="+securetest.File(t, ca.PEM)))
	with := func(chain ...tls.Certificate) *http.Client {
		return adminHTTP(t, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: chain})
	}
	at := "https://" + n.Admin
	for _, w := range []struct {
		who  *http.Client
		path string
		want int
	}{
		{with(), "/healthz", 200}, {with(), "/metrics", 401}, {with(ca.Issue("an operator").TLS), "/metrics", 200}, {with(ca.Issue("an operator", func(c *x509.Certificate) { c.Subject = pkix.Name{} }).TLS), "/capabilities", 200},
	} {
		if code, body := adminGet(t, w.who, at+w.path, ""); code != w.want {
			t.Errorf("%s: %d %.100s, want %d", w.path, code, body, w.want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := with(strangers.Issue("a stranger").TLS).Do(r); err == nil && resp.StatusCode == http.StatusOK {
		t.Error("a certificate of another CA lets in")
	}
}

// Connections that ask nothing are bounded in number, and keep nobody out.
func TestAdminPortHasABoundOfConnections(t *testing.T) {
	n := start(t, alone(t))
	// Each has asked once: who has may stay for long, so that a slow machine does not close it before there are too many.
	var first net.Conn
	for range adminport.ConnectionsMax + 1 {
		conn, err := net.Dial("tcp", n.Admin)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(adminIdleTime / 2))
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		if first == nil {
			first = conn
		}
	}
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest connection is open: %v", err)
	}
	if code, body := adminGet(t, adminHTTP(t, nil), "http://"+n.Admin+"/healthz", ""); code != 200 {
		t.Errorf("/healthz: %d %s", code, body)
	}
}
