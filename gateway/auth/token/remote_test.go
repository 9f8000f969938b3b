package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/reload"
)

// issuerSite answers requests for keys, in a bubble: without sockets.
type issuerSite struct {
	mu     sync.Mutex
	answer func(*http.Request) (*http.Response, error)
	asked  []time.Time
}

func (s *issuerSite) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	answer := s.answer
	s.mu.Unlock()
	return answer(r)
}

func (s *issuerSite) set(answer func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *issuerSite) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
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

// withSite runs an authenticator whose keys are at a site.
func withSite(t *testing.T, answer func(*http.Request) (*http.Response, error)) (*Authenticator, *issuerSite) {
	t.Helper()
	return withSiteThatTells(t, answer, func() {})
}

func withSiteThatTells(t *testing.T, answer func(*http.Request) (*http.Response, error), changed func()) (*Authenticator, *issuerSite) {
	t.Helper()
	site := &issuerSite{answer: answer}
	a := open(t, func(o *Options) { o.JWKS = "https://issuer.example/keys" })
	a.remote.client.Transport = site
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx, changed)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return a, site
}

// expectUnavailable wants an answer that judges nothing.
func expectUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if u := (*unavailable)(nil); !errors.As(err, &u) {
		t.Errorf("%s: %v, want that nobody can judge", what, err)
	}
}

// A key that is not known is asked for at once, when somebody shows it, yet seldom: anybody can invent keys.
func TestRotationOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k1, k2 := newRSA("k1"), otherRSA("k2")
		a, site := withSite(t, says(200, string(jwksOf(t, k1))))
		first, second := k1.sign(t, "RS256", claims(nil)), k2.sign(t, "RS256", claims(nil))
		expectRefusal(t, "first key", shows(a, first), "")
		site.set(says(200, string(jwksOf(t, k1, k2))))
		expectRefusal(t, "new key", shows(a, second), "")
		for range 100 {
			expectRefusal(t, "invented key", shows(a, signer{"k3", k1.private}.sign(t, "RS256", claims(nil))), reasonKey)
		}
		if n := site.requests(); n != 2 {
			t.Errorf("%d requests, want the first and one for the new key", n)
		}
		time.Sleep(unknownPause)
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() {
				expectRefusal(t, "invented key", shows(a, signer{"k3", k1.private}.sign(t, "RS256", claims(nil))), reasonKey)
			})
		}
		asking.Wait()
		if n := site.requests(); n != 3 {
			t.Errorf("%d requests, want one more", n)
		}
		// A key that is withdrawn is forgotten with the next refresh.
		site.set(says(200, string(jwksOf(t, k2))))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		expectRefusal(t, "withdrawn key", shows(a, first), reasonKey)
		expectRefusal(t, "remaining key", shows(a, second), "")
	})
}

// Whatever an issuer answers or does not, the last good keys stay.
func TestAnIssuerThatFails(t *testing.T) {
	private, err := os.ReadFile("testdata/private.jwks")
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"fails": fails, "hangs": hangs, "500": says(500, ""), "404": says(404, `{"keys":[]}`), "empty": says(200, `{"keys":[]}`),
		"garbage": says(200, "<html>"), "an array": says(200, "[]"), "null": says(200, "null"), "no keys": says(200, "{}"), "endless": says(200, "{"+strings.Repeat(" ", bodyMax)),
		"too many": says(200, `{"keys":[`+strings.Repeat(`{},`, keysMax)+`{}]}`), "a secret": says(200, string(private)),
	} {
		synctest.Test(t, func(t *testing.T) {
			key := newRSA("k1")
			text := key.sign(t, "RS256", claims(jwt.MapClaims{"exp": time.Now().Add(24 * time.Hour).Unix()}))
			a, site := withSite(t, says(200, string(jwksOf(t, key))))
			site.set(answer)
			time.Sleep(time.Hour)
			expectRefusal(t, name+": known key", shows(a, text), "")
			expectUnavailable(t, name+": unknown key", shows(a, signer{"k2", key.private}.sign(t, "RS256", claims(nil))))
			// As soon as it answers again, that is noticed within the time between refreshes.
			site.set(says(200, string(jwksOf(t, key))))
			time.Sleep(5*time.Minute + fetchTimeout)
			synctest.Wait()
			expectRefusal(t, name+": unknown key", shows(a, signer{"k2", key.private}.sign(t, "RS256", claims(nil))), reasonKey)
		})
	}
}

// Before the first answer nobody can judge; a device does not wait longer than it is given, and the keys are asked for again soon.
func TestAnIssuerThatIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newRSA("k1")
		a, site := withSite(t, fails)
		text := key.sign(t, "RS256", claims(nil))
		expectUnavailable(t, "without keys", shows(a, text))
		time.Sleep(time.Minute)
		if n := site.requests(); n < 5 || n > 8 {
			t.Errorf("%d requests in a minute, want 5 to 8: after 2, 4, 8 s and so on", n)
		}
		site.set(hangs)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := a.Authenticate(ctx, password(text))
		if expectUnavailable(t, "hanging", err); time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		site.set(says(200, string(jwksOf(t, key))))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		expectRefusal(t, "at last", shows(a, text), "")
	})
}

// Redirects are followed to where nobody can change the answer, and not for ever.
func TestRedirects(t *testing.T) {
	key := newRSA("k1")
	var target string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = w.Write(jwksOf(t, key))
			return
		}
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer site.Close()
	for name, c := range map[string]struct {
		target string
		ok     bool
	}{
		"to the keys": {site.URL + "/keys", true}, "in the open": {"http://issuer.example/keys", false}, "in circles": {site.URL + "/", false}, "to a file": {"file:///etc/passwd", false},
	} {
		target = c.target
		a := open(t, func(o *Options) { o.JWKS = site.URL })
		keys, err := a.remote.fetch(context.Background())
		if (err == nil) != c.ok || c.ok && len(keys) != 1 {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		a.remote.client.CloseIdleConnections()
	}
	for s, ok := range map[string]bool{
		"https://issuer.example/keys": true, "http://127.0.0.1:80/keys": true, "http://[::1]/keys": true, "http://localhost/keys": true,
		"http://issuer.example/keys": false, "http://127.0.0.1.example/": false, "http://localhost.example/": false, "ftp://127.0.0.1/": false, "https:///keys": false, "": false,
	} {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkURL(u); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Files are read again when they change; what cannot be used takes the place of nothing.
func TestFilesAreReadAgain(t *testing.T) {
	k1, k2 := newRSA("k1"), otherRSA("k2")
	name := file(t, jwksOf(t, k1))
	a := open(t, func(o *Options) { o.KeysFile = name })
	l := a.local[0]
	first, second := k1.sign(t, "RS256", claims(nil)), k2.sign(t, "RS256", claims(nil))
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		l.look(zap.NewNop(), func() {})
	}
	expectRefusal(t, "not yet", shows(a, second), reasonKey)
	write(jwksOf(t, k2))
	expectRefusal(t, "new key", shows(a, second), "")
	expectRefusal(t, "old key", shows(a, first), reasonKey)
	write([]byte("half"))
	expectRefusal(t, "broken file", shows(a, second), "")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	l.look(zap.NewNop(), func() { t.Error("a file that is gone changes something") })
	expectRefusal(t, "no file", shows(a, second), "")
	write(jwksOf(t, k1))
	expectRefusal(t, "mended", shows(a, first), "")
}

// Run looks at the files now and then.
func TestRunLooksAtFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k1, k2 := newRSA("k1"), otherRSA("k2")
		name := file(t, pemOf(t, k1))
		a := open(t, func(o *Options) { o.KeysFile = name })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Run(ctx, func() {})
		}()
		if err := os.WriteFile(name, pemOf(t, k1, k2), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(reload.Pause)
		synctest.Wait()
		expectRefusal(t, "added key", shows(a, k2.sign(t, "RS256", claims(nil))), "")
		cancel()
		<-done
	})
}

// A key that is withdrawn takes back what it has verified, and says so: from a file at once, from an issuer once it has been missing for a while, since one of its servers
// may not know it yet.
func TestWithdrawnKeysTakeBackWhatTheyVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k1, k2 := newRSA("k1"), otherRSA("k2")
		both, second := says(200, string(jwksOf(t, k1, k2))), says(200, string(jwksOf(t, k2)))
		changes := 0
		a, site := withSiteThatTells(t, both, func() { changes++ })
		first, other := shownBy(t, a, k1), shownBy(t, a, k2)
		holds := func(what string, want bool, told int) {
			t.Helper()
			synctest.Wait()
			if err := a.Holds(first); (err == nil) != want {
				t.Errorf("%s: what the first key has verified: %v", what, err)
			}
			if err := a.Holds(other); err != nil {
				t.Errorf("%s: what the other key has verified: %v", what, err)
			}
			if changes != told {
				t.Errorf("%s: a change is told %d times, want %d", what, changes, told)
			}
		}
		refresh := a.opt.Refresh
		holds("at first", true, 0)
		site.set(second)
		time.Sleep(refresh)
		holds("missing once", true, 0)
		expectRefusal(t, "missing once", shows(a, k1.sign(t, "RS256", claims(nil))), reasonKey)
		site.set(both)
		time.Sleep(refresh)
		holds("there again", true, 0)
		site.set(second)
		time.Sleep(refresh)
		expectRefusal(t, "out of turn", shows(a, signer{"k3", k1.private}.sign(t, "RS256", claims(nil))), reasonKey)
		holds("missing in two answers just now", true, 0)
		site.set(fails)
		time.Sleep(refresh)
		holds("nobody answers", true, 0)
		site.set(second)
		time.Sleep(refresh)
		holds("missing for long", false, 1)
		time.Sleep(3 * refresh)
		holds("missing for longer", false, 1)
	})
}

// shownBy gives the principal of a token of this key.
func shownBy(t *testing.T, a *Authenticator, k signer) *access.Principal {
	t.Helper()
	p, err := a.Authenticate(t.Context(), password(k.sign(t, "RS256", claims(nil))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Of several keys without a name that were tried, the one that has verified a token counts. A secret of a file is a key like any other.
func TestWithdrawnKeysOfAFile(t *testing.T) {
	k1, k2 := newRSA(""), otherRSA("")
	name, hidden := file(t, pemOf(t, k1, k2)), file(t, []byte(secretText))
	a := open(t, func(o *Options) { o.KeysFile, o.SecretFile = name, hidden })
	first, second := shownBy(t, a, k1), shownBy(t, a, k2)
	third, err := a.Authenticate(t.Context(), password(signer{"", []byte(secretText)}.sign(t, "HS256", claims(nil))))
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	write := func(l *local, name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		l.look(zap.NewNop(), func() { changes++ })
	}
	expect := func(what string, told int, want ...bool) {
		t.Helper()
		for i, p := range []*access.Principal{first, second, third} {
			if err := a.Holds(p); (err == nil) != want[i] {
				t.Errorf("%s: principal %d: %v", what, i+1, err)
			}
		}
		if changes != told {
			t.Errorf("%s: a change is told %d times, want %d", what, changes, told)
		}
	}
	expect("at first", 0, true, true, true)
	write(a.local[0], name, []byte("half"))
	expect("a broken file", 0, true, true, true)
	write(a.local[0], name, pemOf(t, k2))
	expect("the first is gone", 1, false, true, true)
	write(a.local[0], name, jwksOf(t, signer{"named", k1.private}))
	expect("it is back under a name, and the second is gone", 2, true, false, true)
	write(a.local[1], hidden, []byte(secretText+"another"))
	expect("another secret", 3, true, false, false)
}

// An issuer that has other keys with each answer fills nothing: what is more than may be missing is withdrawn.
func TestMissingKeysAreBounded(t *testing.T) {
	r := newRemote(&Options{Refresh: time.Hour}, newMetrics(prometheus.NewRegistry()))
	withdrawn := 0
	for i := range missingMax + 3 {
		if r.answered([]key{{mark: fmt.Sprint(i)}}, nil) {
			withdrawn++
		}
	}
	if len(r.missing) != missingMax || withdrawn != 2 || !r.holds("0") || r.holds(fmt.Sprint(missingMax+1)) {
		t.Errorf("%d keys are missing, %d times some are withdrawn; want %d and 2", len(r.missing), withdrawn, missingMax)
	}
}
