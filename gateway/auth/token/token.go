package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
)

// source is Principal.Source, and the scheme of Principal.Credential.
const source = "jwt"

// Methods are the Authentication Methods (MQTT 5, 4.12) whose Authentication Data is a token. The names are those of Azure Event Grid.
var Methods = []string{"OAUTH2-JWT", "CUSTOM-JWT"}

// The reasons for which a token is refused.
const (
	reasonMalformed = "token-malformed"
	reasonAlgorithm = "token-algorithm"
	reasonKey       = "token-unknown-key"
	reasonSignature = "token-signature"
	reasonExpired   = "token-expired"
	reasonIssuer    = "token-issuer"
	reasonAudience  = "token-audience"
	reasonClaims    = "token-claims"
)

func refuse(reason, format string, args ...any) error {
	return &access.Refused{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Options are what an Authenticator is made of. At least one of KeysFile, SecretFile and JWKS is set.
type Options struct {
	Rules Rules
	// Algorithms are those allowed, of Asymmetric and Symmetric.
	Algorithms []string
	// KeysFile has public keys: PEM, a JSON Web Key or a set of them. SecretFile has the secret of an HMAC. Both are read again when they change.
	KeysFile, SecretFile string
	// JWKS is the URL of a set of JSON Web Keys: https, or http on a loopback address. It is asked again every Refresh.
	JWKS    string
	Refresh time.Duration
	// TLS is for JWKS; nil is the default of the system.
	TLS *tls.Config
	// MatchUserName refuses a CONNECT whose user name is neither empty nor the principal.
	MatchUserName bool
	Logger        *zap.Logger
	Registry      prometheus.Registerer
}

// Authenticator judges tokens. Run keeps its keys current.
type Authenticator struct {
	opt    Options
	parser *jwt.Parser
	local  []*local
	remote *remote // nil: none
}

// Open reads the files. The URL is asked by Run: a node starts although an issuer is away.
func Open(opt Options) (*Authenticator, error) {
	a := &Authenticator{opt: opt, parser: jwt.NewParser(jwt.WithJSONNumber(), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())}
	m := newMetrics(opt.Registry)
	for _, f := range []struct {
		key, name string
		parse     func([]byte) ([]key, error)
	}{{"auth.jwt.keys_file", opt.KeysFile, parseKeys}, {"auth.jwt.secret_file", opt.SecretFile, parseSecret}} {
		if f.name == "" {
			continue
		}
		l, err := openLocal(f.key, f.name, f.parse)
		if err != nil {
			return nil, err
		}
		a.local = append(a.local, l)
	}
	if opt.JWKS != "" {
		a.remote = newRemote(&opt, m)
	}
	return a, nil
}

// Run keeps the keys current until ctx ends. When some are withdrawn it calls changed, since Holds may say something else now.
func (a *Authenticator) Run(ctx context.Context, changed func()) {
	var work sync.WaitGroup
	if a.remote != nil {
		work.Go(func() { a.remote.run(ctx, changed) })
	}
	if len(a.local) > 0 {
		work.Go(func() { a.watch(ctx, changed) })
	}
	work.Wait()
}

// Authenticate judges the token of an attempt: the password, if it looks like one, or the data of one of Methods.
func (a *Authenticator) Authenticate(ctx context.Context, t *access.Attempt) (*access.Principal, error) {
	p, err := a.judge(ctx, t)
	if refused := (*access.Refused)(nil); errors.As(err, &refused) {
		refused.Unguessable = true // many devices behind one address may have tokens that have ended, or of an issuer that has changed its keys
	}
	return p, err
}

func (a *Authenticator) judge(ctx context.Context, t *access.Attempt) (*access.Principal, error) {
	text, err := shown(t)
	if err != nil {
		return nil, err
	}
	claims, by, err := a.verify(ctx, text)
	if err != nil {
		return nil, err
	}
	p, err := a.opt.Rules.judge(claims, time.Now())
	if err != nil {
		return nil, err
	}
	p.Key = by.mark
	if a.opt.MatchUserName && t.UserName != "" && t.UserName != p.Name {
		return nil, refuse(reasonClaims, "the user name is not that of the token's principal")
	}
	return p, nil
}

// shown gives what an attempt shows as a token. Passwords of people do not begin like a JSON object in base64url, so they are left to others.
func shown(t *access.Attempt) (string, error) {
	text := string(t.Data)
	switch {
	case t.Method != "" && !slices.Contains(Methods, t.Method):
		return "", access.ErrNotMine
	case t.Method == "":
		if text = string(t.Password); !strings.HasPrefix(text, "eyJ") || strings.Count(text, ".") != 2 {
			return "", access.ErrNotMine
		}
	}
	if len(text) > tokenMax {
		return "", refuse(reasonMalformed, "it has %d bytes; at most %d are read", len(text), tokenMax)
	}
	return text, nil
}

// Holds says whether the key that has verified a principal's token is still there.
func (a *Authenticator) Holds(p *access.Principal) error {
	for _, l := range a.local {
		if has(*l.keys.Load(), p.Key) {
			return nil
		}
	}
	if a.remote != nil && a.remote.holds(p.Key) {
		return nil
	}
	return errors.New("the key of its token was withdrawn")
}

// verify gives the claims of a token whose signature is good, and the key that says so.
func (a *Authenticator) verify(ctx context.Context, text string) (claims jwt.MapClaims, by *key, err error) {
	claims = jwt.MapClaims{}
	var tried []*key
	t, err := a.parser.ParseWithClaims(text, claims, func(t *jwt.Token) (_ any, err error) {
		if tried, err = a.keysFor(ctx, t); err != nil {
			return nil, err
		}
		set := jwt.VerificationKeySet{}
		for _, k := range tried {
			set.Keys = append(set.Keys, k.verifier())
		}
		return set, nil
	})
	var refused *access.Refused
	var cannot *unavailable
	switch {
	case err == nil:
		return claims, whose(t, tried), nil
	case errors.As(err, &refused):
		return nil, nil, refused
	case errors.As(err, &cannot):
		return nil, nil, cannot
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, nil, refuse(reasonMalformed, "it is no signed token (three parts in base64url, of which two are JSON)")
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return nil, nil, refuse(reasonAlgorithm, "its algorithm is not known")
	}
	return nil, nil, refuse(reasonSignature, "the signature is not of a key that is known")
}

// whose finds the key that has verified a token, among those that were tried in their order.
func whose(t *jwt.Token, tried []*key) *key {
	signed := t.Raw[:strings.LastIndexByte(t.Raw, '.')]
	for _, k := range tried[:len(tried)-1] {
		if t.Method.Verify(signed, t.Signature, k.verifier()) == nil {
			return k
		}
	}
	return tried[len(tried)-1]
}

// keysFor gives the keys to verify a token with. The header is not trusted: it chooses among what is configured.
func (a *Authenticator) keysFor(ctx context.Context, t *jwt.Token) ([]*key, error) {
	algorithm := t.Method.Alg()
	if !slices.Contains(a.opt.Algorithms, algorithm) {
		return nil, refuse(reasonAlgorithm, "its algorithm is %s; auth.jwt.algorithms has %q", algorithm, a.opt.Algorithms)
	}
	if _, critical := t.Header["crit"]; critical {
		return nil, refuse(reasonMalformed, "its header has critical extensions, none of which is understood (RFC 7515, 4.1.11)")
	}
	id, isText := t.Header["kid"].(string)
	if _, named := t.Header["kid"]; named && !isText {
		return nil, refuse(reasonMalformed, "the name of its key (kid) is no text")
	}
	found := candidates(a.keys(), id, algorithm)
	if len(found) == 0 && a.remote != nil && slices.Contains(Asymmetric, algorithm) {
		if err := a.remote.renew(ctx); err != nil {
			return nil, err
		}
		found = candidates(a.keys(), id, algorithm)
	}
	if len(found) == 0 {
		return nil, refuse(reasonKey, "no key that is known is named %.100q and does for %s", id, algorithm)
	}
	return found, nil
}

// keys are all that are known now.
func (a *Authenticator) keys() (all []key) {
	for _, l := range a.local {
		all = append(all, *l.keys.Load()...)
	}
	if a.remote != nil {
		all = append(all, a.remote.known()...)
	}
	return all
}

// unavailable: nobody can judge at present.
type unavailable struct{ cause error }

func (u *unavailable) Error() string {
	return "the keys of auth.jwt.jwks_url cannot be had: " + u.cause.Error()
}
func (u *unavailable) Unwrap() error { return u.cause }
