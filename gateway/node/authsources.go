package node

import (
	"context"

	"sluice/gateway/auth/hook"
	"sluice/gateway/auth/token"
	"sluice/gateway/config"
)

// enhanced are the Authentication Methods (MQTT 5, 4.12) that devices of a listener are offered.
func enhanced(l config.Listener) []string {
	if l.Uses(config.AuthJWT) {
		return token.Methods
	}
	return nil
}

// openTokens makes the method jwt.
func openTokens(c authContext) (authenticator, error) {
	j := &c.cfg.Auth.JWT
	tls, err := clientTLS("auth.jwt.jwks.tls", j.TLS, c.log)
	if err != nil {
		return authenticator{}, err
	}
	rules := token.Rules{
		Issuers: j.Issuers, Audiences: j.Audiences, Leeway: j.Leeway,
		Principal: j.Principal, Tenant: j.Tenant, Groups: j.Groups, ClientIDs: j.ClientIDs, Keep: j.Claims,
	}
	for _, r := range j.Require {
		rules.Require = append(rules.Require, token.Requirement(r))
	}
	a, err := token.Open(token.Options{
		Rules: rules, Algorithms: j.Algorithms, KeysFile: j.KeysFile, SecretFile: j.SecretFile, JWKS: j.JWKS, Refresh: j.Refresh, TLS: tls,
		MatchUserName: j.UserName == config.UserNamePrincipal, Logger: c.log, Registry: c.registry,
	})
	if err != nil {
		return authenticator{}, err
	}
	return authenticator{Authenticator: a, run: a.Run}, nil
}

// openHook makes the method http.
func openHook(c authContext) (authenticator, error) {
	o := &c.cfg.Auth.HTTP
	tls, err := clientTLS("auth.http.tls", o.TLS, c.log)
	if err != nil {
		return authenticator{}, err
	}
	h, err := hook.Open(hook.Options{
		URL: o.URL, TLS: tls, TokenFile: o.TokenFile, Timeout: o.Timeout, Concurrency: o.Concurrency, Logger: c.log, Registry: c.registry,
	})
	if err != nil {
		return authenticator{}, err
	}
	return authenticator{h, func(ctx context.Context, _ func()) { h.Run(ctx) }}, nil
}
