package password

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/bcrypt"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/reload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hashes are made once: they are to take time.
var hashOf = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, p := range []string{"apple", "berry"} {
		h, err := Hash([]byte(p))
		if err != nil {
			panic(err)
		}
		all[p] = h
	}
	b, err := bcrypt.GenerateFromPassword([]byte("cherry"), bcryptCostMin)
	if err != nil {
		panic(err)
	}
	all["cherry"] = string(b)
	return all
})

// put replaces the file in one step.
func put(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(file+".new", []byte(content), 0o600), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
}

// open gives an authenticator over a file with this content.
func open(t *testing.T, content string) (a *Authenticator, file string, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	file = filepath.Join(t.TempDir(), "passwords")
	put(t, file, content)
	a, err := Open(Options{Key: "auth.password_file", File: file, Brake: auth.NewBrake(), Logger: zap.New(core), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return a, file, logs
}

func attempt(user, password string) *access.Attempt {
	return &access.Attempt{Remote: netip.MustParseAddr("10.0.0.1"), UserName: user, HasUserName: true, Password: []byte(password), HasPassword: true}
}

// reasonOf is the reason of a refusal, "" for success, or "error".
func reasonOf(err error) string {
	refused := (*access.Refused)(nil)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Reason
	case errors.Is(err, access.ErrNotMine):
		return "not-mine"
	}
	return "error"
}

func TestWhoIsLetIn(t *testing.T) {
	a, _, _ := open(t, "# comment\n\nada:"+hashOf()["apple"]+"\nbob:"+hashOf()["cherry"]+":plant:presses,hall 1\r\n")
	for _, c := range []struct {
		name string
		a    *access.Attempt
		want string
	}{
		{"Argon2id", attempt("ada", "apple"), ""},
		{"bcrypt", attempt("bob", "cherry"), ""},
		{"the password of another", attempt("ada", "cherry"), ReasonWrongPassword},
		{"empty", attempt("ada", ""), ReasonWrongPassword},
		{"longer", attempt("ada", "apple\x00"), ReasonWrongPassword},
		{"a case of its own", attempt("Ada", "apple"), ReasonUnknownUser},
		{"what bcrypt would cut off", attempt("bob", "cherry"+strings.Repeat("x", 80)), ReasonWrongPassword},
		{"endless", attempt("ada", strings.Repeat("x", passwordMax+1)), ReasonWrongPassword},
		{"a comment", attempt("# comment", "apple"), ReasonUnknownUser},
		{"no password", &access.Attempt{UserName: "ada", HasUserName: true}, ReasonNoPassword},
		{"no user name", &access.Attempt{Password: []byte("apple"), HasPassword: true}, "not-mine"},
		{"an Authentication Method", &access.Attempt{Method: "X", UserName: "ada", HasUserName: true, Password: []byte("apple"), HasPassword: true}, "not-mine"},
		{"nothing", &access.Attempt{}, "not-mine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := a.Authenticate(t.Context(), c.a)
			if got := reasonOf(err); got != c.want || (p != nil) != (c.want == "") {
				t.Errorf("%+v, %v; want %q", p, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "apple") || strings.Contains(err.Error(), "cherry")) {
				t.Errorf("%v shows a password", err)
			}
		})
	}
	p, err := a.Authenticate(t.Context(), attempt("bob", "cherry"))
	if err != nil || p.Tenant != "plant" || p.Name != "bob" || fmt.Sprint(p.Groups) != "[presses hall 1]" || p.Source != Method || p.Credential != "password:bob" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = a.Authenticate(t.Context(), attempt("ada", "apple")); err != nil || p.Tenant != access.DefaultTenant {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestAnEmptyFileLetsNobodyIn, and takes its time for it.
func TestAnEmptyFileLetsNobodyIn(t *testing.T) {
	a, _, _ := open(t, "")
	if _, err := a.Authenticate(t.Context(), attempt("ada", "apple")); reasonOf(err) != ReasonUnknownUser {
		t.Error(err)
	}
}

// counting is a hash that counts how often it is computed.
type counting struct {
	hash
	n *int
}

func (c counting) matches(p []byte) bool {
	*c.n++
	return c.hash.matches(p)
}

// TestUnknownUsersCostAHash: the hash of somebody in the file, always the same for a name.
func TestUnknownUsersCostAHash(t *testing.T) {
	a, _, _ := open(t, "ada:"+hashOf()["apple"]+"\nbob:"+hashOf()["cherry"]+"\n")
	n := map[string]*int{"ada": new(int), "bob": new(int)}
	for name, u := range a.users.Load().byName {
		u.hash = counting{u.hash, n[name]}
	}
	decoys := map[*user]int{}
	for i := range 200 {
		name := fmt.Sprint("stranger", i)
		decoys[a.decoy(name)]++
		if a.decoy(name) != a.decoy(name) {
			t.Error("the decoy of a name changes: averages would tell it from a user")
		}
	}
	if len(decoys) != 2 {
		t.Errorf("decoys are %v, want both users", decoys)
	}
	for i := range 3 {
		before := *n["ada"] + *n["bob"]
		if _, err := a.Authenticate(t.Context(), attempt(fmt.Sprint("stranger", i), "apple")); reasonOf(err) != ReasonUnknownUser {
			t.Error(err)
		}
		if *n["ada"]+*n["bob"] != before+1 {
			t.Errorf("stranger%d cost %d hashes, want one", i, *n["ada"]+*n["bob"]-before)
		}
	}
}

// TestARightPasswordIsRemembered for some minutes, a wrong one is not, and a change of the line forgets it.
func TestARightPasswordIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file, _ := open(t, "ada:"+hashOf()["apple"]+"\n")
		n := new(int)
		count := func() { u := a.users.Load().byName["ada"]; u.hash = counting{u.hash, n} }
		count()
		login := func(password, want string, hashes int) {
			t.Helper()
			*n = 0
			if _, err := a.Authenticate(t.Context(), attempt("ada", password)); reasonOf(err) != want || *n != hashes {
				t.Errorf("%q after %d hashes, want %q after %d", reasonOf(err), *n, want, hashes)
			}
		}
		login("apple", "", 1)
		login("apple", "", 0)
		login("berry", ReasonWrongPassword, 1)
		login("berry", ReasonWrongPassword, 1)
		time.Sleep(2*provenPeriod - time.Second)
		login("apple", "", 0)
		time.Sleep(2 * time.Second) // being used does not renew it
		login("apple", "", 1)
		login("apple", "", 0)
		put(t, file, "ada:"+hashOf()["berry"]+"\n")
		a.look(func() {})
		count()
		login("apple", ReasonWrongPassword, 1)
		login("berry", "", 1)
	})
}

// staleness is the metric of that name.
func staleness(t *testing.T, a *Authenticator) float64 {
	t.Helper()
	families, err := a.opt.Registry.(*prometheus.Registry).Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "sluice_password_file_stale" {
		t.Fatal(families, err)
	}
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

// TestTheFileIsReadAgain: who is gone or has changed does not hold any more, all others do; a broken file changes nothing.
func TestTheFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apple, berry := hashOf()["apple"], hashOf()["berry"]
		a, file, logs := open(t, "ada:"+apple+"\nbob:"+apple+"\ncyd:"+apple+"\ndan:"+apple+"\n")
		ctx, cancel := context.WithCancel(t.Context())
		changes := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Run(ctx, func() { changes++ })
		}()
		defer func() { cancel(); <-done }()
		in := map[string]*access.Principal{}
		for _, name := range []string{"ada", "bob", "cyd", "dan"} {
			p, err := a.Authenticate(ctx, attempt(name, "apple"))
			if err != nil {
				t.Fatal(err)
			}
			in[name] = p
		}
		pass := func() { time.Sleep(reload.Pause + time.Second); synctest.Wait() }
		put(t, file, "ada:"+apple+"\nbob:nonsense\n")
		pass()
		if changes != 0 || a.Holds(in["bob"]) != nil || a.Holds(in["cyd"]) != nil {
			t.Error("a broken file is in use")
		}
		if v := staleness(t, a); v != 1 {
			t.Errorf("stale is %v with a broken file, want 1", v)
		}
		if l := logs.FilterLevelExact(zap.ErrorLevel).All(); len(l) != 1 || !strings.Contains(fmt.Sprint(l[0].ContextMap()["error"]), `auth.password_file`) ||
			!strings.Contains(fmt.Sprint(l[0].ContextMap()["error"]), "line 2") {
			t.Errorf("told %v", l)
		}
		put(t, file, "dan:"+apple+":plant\nada:"+apple+"\nbob:"+berry+"\n")
		pass()
		if changes != 1 {
			t.Errorf("%d changes, want one", changes)
		}
		if v := staleness(t, a); v != 0 {
			t.Errorf("stale is %v with the mended file, want 0", v)
		}
		for name, holds := range map[string]bool{"ada": true, "bob": false, "cyd": false, "dan": false} {
			if err := a.Holds(in[name]); (err == nil) != holds {
				t.Errorf("%s: %v, want holds %t", name, err, holds)
			}
		}
		if _, err := a.Authenticate(ctx, attempt("cyd", "apple")); reasonOf(err) != ReasonUnknownUser {
			t.Error(err)
		}
	})
}

// TestHashesAreBounded: one slot, one place to wait; a third is told that this cannot be judged now, and so is one whose time is over.
func TestHashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := open(t, "ada:"+hashOf()["apple"]+"\n")
		a.slots = &slots{free: make(chan struct{}, 1), waiting: make(chan struct{}, 1)}
		if err := a.slots.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		waits := make(chan error)
		login := func(ctx context.Context) { _, err := a.Authenticate(ctx, attempt("ada", "apple")); waits <- err }
		go login(t.Context())
		synctest.Wait()
		if _, err := a.Authenticate(t.Context(), attempt("ada", "apple")); reasonOf(err) != "error" {
			t.Errorf("a third: %v", err)
		}
		a.slots.giveBack()
		if err := <-waits; err != nil {
			t.Errorf("the one that waited: %v", err)
		}
		if err := a.slots.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _, err := a.Authenticate(ctx, attempt("ada", "wrong")); waits <- err }()
		if err := <-waits; reasonOf(err) != "error" {
			t.Errorf("after its time: %v", err)
		}
		a.slots.giveBack()
	})
}

// TestGuessingIsSlowed: behind a Chain, from some failures on the hash is not computed; a neighbour with another name still gets in at once.
func TestGuessingIsSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := open(t, "ada:"+hashOf()["cherry"]+"\nbob:"+hashOf()["cherry"]+"\n")
		n := new(int)
		for _, u := range a.users.Load().byName {
			u.hash = counting{u.hash, n}
		}
		chain := auth.Chain{Brake: a.opt.Brake, Methods: []auth.Method{{Name: Method, Authenticator: a}}}
		slowed := 0
		for i := range 30 {
			_, _, err := chain.Authenticate(t.Context(), attempt("ada", fmt.Sprint("guess", i)))
			if reasonOf(err) == auth.ReasonSlowed {
				slowed++
			}
		}
		if *n > 12 || slowed < 18 {
			t.Errorf("%d of 30 guesses were hashed, %d refused unseen", *n, slowed)
		}
		begin := time.Now()
		if _, _, err := chain.Authenticate(t.Context(), attempt("bob", "cherry")); err != nil || time.Since(begin) > time.Second {
			t.Errorf("the neighbour: %v after %v", err, time.Since(begin))
		}
	})
}
