package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/reload"
)

// source is Principal.Source, and the scheme of Principal.Credential.
const source = "http"

// The reasons for which an attempt is refused.
const (
	ReasonDenied  = "hook-denied"
	ReasonExpired = "hook-expired"
)

// Options are what a Hook is made of.
type Options struct {
	// URL is asked by POST: https, or http on a loopback address.
	URL string
	// TLS is for URL, with our certificate if the service wants one; nil is the default of the system.
	TLS *tls.Config
	// TokenFile has a bearer token that is shown to the service; empty: none. It is read again when it changes.
	TokenFile string
	// Timeout bounds an attempt, the wait for its turn included.
	Timeout time.Duration
	// Concurrency bounds the requests under way.
	Concurrency int
	Logger      *zap.Logger
	Registry    prometheus.Registerer
}

// Hook asks the service. Run keeps its token current.
type Hook struct {
	opt     Options
	client  *http.Client
	turns   chan struct{}
	waiting atomic.Int64
	cache   *cache
	breaker breaker
	metrics *metrics
	file    reload.Source[string]
	token   atomic.Pointer[string] // nil: none
}

// Open reads the token. The service is not asked yet.
func Open(opt Options) (*Hook, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = opt.TLS
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost = opt.Concurrency, opt.Concurrency
	h := &Hook{
		opt: opt, turns: make(chan struct{}, opt.Concurrency), cache: newCache(), metrics: newMetrics(opt.Registry),
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if opt.TokenFile == "" {
		return h, nil
	}
	h.file = reload.Source[string]{Name: "auth.http.token_file", Files: []string{opt.TokenFile}, Read: func(time.Time) (string, error) {
		return readToken(opt.TokenFile)
	}}
	if err := h.file.Open(time.Now()); err != nil {
		return nil, err
	}
	token := h.file.Value
	h.token.Store(&token)
	return h, nil
}

func readToken(file string) (string, error) {
	content, err := reload.ReadFile("auth.http.token_file", file, tokenMax)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("auth.http.token_file: %q holds no token; it is to hold one, of printable ASCII characters without spaces", file)
	}
	return token, nil
}

// Run keeps the token current until ctx ends, and then closes the connections to the service.
func (h *Hook) Run(ctx context.Context) {
	defer h.client.CloseIdleConnections()
	if h.opt.TokenFile == "" {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.look(now)
		}
	}
}

func (h *Hook) look(now time.Time) {
	switch news, err := h.file.Look(now); {
	case !news:
	case err != nil:
		h.opt.Logger.Error("the file with the token of the authentication service cannot be used; the token before stays in use", zap.Error(err))
	default:
		token := h.file.Value
		h.token.Store(&token)
	}
}

// Authenticate asks the service about an attempt, unless an answer is known. It is asked about attempts that show nothing, too: it may know addresses.
func (h *Hook) Authenticate(ctx context.Context, a *access.Attempt) (*access.Principal, error) {
	question, err := ask(a)
	if err != nil {
		return nil, fmt.Errorf("auth.http.url: %w", err)
	}
	f := h.cache.fingerprint(question)
	if v := h.cache.find(f, time.Now()); v != nil {
		h.metrics.requests.WithLabelValues("cached").Inc()
		return v.principal, v.err
	}
	ctx, cancel := context.WithTimeout(ctx, h.opt.Timeout)
	defer cancel()
	v, err := h.inTurn(ctx, question)
	if err != nil {
		h.metrics.requests.WithLabelValues("unavailable").Inc()
		return nil, fmt.Errorf("auth.http.url: %w", err)
	}
	h.metrics.requests.WithLabelValues(v.result()).Inc()
	h.cache.keep(f, v, time.Now())
	return v.principal, v.err
}

func (v *verdict) result() string {
	switch {
	case v.err == nil:
		return allow
	case errors.Is(v.err, access.ErrNotMine):
		return ignore
	}
	return deny
}

var (
	errBusy    = errors.New("more devices wait for the service than it serves in time")
	errResting = errors.New("the service has failed, and is not asked for a while")
)

// inTurn asks when it is our turn, and minds how the service is.
func (h *Hook) inTurn(ctx context.Context, question []byte) (*verdict, error) {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(cap(h.turns)*(1+waitingMax)) {
		return nil, errBusy
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, errBusy
	}
	if !h.breaker.ask(time.Now()) {
		return nil, errResting
	}
	v, err := h.request(ctx, question)
	if errors.Is(ctx.Err(), context.Canceled) { // the device has gone
		h.breaker.gaveUp()
		return nil, ctx.Err()
	}
	if h.breaker.answered(time.Now(), err == nil) {
		h.tellChange(err)
	}
	return v, err
}

func (h *Hook) tellChange(err error) {
	if err == nil {
		h.metrics.resting.Set(0)
		h.opt.Logger.Info("the authentication service answers again")
		return
	}
	h.metrics.resting.Set(1)
	h.opt.Logger.Warn("the authentication service fails, and is asked now and then only; nobody is let in by it meanwhile", zap.Error(err))
}

func (h *Hook) request(ctx context.Context, question []byte) (*verdict, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.opt.URL, bytes.NewReader(question))
	if err != nil {
		return nil, errors.New("it cannot be asked") // the error would have the URL
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token := h.token.Load(); token != nil {
		r.Header.Set("Authorization", "Bearer "+*token)
	}
	response, err := h.client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax+1))
	switch {
	case err != nil:
		return nil, withoutURL(err)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is %s; it is to be 200 also for deny and ignore", response.Status)
	case len(body) > answerMax:
		return nil, fmt.Errorf("the answer has more than %d bytes", answerMax)
	}
	return read(body, time.Now())
}

// withoutURL leaves the URL out, which may have a password.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
