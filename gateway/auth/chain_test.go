package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// says is an authenticator with one answer.
type says struct {
	p     *access.Principal
	err   error
	asked int
	gone  error
}

func (s *says) Authenticate(context.Context, *access.Attempt) (*access.Principal, error) {
	s.asked++
	return s.p, s.err
}

func (s *says) Holds(*access.Principal) error { return s.gone }

func principal(name string) *access.Principal {
	return &access.Principal{Tenant: access.DefaultTenant, Name: name, Source: "x"}
}

// TestTheFirstThatJudgesDecides; whoever cannot judge at present lets nobody in, and nobody is asked in its place.
func TestTheFirstThatJudgesDecides(t *testing.T) {
	refused := &access.Refused{Reason: "no", Detail: "no"}
	down := errors.New("down")
	for _, c := range []struct {
		name  string
		first *says
		next  *says
		who   string
		by    string
		err   error
		asked int // of next
	}{
		{"the first", &says{p: principal("a")}, &says{p: principal("b")}, "a", "first", nil, 0},
		{"not for the first", &says{err: access.ErrNotMine}, &says{p: principal("b")}, "b", "next", nil, 1},
		{"refused", &says{err: refused}, &says{p: principal("b")}, "", "first", refused, 0},
		{"wrapped", &says{err: fmt.Errorf("x: %w", access.ErrNotMine)}, &says{p: principal("b")}, "b", "next", nil, 1},
		{"down", &says{err: down}, &says{p: principal("b")}, "", "first", down, 0},
		{"for nobody", &says{err: access.ErrNotMine}, &says{err: access.ErrNotMine}, "", Nobody, &access.Refused{Reason: ReasonNoCredential}, 1},
		{"no principal", &says{}, &says{p: principal("b")}, "", "first", errors.New("a bug"), 0},
		{"without a tenant", &says{p: &access.Principal{Name: "a"}}, &says{}, "", "first", &access.Refused{Reason: ReasonNotUsable}, 0},
		{"endless", &says{p: principal(strings.Repeat("a", access.NameMax+1))}, &says{}, "", "first", &access.Refused{Reason: ReasonNotUsable}, 0},
		{"the name of those who show nothing", &says{p: principal(access.AnonymousName)}, &says{}, "", "first", &access.Refused{Reason: ReasonNotUsable}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := Chain{Methods: []Method{{"first", c.first}, {"next", c.next}}}
			p, by, err := chain.Authenticate(t.Context(), &access.Attempt{})
			if by != c.by || c.next.asked != c.asked || (p != nil) != (c.who != "") || p != nil && p.Name != c.who {
				t.Errorf("%v by %s, next asked %d times; want %q by %s, %d times", p, by, c.next.asked, c.who, c.by, c.asked)
			}
			var got, want *access.Refused
			if (err == nil) != (c.err == nil) || errors.As(err, &got) != errors.As(c.err, &want) || got != nil && got.Reason != want.Reason {
				t.Errorf("error %v, want %v", err, c.err)
			}
		})
	}
}

// TestWithoutMethodsNobodyIsLetIn, whatever he shows.
func TestWithoutMethodsNobodyIsLetIn(t *testing.T) {
	for _, a := range []*access.Attempt{{}, {UserName: "u", HasUserName: true}, {Certificate: "c"}} {
		if p, _, err := new(Chain).Authenticate(t.Context(), a); p != nil || err == nil {
			t.Errorf("%+v: %v, %v", a, p, err)
		}
	}
}

func TestMethodsOfTheirOwn(t *testing.T) {
	secret := &access.Attempt{UserName: "u", HasUserName: true, Password: []byte("p"), HasPassword: true}
	for _, c := range []struct {
		name   string
		method access.Authenticator
		a      *access.Attempt
		want   string // empty: not for it
	}{
		{"nothing", Anonymous{}, &access.Attempt{}, access.AnonymousName},
		{"a certificate beside", Anonymous{}, &access.Attempt{Certificate: "c"}, access.AnonymousName},
		{"a user name", Anonymous{}, secret, ""},
		{"a password alone", Anonymous{}, &access.Attempt{HasPassword: true}, ""},
		{"an Authentication Method", Anonymous{}, &access.Attempt{Method: "X"}, ""},
		{"everyone", Anonymous{Everyone: true}, secret, access.AnonymousName},
		{"a certificate", Certificate{}, &access.Attempt{Certificate: "press-7", Serial: "1f"}, "press-7"},
		{"none", Certificate{}, secret, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.method.Authenticate(t.Context(), c.a)
			if c.want == "" && !errors.Is(err, access.ErrNotMine) || c.want != "" && (err != nil || p.Name != c.want) {
				t.Errorf("%+v, %v; want %q", p, err, c.want)
			}
		})
	}
	p, _ := Certificate{}.Authenticate(t.Context(), &access.Attempt{Certificate: "press-7", Serial: "1f"})
	if p.Credential != "certificate:press-7/1f" || p.Source != MethodCertificate {
		t.Errorf("%+v", p)
	}
}

// TestHoldsAsksWhoHasLetHimIn, and nobody else.
func TestHoldsAsksWhoHasLetHimIn(t *testing.T) {
	gone := errors.New("gone")
	chain := Chain{Methods: []Method{{MethodAnonymous, Anonymous{}}, {"x", &says{gone: gone}}, {"y", &says{}}}}
	for source, want := range map[string]error{"x": gone, "y": nil, MethodAnonymous: nil, "of before": nil} {
		if err := chain.Holds(&access.Principal{Source: source}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", source, err, want)
		}
	}
}

// TestAnswersToFailuresAreLate, later with each; a success makes up for it, and who gives up waiting is not waited for.
func TestAnswersToFailuresAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &says{err: &access.Refused{Reason: "wrong"}}
		chain := Chain{Brake: NewBrake(), Methods: []Method{{"x", m}}}
		a := &access.Attempt{Remote: netip.MustParseAddr("10.0.0.1"), UserName: "u"}
		took := func(ctx context.Context) time.Duration {
			begin := time.Now()
			_, _, _ = chain.Authenticate(ctx, a)
			return time.Since(begin)
		}
		var got []time.Duration
		for range 7 {
			got = append(got, took(t.Context()))
		}
		if want := "[100ms 200ms 400ms 800ms 1.6s 3.2s 3.2s]"; fmt.Sprint(got) != want {
			t.Errorf("delays %v, want %s", got, want)
		}
		m.p, m.err = principal("u"), nil
		if d := took(t.Context()); d != 0 {
			t.Errorf("a right one takes %v", d)
		}
		m.err = &access.Refused{Reason: "wrong"}
		if d := took(t.Context()); d != delayFirst {
			t.Errorf("after a right one a failure takes %v", d)
		}
		for range 6 {
			took(t.Context())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := took(ctx); d != time.Second {
			t.Errorf("with a second to wait it takes %v", d)
		}
		m.err = errors.New("down")
		if d := took(t.Context()); d != 0 {
			t.Errorf("what is no failure of the device takes %v", d)
		}
	})
}

// TestWhatCannotBeGuessedSlowsNobody: many devices behind one address whose tokens have ended, all without a user name.
func TestWhatCannotBeGuessedSlowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &says{err: &access.Refused{Reason: "ended", Unguessable: true}}
		chain := Chain{Brake: NewBrake(), Methods: []Method{{"x", m}}}
		at := func(user string) *access.Attempt {
			return &access.Attempt{Remote: netip.MustParseAddr("10.0.0.1"), UserName: user}
		}
		for i := range 2 * addressFree {
			begin := time.Now()
			_, _, err := chain.Authenticate(t.Context(), at(""))
			if d := time.Since(begin); err == nil || d != delayFirst {
				t.Fatalf("attempt %d: %v after %v, want a refusal after %v", i, err, d, delayFirst)
			}
		}
		for _, user := range []string{"", "u"} {
			if !chain.Brake.Ask(time.Now(), at(user)) {
				t.Errorf("%q is not looked at", user)
			}
		}
		m.err = &access.Refused{Reason: "wrong"}
		begin := time.Now()
		_, _, _ = chain.Authenticate(t.Context(), at(""))
		if d := time.Since(begin); d != delayFirst {
			t.Errorf("the first guess is answered after %v, want %v", d, delayFirst)
		}
		if _, _, err := (&Chain{Methods: []Method{{"x", &says{err: &access.Refused{Reason: "ended", Unguessable: true}}}}}).Authenticate(t.Context(), at("")); err == nil {
			t.Error("without a brake it is let in")
		}
	})
}

// TestDetailsHaveNoSecret: what a Chain itself says of an attempt.
func TestDetailsHaveNoSecret(t *testing.T) {
	_, _, err := new(Chain).Authenticate(t.Context(), &access.Attempt{UserName: "u", Password: []byte("hush"), HasPassword: true, Data: []byte("hush")})
	if strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}
