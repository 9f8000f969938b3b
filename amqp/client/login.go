package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// Login says how a bus of static entities is told who we are. The zero value makes a token from user and password of the URL: the name of a shared
// access rule and its key.
type Login struct {
	// Plain gives user and password in SASL PLAIN instead: no tokens, but the key itself goes over the wire.
	Plain bool
	// TokenFile holds a token of an identity provider (JWT). It is read each time a token is due, so that something else may renew it there.
	TokenFile string
}

// login is a Login at one host.
type login struct {
	Login
	scheme, host string // of the audience
	rule, key    string
	life         time.Duration
}

func (o *Options) loginAt(e endpoint) login {
	l := login{Login: o.Login, scheme: "amqp", host: e.host, rule: e.user, key: e.password, life: o.tokenLife}
	if e.tls {
		l.scheme = "amqps"
	}
	return l
}

// sasl is how the connection begins: the standard's claims-based security begins without a name.
func (l *login) sasl() goamqp.SASLType {
	if l.Plain {
		return goamqp.SASLTypePlain(l.rule, l.key)
	}
	return goamqp.SASLTypeAnonymous()
}

// token is what $cbs is given.
type token struct {
	kind, text string
	expires    time.Time
}

func (l *login) audience(entity string) string { return l.scheme + "://" + l.host + "/" + entity }

// token makes or reads a token for an entity. Its errors never hold a secret.
func (l *login) token(entity string, now time.Time) (token, error) {
	if l.TokenFile != "" {
		return readToken(l.TokenFile)
	}
	if l.rule == "" || l.key == "" {
		return token{}, errors.New("the bus wants to know who we are; give the name of a shared access rule and its key in the URL, or a file with a token")
	}
	expires := now.Add(l.life).Truncate(time.Second) // as it is written into the token
	return token{"servicebus.windows.net:sastoken", sharedAccessSignature(l.audience(entity), l.rule, l.key, expires), expires}, nil
}

// sharedAccessSignature is Azure's own form of token: an HMAC-SHA256 with the key's text over the encoded resource, a line break, and the expiry in
// seconds since 1970.
func sharedAccessSignature(resource, rule, key string, expires time.Time) string {
	encoded, end := url.QueryEscape(resource), strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(encoded + "\n" + end))
	signature := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return "SharedAccessSignature sr=" + encoded + "&sig=" + signature + "&se=" + end + "&skn=" + url.QueryEscape(rule)
}

// readToken takes a JWT from a file. Only its expiry is looked at: it is the bus that trusts it or not.
func readToken(name string) (token, error) {
	f, err := os.Open(name)
	if err != nil {
		return token{}, fmt.Errorf("the file with the bus's token: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, tokenFileSize))
	if err != nil {
		return token{}, fmt.Errorf("the file with the bus's token: %w", err)
	}
	text := strings.TrimSpace(string(content))
	expires, ok := expiryOf(text)
	if !ok {
		return token{}, fmt.Errorf("the file %s holds no JSON web token with an expiry (exp)", name)
	}
	return token{"jwt", text, expires}, nil
}

func expiryOf(jwt string) (time.Time, bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires <= 0 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Expires), 0), true
}
