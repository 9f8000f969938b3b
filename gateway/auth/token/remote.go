package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// remote are the keys behind a URL. Its goroutine (run) is the only one that asks there, one request at a time.
type remote struct {
	url     string
	refresh time.Duration
	client  *http.Client
	log     *zap.Logger
	metrics *metrics
	kick    chan struct{} // asks for a request out of turn

	mu   sync.Mutex
	keys []key // the last that were good
	// missing are keys that were in one of the good answers before and are not in the last, with the time of the first without them.
	missing map[string]time.Time
	err     error // of the last request; nil: it was good
	asked   time.Time
	// round is closed, and made anew, when a request is over. awaited: a request out of turn has been asked for and is not over.
	round   chan struct{}
	awaited bool
}

var errNotAsked = errors.New("nobody has answered yet")

func newRemote(opt *Options, m *metrics) *remote {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = opt.TLS
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 1, 1
	return &remote{
		url: opt.JWKS, refresh: opt.Refresh, log: opt.Logger, metrics: m, kick: make(chan struct{}, 1), round: make(chan struct{}), err: errNotAsked, missing: map[string]time.Time{},
		client: &http.Client{Transport: t, Timeout: fetchTimeout, CheckRedirect: checkRedirect},
	}
}

// checkRedirect: an issuer may move its keys, but not into the open.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > redirectsMax {
		return errors.New("there are too many redirects")
	}
	return checkURL(r.URL)
}

// checkURL refuses a URL whose answer others could change on the way.
func checkURL(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("is not https, and whoever sits on the way could give keys of their own; http is for loopback addresses only")
	}
	return nil
}

func (r *remote) known() []key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys
}

// renew has the keys asked for again, for a token whose key is not known, and waits for the answer; not so within unknownPause of the time before. The error is
// *unavailable when it cannot be known whether the key is good.
func (r *remote) renew(ctx context.Context) error {
	if round := r.claim(time.Now()); round != nil {
		select {
		case <-round:
		case <-ctx.Done():
			return &unavailable{ctx.Err()}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return &unavailable{r.err}
	}
	return nil
}

// claim asks for a request out of turn, if it is time for one. It gives what is closed when the one that is under way is over, nil when there is none.
func (r *remote) claim(now time.Time) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.awaited {
		if !r.asked.IsZero() && now.Sub(r.asked) < unknownPause {
			return nil
		}
		r.awaited, r.asked = true, now
		select {
		case r.kick <- struct{}{}:
		default: // the one before was overtaken by a request in turn
		}
	}
	return r.round
}

// holds reports whether what a key has verified is still good: the key is there, or has been missing for less than a refresh. Of several servers that answer one may not know a new
// key yet, and that is no reason to disconnect every device whose token it has signed.
func (r *remote) holds(mark string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, missing := r.missing[mark]
	return missing || has(r.keys, mark)
}

// run asks for the keys, now and then, and when kicked, until ctx ends. When a key is withdrawn for good, it calls changed.
func (r *remote) run(ctx context.Context, changed func()) {
	defer r.client.CloseIdleConnections()
	pause := retryFirst
	for {
		keys, err := r.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.answered(keys, err) {
			changed()
		}
		next := r.refresh
		if err != nil {
			next, pause = min(pause, r.refresh), min(2*pause, r.refresh)
		} else {
			pause = retryFirst
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-r.kick:
			t.Stop()
		case <-t.C:
		}
	}
}

// answered takes note of the end of a request, and reports whether a key is withdrawn for good. A set that cannot be used takes the place of nothing.
func (r *remote) answered(keys []key, err error) (withdrawn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.err == nil || err == nil || r.err.Error() != err.Error()
	if err == nil {
		withdrawn = r.miss(keys, time.Now())
		r.keys = keys
	} else if news {
		r.log.Warn("the keys of tokens cannot be had; those that are known stay in use", zap.String("url", redacted(r.url)), zap.Int("known", len(r.keys)), zap.Error(err))
	}
	r.err, r.awaited = err, false
	r.metrics.refreshed(len(r.keys), err)
	close(r.round)
	r.round = make(chan struct{})
	return withdrawn
}

// miss notes which keys a good answer has not got, and reports whether one of them has been missing for long enough: in the answer before, and that was no request
// out of turn just now. The lock is held.
func (r *remote) miss(keys []key, now time.Time) (withdrawn bool) {
	for mark, since := range r.missing {
		switch {
		case has(keys, mark):
			delete(r.missing, mark)
		case now.Sub(since) >= r.refresh/2:
			delete(r.missing, mark)
			withdrawn = true
		}
	}
	for _, k := range r.keys {
		switch {
		case has(keys, k.mark):
		case len(r.missing) < missingMax:
			r.missing[k.mark] = now
		default:
			withdrawn = true
		}
	}
	return withdrawn
}

func (r *remote) fetch(ctx context.Context) ([]key, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyMax+1))
	if err != nil {
		return nil, withoutURL(err)
	}
	if len(body) > bodyMax {
		return nil, fmt.Errorf("the answer has more than %d bytes", bodyMax)
	}
	keys, err := parseJWKs(body, false)
	if err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	return marked(slices.Clip(keys)), nil
}

// withoutURL leaves the URL out, which may have a password.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(not shown)"
	}
	return u.Redacted()
}
