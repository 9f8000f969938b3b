package servicebus

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// verify reads a token and tells what it is for and until when it holds.
func (n *Namespace) verify(kind, token, audience string) (scope string, expires time.Time, problem string) {
	switch kind {
	case "servicebus.windows.net:sastoken":
		return n.verifySAS(token)
	case "jwt", "amqp:jwt":
		expires, problem = n.verifyJWT(token)
		return entityPath(audience), expires, problem // a JWT is for the whole namespace; roles are not modelled
	}
	return "", expires, "tokens of type " + strconv.Quote(kind) + " are not known"
}

// verifySAS checks "SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>&skn=<rule>": the signature is an HMAC-SHA256 with the rule's key over
// the resource as it stands in the token, a line break, and the expiry in seconds since 1970.
func (n *Namespace) verifySAS(token string) (scope string, expires time.Time, problem string) {
	rest, ok := strings.CutPrefix(token, "SharedAccessSignature ")
	if !ok {
		return "", expires, "the token does not begin with SharedAccessSignature"
	}
	fields := map[string]string{}
	for _, field := range strings.Split(rest, "&") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	rule, _ := url.QueryUnescape(fields["skn"])
	key, known := n.keys[rule]
	if !known {
		return "", expires, "no shared access rule has this name"
	}
	signature, err := url.QueryUnescape(fields["sig"])
	if err != nil {
		return "", expires, "the signature is not encoded as in a URL"
	}
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(fields["sr"] + "\n" + fields["se"]))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		return "", expires, "the token has an invalid signature"
	}
	seconds, err := strconv.ParseInt(fields["se"], 10, 64)
	resource, wrong := url.QueryUnescape(fields["sr"])
	if err != nil || wrong != nil {
		return "", expires, "the token's resource or expiry cannot be read"
	}
	return entityPath(resource), time.Unix(seconds, 0), ""
}

// verifyJWT checks signature (HS256) and expiry. Azure's are signed by its directory; what matters here is who renews them, and when.
func (n *Namespace) verifyJWT(token string) (expires time.Time, problem string) {
	parts := strings.Split(token, ".")
	if n.jwtKey == "" || len(parts) != 3 {
		return expires, "the token is no JWT that is taken here"
	}
	mac := hmac.New(sha256.New, []byte(n.jwtKey))
	_, _ = mac.Write([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
		return expires, "the token has an invalid signature"
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires == 0 {
		return expires, "the token's claims cannot be read"
	}
	return time.Unix(claims.Expires, 0), ""
}

// CheckPlain tells whether user and password are a rule and its key: SASL PLAIN.
func (n *Namespace) CheckPlain(user, password string) bool {
	key, known := n.keys[user]
	return known && hmac.Equal([]byte(key), []byte(password))
}
