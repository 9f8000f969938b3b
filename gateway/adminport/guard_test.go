package adminport

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token   = "0123456789abcdef0123456789abcdef"
	another = "ffffffffffffffffffffffffffffffff"
)

func tokenFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func openTokens(t *testing.T, file string) *Tokens {
	t.Helper()
	tokens, err := OpenTokens("admin.token_file", file, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// behind is what the guard lets through.
var behind = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, "the bus at 10.0.0.1 says no")
})

func TestWho(t *testing.T) {
	protected := &Guard{Tokens: openTokens(t, tokenFile(t, "# of the operator\n"+token+" # mine\n\n"+another+"\n"))}
	certified := &Guard{Certificates: true}
	both := &Guard{Tokens: protected.Tokens, Certificates: true, OpenMetrics: true}
	open := &Guard{}
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	const secret = "10.0.0.1"
	for _, c := range []struct {
		name   string
		guard  *Guard
		target string // method and path
		header string // name: value, separated by |
		tls    *tls.ConnectionState
		host   string
		status int
		told   bool
		reason string
	}{
		{name: "a token", guard: protected, target: "GET /metrics", header: "Authorization: Bearer " + token, status: 200, told: true},
		{name: "another token", guard: protected, target: "GET /metrics", header: "Authorization: bearer " + another, status: 200, told: true},
		{name: "no token", guard: protected, target: "GET /metrics", status: 401, reason: unauthorized},
		{name: "a wrong token", guard: protected, target: "GET /metrics", header: "Authorization: Bearer " + token[1:] + "x", status: 401, reason: unauthorized},
		{name: "an empty token", guard: protected, target: "GET /metrics", header: "Authorization: Bearer ", status: 401, reason: unauthorized},
		{name: "the comment behind a token", guard: protected, target: "GET /metrics", header: "Authorization: Bearer # of the operator", status: 401, reason: unauthorized},
		{name: "another scheme", guard: protected, target: "GET /metrics", header: "Authorization: Basic " + token, status: 401, reason: unauthorized},
		{name: "a token in the URL", guard: protected, target: "GET /metrics?token=" + token, status: 401, reason: unauthorized},
		{name: "health", guard: protected, target: "GET /healthz", status: 200, told: true},
		{name: "ready", guard: protected, target: "GET /readyz", status: 503},
		{name: "ready, with a token", guard: protected, target: "GET /readyz", header: "Authorization: Bearer " + token, status: 503, told: true},
		{name: "nearly health", guard: protected, target: "GET /healthz/", status: 401, reason: unauthorized},
		{name: "nearly health, another way", guard: protected, target: "GET //healthz", status: 401, reason: unauthorized},
		{name: "open metrics", guard: both, target: "GET /metrics", status: 200, told: true},
		{name: "open metrics do not open the rest", guard: both, target: "GET /api/v1/explain", status: 401, reason: unauthorized},
		{name: "a certificate", guard: certified, target: "GET /metrics", tls: verified, status: 200, told: true},
		{name: "a certificate where a token would do", guard: both, target: "GET /capabilities", tls: verified, status: 200, told: true},
		{name: "a certificate that nobody verified", guard: certified, target: "GET /metrics", tls: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}, status: 401, reason: unauthorized},
		{name: "a certificate where none counts", guard: protected, target: "GET /metrics", tls: verified, status: 401, reason: unauthorized},
		{name: "a token where none counts", guard: certified, target: "GET /metrics", header: "Authorization: Bearer " + token, status: 401, reason: unauthorized},

		{name: "this machine", guard: open, target: "GET /metrics", host: "localhost:8080", status: 200, told: true},
		{name: "this machine by address", guard: open, target: "GET /metrics", host: "127.0.0.1:8080", status: 200, told: true},
		{name: "this machine by another address", guard: open, target: "GET /metrics", host: "[::1]", status: 200, told: true},
		{name: "DNS rebinding", guard: open, target: "GET /metrics", host: "evil.example:8080", status: 403, reason: foreignHost},
		{name: "DNS rebinding of health", guard: open, target: "GET /healthz", host: "localhost.evil.example", status: 403, reason: foreignHost},
		{name: "no host", guard: open, target: "GET /metrics", host: " ", status: 403, reason: foreignHost},
		{name: "a name, with a token", guard: protected, target: "GET /metrics", host: "node-1.example", header: "Authorization: Bearer " + token, status: 200, told: true},

		{name: "a page", guard: open, target: "GET /metrics", host: "localhost", header: "Origin: https://evil.example", status: 403, reason: browser},
		{name: "a page of ours", guard: open, target: "GET /metrics", host: "localhost", header: "Sec-Fetch-Site: same-origin", status: 403, reason: browser},
		{name: "an image in a page", guard: open, target: "GET /metrics", host: "localhost", header: "Sec-Fetch-Site: cross-site", status: 403, reason: browser},
		{name: "a page with a token", guard: protected, target: "GET /metrics", header: "Origin: null|Authorization: Bearer " + token, status: 403, reason: browser},
		{name: "the address bar", guard: open, target: "GET /metrics", host: "localhost", header: "Sec-Fetch-Site: none", status: 200, told: true},
		{name: "a form", guard: open, target: "POST /api/v1/revocations", host: "localhost", header: "Content-Type: application/x-www-form-urlencoded", status: 415, reason: contentType},
		{name: "a form as text", guard: open, target: "POST /api/v1/revocations", host: "localhost", header: "Content-Type: text/plain", status: 415, reason: contentType},
		{name: "a change without content", guard: open, target: "DELETE /api/v1/clients", host: "localhost", status: 415, reason: contentType},
		{name: "a change", guard: open, target: "DELETE /api/v1/clients", host: "localhost", header: "Content-Type: application/json; charset=utf-8", status: 200, told: true},
		{name: "a change by a stranger", guard: protected, target: "DELETE /api/v1/clients", header: "Content-Type: application/json", status: 401, reason: unauthorized},
		{name: "a browser that asks first", guard: open, target: "OPTIONS /api/v1/clients", host: "localhost", header: "Origin: https://evil.example", status: 403, reason: browser},
	} {
		t.Run(c.name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			g := *c.guard
			g.Refused = NewRefused(registry)
			method, path, _ := strings.Cut(c.target, " ")
			r := httptest.NewRequest(method, path, nil)
			r.TLS = c.tls
			if c.host != "" {
				r.Host = strings.TrimSpace(c.host)
			}
			for line := range strings.SplitSeq(c.header, "|") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			g.Wrap(behind).ServeHTTP(w, r)
			if w.Code != c.status || strings.Contains(w.Body.String(), secret) != c.told {
				t.Errorf("%d %q, want %d, told %v", w.Code, w.Body, c.status, c.told)
			}
			if strings.Contains(w.Body.String(), token) || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("it gives away %q %v", w.Body, w.Header())
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate is %q", w.Header().Get("WWW-Authenticate"))
			}
			if counted := countedReasons(t, registry); counted != c.reason {
				t.Errorf("counted is %q, want %q", counted, c.reason)
			}
		})
	}
}

// countedReasons are the reasons that were counted, each as often as it was.
func countedReasons(t *testing.T, r *prometheus.Registry) (reasons string) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			reasons += strings.Repeat(m.GetLabel()[0].GetValue(), int(m.GetCounter().GetValue()))
		}
	}
	return reasons
}

func TestTokensAreRefused(t *testing.T) {
	for content, word := range map[string]string{
		"": "0 tokens", "# nothing\n\n": "0 tokens", "short\n": "5 characters", token + "\n" + token[:31] + "\n": "line 2",
		strings.Repeat("ä", 32): "letters, digits", token + " " + another: "letters, digits", strings.Repeat(token+"\n", tokensMax+1): "101 tokens",
		strings.Repeat("#", tokenFileMax+1): "more than 65536 bytes",
	} {
		_, err := OpenTokens("admin.token_file", tokenFile(t, content), zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "admin.token_file") || strings.Contains(err.Error(), token[:31]) {
			t.Errorf("%.40q: %v, want a word of %q", content, err, word)
		}
	}
	if _, err := OpenTokens("admin.token_file", filepath.Join(t.TempDir(), "none"), zap.NewNop()); err == nil {
		t.Error("a file that is not there is taken")
	}
}

// A new file is in use soon, a broken one changes nothing, and no token is in the log.
func TestTokensAreReadAgain(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	file := tokenFile(t, token)
	tokens, err := OpenTokens("admin.token_file", file, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		tokens.look()
	}
	write(another)
	if tokens.good(token) || !tokens.good(another) {
		t.Error("the old token is in use")
	}
	write("broken")
	if !tokens.good(another) {
		t.Error("a broken file has changed something")
	}
	write(token)
	if !tokens.good(token) || tokens.good(another) {
		t.Error("a mended file is not in use")
	}
	if n := logs.Len(); n != 3 {
		t.Errorf("%d lines in the log", n)
	}
	for _, e := range logs.All() {
		if text := e.Message + e.ContextMap()["what"].(string); strings.Contains(text, token) || strings.Contains(text, another) {
			t.Errorf("a token in the log: %s", text)
		}
	}
}

// Run looks by itself.
func TestRun(t *testing.T) {
	file := tokenFile(t, token)
	tokens := openTokens(t, file)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tokens.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	if err := os.WriteFile(file, []byte(another+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !tokens.good(another); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new token is not in use")
		}
	}
}
