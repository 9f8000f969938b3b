package adminport

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Guard decides about each request to the administration port.
type Guard struct {
	// Tokens let in who shows one; nil: there are none.
	Tokens *Tokens
	// Certificates: a verified certificate of a client lets in as well.
	Certificates bool
	// OpenMetrics: /metrics is open to everybody.
	OpenMetrics bool
	// Refused counts what is turned away, by reason.
	Refused *prometheus.CounterVec
}

// NewRefused makes the counter.
func NewRefused(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: "admin_refused_total",
		Help: "Requests to the administration port that were turned away: unauthorized, browser, host (a name that is not this machine's own), or content-type. And connections that were closed since there were too many: connections."}, []string{"reason"})
	r.MustRegister(c)
	return c
}

// The reasons.
const (
	unauthorized = "unauthorized"
	browser      = "browser"
	foreignHost  = "host"
	contentType  = "content-type"
	tooMany      = "connections"
)

// Wrap puts the guard before h.
func (g *Guard) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		known := g.authorized(r)
		switch {
		case fromPage(r):
			g.refuse(w, http.StatusForbidden, browser, "this port is for programs, not for pages in a browser")
		case !g.protected() && !ownHost(r.Host):
			g.refuse(w, http.StatusForbidden, foreignHost, "without a token this port answers to localhost and to addresses of this machine only, not to the name in the Host header")
		case !known && r.URL.Path == "/readyz":
			h.ServeHTTP(&terse{ResponseWriter: w}, r) // why it is not ready names bus and store
		case !known && !g.open(r.URL.Path):
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			g.refuse(w, http.StatusUnauthorized, unauthorized, "a token of admin.token_file is needed, as Authorization: Bearer TOKEN, or a certificate of a CA of admin.tls.client_ca")
		case changes(r) && !isJSON(r):
			g.refuse(w, http.StatusUnsupportedMediaType, contentType, "what changes something needs Content-Type: application/json")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func (g *Guard) refuse(w http.ResponseWriter, status int, reason, text string) {
	g.Refused.WithLabelValues(reason).Inc()
	http.Error(w, text, status)
}

func (g *Guard) protected() bool { return g.Tokens != nil || g.Certificates }

// authorized: where nothing protects the port, who can reach it may use it; that is this machine alone (config).
func (g *Guard) authorized(r *http.Request) bool {
	if !g.protected() || g.Certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return g.Tokens != nil && strings.EqualFold(scheme, "Bearer") && g.Tokens.good(strings.TrimSpace(token))
}

// open are the paths that say nothing but that the process lives: load balancers and orchestrators have no token.
func (g *Guard) open(path string) bool {
	return path == "/healthz" || path == "/metrics" && g.OpenMetrics
}

// fromPage reports whether a page in a browser makes the request: browsers say so with Origin or with Sec-Fetch-Site (Fetch Metadata), and no page can
// keep them from it. What a person types into the address bar is not of a page (none).
func fromPage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Header.Get("Origin") != "" || site != "" && site != "none"
}

// ownHost reports whether a Host header names this machine without the help of DNS: whoever owns a name can have it lead here (DNS rebinding), and an old
// browser then takes his page for ours.
func ownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// isJSON: no form of a page can send this content type, so that none gets as far as a request without asking first (CORS), which nobody here allows.
func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// terse leaves the status and keeps the text of an answer to itself.
type terse struct {
	http.ResponseWriter
	written bool
}

func (t *terse) WriteHeader(status int) {
	t.written = true
	t.ResponseWriter.WriteHeader(status)
	_, _ = t.ResponseWriter.Write([]byte(strings.ToLower(http.StatusText(status)) + "\n"))
}

func (t *terse) Write(b []byte) (int, error) {
	if !t.written {
		t.WriteHeader(http.StatusOK)
	}
	return len(b), nil
}
