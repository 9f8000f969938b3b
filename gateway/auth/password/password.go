package password

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/reload"
)

// The reasons of refusals (access.Refused.Reason). A device is told the same for all of them.
const (
	ReasonUnknownUser   = "unknown-user"
	ReasonWrongPassword = "wrong-password"
	ReasonNoPassword    = "no-password"
)

// Options are what an Authenticator is made of.
type Options struct {
	Key    string // of the configuration, for errors: auth.password_file
	File   string
	Brake  *auth.Brake
	Logger *zap.Logger
	// Registry takes the metric that says whether a changed file cannot be used.
	Registry prometheus.Registerer
}

// Authenticator judges attempts with a user name. Open makes one.
type Authenticator struct {
	opt    Options
	source reload.Source[*table]
	users  atomic.Pointer[table]
	stale  prometheus.Gauge
	slots  *slots
	proven *proven
	// decoys says with whose hash an unknown user is compared; nobody is the one where the file has none.
	decoys [32]byte
	nobody *user
}

// Open reads the file for the first time. The error names the key, the file, the line and the way to mend it.
func Open(o Options) (*Authenticator, error) {
	a := &Authenticator{opt: o, slots: newSlots(waitingMax), proven: newProven()}
	a.stale = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "password_file_stale",
		Help: "1 while the file of passwords has changed and cannot be used: what was there before stays in force."})
	o.Registry.MustRegister(a.stale)
	_, _ = rand.Read(a.decoys[:]) // never fails (crypto/rand)
	h, err := Hash(a.decoys[:])
	if err != nil {
		return nil, err
	}
	parsed, err := parseHash(h)
	if err != nil {
		return nil, err
	}
	a.nobody = &user{hash: parsed}
	a.source = reload.Source[*table]{Name: "password_file", Files: []string{o.File}, Read: func(time.Time) (*table, error) {
		content, err := reload.ReadFile(o.Key, o.File, fileMax)
		if err != nil {
			return nil, err
		}
		t, err := parse(content, a.users.Load())
		if err != nil {
			return nil, fmt.Errorf("%s: %q, %w", o.Key, o.File, err)
		}
		return t, nil
	}}
	if err := a.source.Open(time.Now()); err != nil {
		return nil, err
	}
	a.users.Store(a.source.Value)
	return a, nil
}

// Run looks for changes of the file until ctx ends. After each it calls changed, since Holds may say something else now.
func (a *Authenticator) Run(ctx context.Context, changed func()) {
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.look(changed)
		case <-ctx.Done():
			return
		}
	}
}

func (a *Authenticator) look(changed func()) {
	news, err := a.source.Look(time.Now())
	switch {
	case !news:
	case err != nil:
		a.stale.Set(1)
		a.opt.Logger.Error("the changed file of passwords cannot be used; what was there before stays in use", zap.Error(err))
	default:
		a.stale.Set(0)
		a.users.Store(a.source.Value)
		a.opt.Logger.Info("the changed file of passwords is in use", zap.String("file", a.opt.File), zap.Int("users", len(a.source.Value.users)))
		changed()
	}
}

// Holds says whether the line that a principal has logged in with is still there as it was.
func (a *Authenticator) Holds(p *access.Principal) error {
	u := a.users.Load().byName[p.Name]
	switch {
	case u == nil:
		return fmt.Errorf("%q is no longer in %s", p.Name, a.opt.Key)
	case u.principal != p:
		return fmt.Errorf("%q has changed in %s", p.Name, a.opt.Key)
	}
	return nil
}

// Authenticate judges an attempt that has a user name. When more passwords are to be checked than there is room for, the error is no refusal.
func (a *Authenticator) Authenticate(ctx context.Context, t *access.Attempt) (*access.Principal, error) {
	switch {
	case t.Method != "" || t.UserName == "":
		return nil, access.ErrNotMine
	case !t.HasPassword:
		return nil, &access.Refused{Reason: ReasonNoPassword, Detail: "a user name without a password"}
	}
	u := a.users.Load().byName[t.UserName]
	if u == nil {
		if err := a.check(ctx, t, a.decoy(t.UserName), mac{}); err != nil && !errors.Is(err, errWrong) {
			return nil, err
		}
		return nil, &access.Refused{Reason: ReasonUnknownUser, Detail: fmt.Sprintf("there is no user %q in %s", shown(t.UserName), a.opt.Key)}
	}
	m := a.proven.of(u, t.Password)
	if a.proven.has(time.Now(), m) {
		return u.principal, nil
	}
	switch err := a.check(ctx, t, u, m); {
	case errors.Is(err, errWrong):
		return nil, &access.Refused{Reason: ReasonWrongPassword, Detail: fmt.Sprintf("the password is not that of %q", t.UserName)}
	case err != nil:
		return nil, err
	}
	return u.principal, nil
}

// errWrong: the password does not match.
var errWrong = errors.New("wrong")

// check holds the password against the hash of a user, when it is the attempt's turn. m is the MAC of a right one, zero for a decoy.
func (a *Authenticator) check(ctx context.Context, t *access.Attempt, u *user, m mac) error {
	slowed := &access.Refused{Reason: auth.ReasonSlowed, Detail: fmt.Sprintf("too many attempts as %q, or from %v, have failed; this one was not looked at", shown(t.UserName), t.Remote)}
	if !a.opt.Brake.Allows(time.Now(), t) {
		return slowed // without waiting for a slot
	}
	if err := a.slots.take(ctx); err != nil {
		return err
	}
	defer a.slots.giveBack()
	now := time.Now()
	if m != (mac{}) && a.proven.has(now, m) {
		return nil // another device has shown the same meanwhile
	}
	if !a.opt.Brake.Ask(now, t) {
		return slowed
	}
	if len(t.Password) > passwordMax || !u.hash.matches(t.Password) || m == (mac{}) {
		return errWrong
	}
	a.proven.add(now, m)
	return nil
}

// decoy is the user with whose hash an unknown one is compared: always the same for a name, so that the time it takes tells nothing.
func (a *Authenticator) decoy(name string) *user {
	users := a.users.Load().users
	if len(users) == 0 {
		return a.nobody
	}
	h := hmac.New(sha256.New, a.decoys[:])
	h.Write([]byte(name))
	return users[binary.BigEndian.Uint64(h.Sum(nil))%uint64(len(users))]
}

// shown is as much of a name as goes into a log: whoever takes the fields for each other may have put a secret there.
func shown(name string) string {
	const most = 32
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}
