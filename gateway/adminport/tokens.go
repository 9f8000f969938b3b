package adminport

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/reload"
)

// Tokens are the bearer tokens of a file: one a line, # begins a comment. Each is as good as any other, so that one can take another's place while both are in use.
type Tokens struct {
	source reload.Source[[][sha256.Size]byte]
	log    *zap.Logger
	sums   atomic.Pointer[[][sha256.Size]byte]
}

// OpenTokens reads the file. The error names the configuration key, the file, and the way to mend it.
func OpenTokens(key, file string, log *zap.Logger) (*Tokens, error) {
	t := &Tokens{log: log, source: reload.Source[[][sha256.Size]byte]{Name: key, Files: []string{file}}}
	t.source.Read = func(time.Time) ([][sha256.Size]byte, error) {
		list, err := ReadTokens(key, file)
		var sums [][sha256.Size]byte
		for _, token := range list {
			sums = append(sums, sha256.Sum256([]byte(token)))
		}
		return sums, err
	}
	if err := t.source.Open(time.Now()); err != nil {
		return nil, err
	}
	t.publish()
	return t, nil
}

// ReadTokens gives the tokens of a file, at least one.
func ReadTokens(key, file string) (list []string, err error) {
	content, err := reload.ReadFile(key, file, tokenFileMax)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		token, _, _ := strings.Cut(line, "#")
		token = strings.TrimSpace(token)
		switch {
		case token == "":
			continue
		case len(token) < tokenMin:
			return nil, fmt.Errorf("%s: %q, line %d: the token has %d characters, and at least %d are needed; make one with: openssl rand -hex 32", key, file, n, len(token), tokenMin)
		case strings.Trim(token, tokenCharacters) != "":
			return nil, fmt.Errorf("%s: %q, line %d: a token is of letters, digits and -._~+/= alone; make one with: openssl rand -hex 32", key, file, n)
		}
		list = append(list, token)
	}
	if len(list) == 0 || len(list) > tokensMax {
		return nil, fmt.Errorf("%s: %q has %d tokens; write 1 to %d of them, one a line", key, file, len(list), tokensMax)
	}
	return list, nil
}

// tokenCharacters are those of b64token (RFC 6750, 2.1).
const tokenCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="

// Run reads the file again when it changes, until ctx ends. One that cannot be used changes nothing.
func (t *Tokens) Run(ctx context.Context) {
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.look()
		case <-ctx.Done():
			return
		}
	}
}

func (t *Tokens) look() {
	news, err := t.source.Look(time.Now())
	switch {
	case !news:
	case err != nil:
		t.log.Error("a file that has changed cannot be used; what was there before stays in use", zap.String("what", t.source.Name), zap.Error(err))
	default:
		t.publish()
		t.log.Info("a changed file is in use", zap.String("what", t.source.Name), zap.Strings("files", t.source.Files))
	}
}

func (t *Tokens) publish() {
	sums := t.source.Value
	t.sums.Store(&sums)
}

// good reports whether this is one of the tokens. It looks at all of them, and at sums of the same length, so that its time says nothing.
func (t *Tokens) good(token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for _, s := range *t.sums.Load() {
		found |= subtle.ConstantTimeCompare(sum[:], s[:])
	}
	return found == 1
}
