package token

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/gateway/access"
)

// Rules say what the claims must be, and what is made of them.
type Rules struct {
	// Issuers and Audiences are those accepted; empty: any. A token has one issuer, and must be for one of the audiences.
	Issuers, Audiences []string
	// Leeway is how far the issuer's clock and ours may be apart.
	Leeway time.Duration
	// Require are claims with the value that each must have, or have among others.
	Require []Requirement
	// Principal, Tenant, Groups and ClientIDs name the claims that have them: a name, or a path that begins with a slash, such as /realm_access/roles. Tenant,
	// Groups and ClientIDs may be empty: none.
	Principal, Tenant, Groups, ClientIDs string
	// Keep are the claims kept for rules about access; nil: all whose values are texts, numbers or truth values, or lists of them.
	Keep []string
}

// Requirement is a claim that must have a value.
type Requirement struct{ Claim, Value string }

// judge gives the principal that verified claims stand for. The error is a *access.Refused. Times are judged first: an expired token is the commonest fault.
func (r *Rules) judge(claims map[string]any, now time.Time) (*access.Principal, error) {
	p := &access.Principal{Source: source}
	if err := r.times(claims, now, p); err != nil {
		return nil, err
	}
	issuer, _ := claims["iss"].(string)
	if len(r.Issuers) > 0 && !slices.Contains(r.Issuers, issuer) {
		return nil, refuse(reasonIssuer, "iss is %.200q; accepted are %q", issuer, r.Issuers)
	}
	audiences := texts(claims["aud"])
	if accepted := func(a string) bool { return slices.Contains(r.Audiences, a) }; len(r.Audiences) > 0 && !slices.ContainsFunc(audiences, accepted) {
		return nil, refuse(reasonAudience, "aud is %.200q; accepted are %q", audiences, r.Audiences)
	}
	for _, q := range r.Require {
		if !slices.Contains(values(claims, q.Claim), q.Value) {
			return nil, refuse(reasonClaims, "the claim %s has not got the value %q", q.Claim, q.Value)
		}
	}
	if err := r.name(claims, p); err != nil {
		return nil, err
	}
	if id, _ := claims["jti"].(string); id != "" {
		p.Credential = source + ":" + issuer + "/" + id
	}
	p.Claims = r.keep(claims)
	if err := p.Check(reasonClaims); err != nil {
		return nil, err
	}
	return p, nil
}

// times checks exp, which is required, nbf and iat (RFC 7519, 4.1.4 to 4.1.6). The connection may live for the leeway beyond exp: else a token that is let in
// within the leeway would be thrown out in the same moment.
func (r *Rules) times(claims map[string]any, now time.Time, p *access.Principal) error {
	exp, err := moment(claims, "exp")
	if err != nil {
		return err
	}
	nbf, err := moment(claims, "nbf")
	if err != nil {
		return err
	}
	if p.Issued, err = moment(claims, "iat"); err != nil {
		return err
	}
	switch p.Expires = exp.Add(r.Leeway); {
	case exp.IsZero():
		return refuse(reasonClaims, "there is no exp; a token must say when it ends")
	case !now.Before(p.Expires):
		return &access.Refused{Reason: reasonExpired, Detail: "it ended at " + exp.UTC().Format(time.DateTime), Expired: true}
	case nbf.After(now.Add(r.Leeway)):
		return refuse(reasonClaims, "nbf is %s, which has not come", nbf.UTC().Format(time.DateTime))
	case p.Issued.After(now.Add(r.Leeway)):
		return refuse(reasonClaims, "iat is %s, which has not come", p.Issued.UTC().Format(time.DateTime))
	}
	return nil
}

// moment reads a NumericDate; the zero time where there is none.
func moment(claims map[string]any, name string) (time.Time, error) {
	v, found := claims[name]
	if !found {
		return time.Time{}, nil
	}
	n, ok := v.(json.Number)
	seconds, err := n.Float64()
	if !ok || err != nil || seconds < 1 || seconds > timeMax {
		return time.Time{}, refuse(reasonClaims, "%s is no number of seconds since 1970", name)
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)), nil
}

// name fills in who the principal is.
func (r *Rules) name(claims map[string]any, p *access.Principal) error {
	one := func(claim string) (string, error) {
		list := values(claims, claim)
		if len(list) != 1 || list[0] == "" {
			return "", refuse(reasonClaims, "the claim %s, which names the principal or the tenant, is not there, or is not one text", claim)
		}
		return list[0], nil
	}
	var err error
	if p.Name, err = one(r.Principal); err != nil {
		return err
	}
	if p.Tenant = access.DefaultTenant; r.Tenant != "" {
		if p.Tenant, err = one(r.Tenant); err != nil {
			return err
		}
	}
	if r.Groups != "" {
		p.Groups = values(claims, r.Groups)
	}
	if r.ClientIDs == "" {
		return nil
	}
	// Without a template any identifier would do: a claim that is configured is there.
	if p.ClientIDs = values(claims, r.ClientIDs); len(p.ClientIDs) == 0 {
		return refuse(reasonClaims, "the claim %s, which says the client identifiers, is not there, or is no list of texts", r.ClientIDs)
	}
	return nil
}

// untold are claims that say something of the token alone, and would only take memory.
var untold = []string{"exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash"}

func (r *Rules) keep(claims map[string]any) map[string][]string {
	names := r.Keep
	if names == nil {
		names = slices.Collect(maps.Keys(claims))
	}
	kept := map[string][]string{}
	for _, n := range names {
		if list := values(claims, n); len(list) > 0 && !slices.Contains(untold, n) {
			kept[n] = list
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// values are those of a claim as texts; none when it is not there, or is something else. The scopes of OAuth are one text with blanks (RFC 8693, 4.2).
func values(claims map[string]any, name string) []string {
	list := texts(lookup(claims, name))
	if (name == "scope" || name == "scp") && len(list) == 1 {
		return strings.Fields(list[0])
	}
	return list
}

func lookup(claims map[string]any, name string) any {
	path, nested := strings.CutPrefix(name, "/")
	if !nested {
		return claims[name]
	}
	var v any = claims
	for part := range strings.SplitSeq(path, "/") {
		object, _ := v.(map[string]any)
		v = object[part]
	}
	return v
}

// texts makes a list of a value. A list with something else than simple values is none: half of it would be believed to be all.
func texts(v any) []string {
	if s, ok := simple(v); ok {
		return []string{s}
	}
	list, _ := v.([]any)
	all := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := simple(e)
		if !ok {
			return nil
		}
		all = append(all, s)
	}
	return all
}

func simple(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
