package hook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/gateway/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service answers requests without sockets.
type service struct {
	mu     sync.Mutex
	answer func(*http.Request) (*http.Response, error)
	asked  int
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	answer := s.answer
	s.mu.Unlock()
	return answer(r)
}

func (s *service) set(answer func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *service) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func says(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func fails(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

func options() Options {
	return Options{URL: "https://auth.example/", Timeout: 2 * time.Second, Concurrency: 4, Logger: zap.NewNop(), Registry: prometheus.NewRegistry()}
}

func withService(t testing.TB, answer func(*http.Request) (*http.Response, error)) (*Hook, *service) {
	t.Helper()
	h, err := Open(options())
	if err != nil {
		t.Fatal(err)
	}
	s := &service{answer: answer}
	h.client.Transport = s
	return h, s
}

func attempt(user string) *access.Attempt {
	return &access.Attempt{Listener: "mqtt.tcp.listen", Remote: netip.MustParseAddr("192.0.2.7"), ClientID: "c", UserName: user, HasUserName: true, Password: []byte("p"), HasPassword: true}
}

// What the service is asked, over a socket.
func TestQuestion(t *testing.T) {
	var got map[string]any
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, header = nil, r.Header
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost {
			t.Error(r.Method, err)
		}
		_, _ = io.WriteString(w, `{"result":"ignore"}`)
	}))
	defer server.Close()
	opt := options()
	opt.URL, opt.TokenFile = server.URL, filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(opt.TokenFile, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer h.client.CloseIdleConnections()
	for _, c := range []struct {
		attempt *access.Attempt
		want    map[string]any
	}{
		{attempt("u"), map[string]any{"listener": "mqtt.tcp.listen", "remote": "192.0.2.7", "client_id": "c", "user_name": "u", "password": "p"}},
		{&access.Attempt{Listener: "l", Password: []byte{0xFF}, HasPassword: true}, map[string]any{"listener": "l", "client_id": "", "password_base64": "/w=="}},
		{&access.Attempt{Listener: "l", Certificate: "cn", Serial: "1", Method: "M", Data: []byte("d"), Before: &access.Principal{Tenant: "t", Name: "n"}},
			map[string]any{"listener": "l", "client_id": "", "certificate": "cn", "certificate_serial": "1", "authentication_method": "M", "authentication_data": "ZA==", "tenant": "t", "principal": "n"}},
	} {
		if _, err := h.Authenticate(context.Background(), c.attempt); !errors.Is(err, access.ErrNotMine) {
			t.Errorf("%v, want ErrNotMine", err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("question (-want +got):\n%s", diff)
		}
		if a := header.Get("Authorization"); a != "Bearer first" {
			t.Errorf("Authorization is %q", a)
		}
	}
	if err := os.WriteFile(opt.TokenFile, []byte("the second"), 0o600); err != nil { // no token
		t.Fatal(err)
	}
	h.look(time.Now())
	if token := *h.token.Load(); token != "first" {
		t.Errorf("token is %q", token)
	}
	if err := os.WriteFile(opt.TokenFile, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.look(time.Now())
	_, _ = h.Authenticate(context.Background(), attempt("v"))
	if a := header.Get("Authorization"); a != "Bearer second" {
		t.Errorf("Authorization is %q", a)
	}
}

// What the service can say.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		seconds := func(d time.Duration) float64 { return float64(now.Add(d).Unix()) }
		body := func(m map[string]any) string {
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		full := &access.Principal{Tenant: "acme", Name: "pump", Groups: []string{"g"}, Claims: map[string][]string{"a": {"1"}, "b": {"2", "3"}}, Source: "http", Credential: "http:key-1",
			Issued: time.Unix(now.Unix()-1, 0), Expires: time.Unix(now.Unix()+60, 0), ClientIDs: []string{"pump-*"}}
		for _, c := range []struct {
			name, body string
			want       *access.Principal
			reason     string // of the refusal; "unavailable", "not mine"
		}{
			{"least", `{"result":"allow","principal":"p"}`, &access.Principal{Tenant: "default", Name: "p", Source: "http"}, ""},
			{"full", body(map[string]any{"result": "allow", "principal": "pump", "tenant": "acme", "groups": []string{"g"}, "claims": map[string]any{"a": "1", "b": []string{"2", "3"}},
				"credential": "key-1", "issued": seconds(-time.Second), "expires": seconds(time.Minute), "client_ids": []string{"pump-*"}, "cache_seconds": 1}), full, ""},
			{"deny", `{"result":"deny","reason":"locked"}`, nil, ReasonDenied},
			{"expired", body(map[string]any{"result": "allow", "principal": "p", "expires": seconds(0)}), nil, ReasonExpired},
			{"ignore", `{"result":"ignore"}`, nil, "not mine"},
			{"no result", `{}`, nil, "unavailable"},
			{"another result", `{"result":"Allow","principal":"p"}`, nil, "unavailable"},
			{"no principal", `{"result":"allow"}`, nil, "unavailable"},
			{"a name written wrong", `{"result":"allow","principal":"p","expire":5}`, nil, "unavailable"},
			{"too large", body(map[string]any{"result": "allow", "principal": strings.Repeat("p", access.NameMax+1)}), nil, "unavailable"},
			{"expires is a text", `{"result":"allow","principal":"p","expires":"2030"}`, nil, "unavailable"},
			{"expires beyond all years", `{"result":"allow","principal":"p","expires":1e18}`, nil, "unavailable"},
			{"expires before all", `{"result":"allow","principal":"p","expires":-1}`, nil, "unavailable"},
			{"negative cache", `{"result":"deny","cache_seconds":-1}`, nil, "unavailable"},
			{"claim is a number", `{"result":"allow","principal":"p","claims":{"a":1}}`, nil, "unavailable"},
			{"two objects", `{"result":"allow","principal":"p"}{}`, nil, "unavailable"},
			{"nothing", ``, nil, "unavailable"},
			{"null", `null`, nil, "unavailable"},
			{"a page", `<html>`, nil, "unavailable"},
			{"too long", `{"result":"deny","reason":"` + strings.Repeat("x", answerMax) + `"}`, nil, "unavailable"},
		} {
			h, _ := withService(t, says(200, c.body))
			p, err := h.Authenticate(context.Background(), attempt("u"))
			var refused *access.Refused
			got := ""
			switch {
			case errors.As(err, &refused):
				got = refused.Reason
			case errors.Is(err, access.ErrNotMine):
				got = "not mine"
			case err != nil:
				got = "unavailable"
			}
			if got != c.reason {
				t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.reason)
			}
			if diff := cmp.Diff(c.want, p); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

// isUnavailable: neither let in nor refused, and nobody else is asked.
func isUnavailable(p *access.Principal, err error) bool {
	var refused *access.Refused
	return p == nil && err != nil && !errors.As(err, &refused) && !errors.Is(err, access.ErrNotMine)
}

// Whatever a service does that fails, nobody is let in, and within the time limit.
func TestAServiceThatFails(t *testing.T) {
	const good = `{"result":"allow","principal":"p"}`
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"fails": fails, "hangs": hangs, "500": says(500, good), "204": says(204, good), "302": says(302, good), "401": says(401, good),
	} {
		synctest.Test(t, func(t *testing.T) {
			h, _ := withService(t, answer)
			start := time.Now()
			if p, err := h.Authenticate(context.Background(), attempt("u")); !isUnavailable(p, err) || time.Since(start) > 2*time.Second {
				t.Errorf("%s: %v, %v after %v", name, p, err, time.Since(start))
			}
		})
	}
}

// A redirect is not followed: what devices show is for nobody else.
func TestNoRedirects(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	opt := options()
	opt.URL = server.URL
	h, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer h.client.CloseIdleConnections()
	if p, err := h.Authenticate(context.Background(), attempt("u")); !isUnavailable(p, err) {
		t.Error(p, err)
	}
}

// An answer is used again for as long as it says, for the same question only.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := withService(t, says(200, `{"result":"allow","principal":"p","cache_seconds":60}`))
		step := func(what string, a *access.Attempt, requests int) {
			t.Helper()
			if _, err := h.Authenticate(context.Background(), a); err != nil {
				t.Error(what, err)
			}
			if n := s.requests(); n != requests {
				t.Errorf("%s: %d requests, want %d", what, n, requests)
			}
		}
		step("first", attempt("u"), 1)
		step("the same", attempt("u"), 1)
		step("another user", attempt("v"), 2)
		other := attempt("u")
		other.Password = []byte("q")
		step("another password", other, 3)
		other = attempt("u")
		other.Remote = netip.MustParseAddr("192.0.2.8")
		step("another address", other, 4)
		time.Sleep(time.Minute)
		step("a minute later", attempt("u"), 5)
		s.set(says(200, `{"result":"allow","principal":"p"}`))
		time.Sleep(time.Minute)
		step("without a word on it", attempt("u"), 6)
		step("without a word on it", attempt("u"), 7)
		s.set(says(200, `{"result":"allow","principal":"p","cache_seconds":1e300}`))
		step("for ever", attempt("u"), 8)
		time.Sleep(cacheTimeMax)
		step("for ever is bounded", attempt("u"), 9)
		for range cacheMax {
			h.cache.keep(h.cache.fingerprint(time.Now().AppendFormat(nil, time.RFC3339Nano)), &verdict{keep: time.Hour}, time.Now())
			time.Sleep(time.Nanosecond)
		}
		if n := len(h.cache.byKey); n != cacheMax || h.cache.order.Len() != n {
			t.Errorf("%d answers are kept", n)
		}
		step("pushed out", attempt("u"), 10)
	})
}

// An answer is not used beyond the time at which the principal expires.
func TestCacheEndsWithThePrincipal(t *testing.T) {
	v, err := read([]byte(`{"result":"allow","principal":"p","expires":1000060,"cache_seconds":600}`), time.Unix(1000000, 0))
	if err != nil || v.keep != time.Minute {
		t.Errorf("%v, %v", v, err)
	}
}

// A service that fails is given a rest, in which nobody waits; then one attempt tries.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := withService(t, fails)
		call := func() (*access.Principal, error) { return h.Authenticate(context.Background(), attempt("u")) }
		for range 2 * failuresMax {
			if p, err := call(); !isUnavailable(p, err) {
				t.Fatal(p, err)
			}
		}
		if n := s.requests(); n != failuresMax {
			t.Errorf("%d requests before the rest, want %d", n, failuresMax)
		}
		time.Sleep(restFirst)
		s.set(hangs)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if p, err := call(); !isUnavailable(p, err) {
					t.Error(p, err)
				}
			})
		}
		group.Wait()
		if n := s.requests(); n != failuresMax+1 {
			t.Errorf("%d requests after the first rest, want one more", n)
		}
		s.set(fails)
		for range 100 { // each rest is longer, up to restMax
			time.Sleep(restFirst)
			_, _ = call()
		}
		if n := s.requests() - failuresMax - 1; n < 5 || n > 8 {
			t.Errorf("%d requests in 100 s of failure", n)
		}
		s.set(says(200, `{"result":"allow","principal":"p"}`))
		time.Sleep(restMax)
		for range 3 {
			if _, err := call(); err != nil {
				t.Error("it is well again:", err)
			}
		}
	})
}

// A device that goes away says nothing about the service.
func TestADeviceThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := withService(t, hangs)
		for range 2 * failuresMax {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			if p, err := h.Authenticate(ctx, attempt("u")); !isUnavailable(p, err) {
				t.Error(p, err)
			}
		}
		if n := s.requests(); n != 2*failuresMax {
			t.Errorf("%d requests, want %d: there is no rest", n, 2*failuresMax)
		}
	})
}

// No more requests are under way, and no more attempts wait, than there may.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := withService(t, hangs)
		var group sync.WaitGroup
		results := make(chan error, 100)
		for range 100 {
			group.Go(func() {
				_, err := h.Authenticate(context.Background(), attempt("u"))
				results <- err
			})
		}
		synctest.Wait()
		if n := s.requests(); n != 4 {
			t.Errorf("%d requests are under way, want 4", n)
		}
		if n := len(results); n != 100-4*(1+waitingMax) {
			t.Errorf("%d are turned away at once, want %d", n, 100-4*(1+waitingMax))
		}
		group.Wait()
		close(results)
		for err := range results {
			if !isUnavailable(nil, err) {
				t.Error(err)
			}
		}
	})
}

// FuzzAnswer: whatever the service says, a principal is complete and within its bounds, or there is none.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"result":"allow","principal":"p","claims":{"a":"b","c":["d"]},"expires":1e9}`, `{"result":"deny"}`, `{"result":"ignore","cache_seconds":1e308}`} {
		f.Add([]byte(seed))
	}
	now := time.Unix(1e9-10, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := read(body, now)
		if err != nil {
			return
		}
		if (v.principal == nil) == (v.err == nil) || v.keep < 0 || v.keep > cacheTimeMax {
			t.Fatalf("%+v", v)
		}
		if p := v.principal; p != nil && (p.Check("x") != nil || !p.Expires.IsZero() && !p.Expires.After(now)) {
			t.Fatalf("%+v", p)
		}
	})
}
