package config

import (
	"fmt"
	"slices"
	"strings"
)

// The methods of authentication, as auth.methods has them.
const (
	AuthAnonymous   = "anonymous"
	AuthCertificate = "certificate"
	AuthPassword    = "password"
	AuthJWT         = "jwt"
	AuthHTTP        = "http"
)

var authMethods = []string{AuthAnonymous, AuthCertificate, AuthPassword, AuthJWT, AuthHTTP}

// Auth says how devices prove who they are.
type Auth struct {
	Methods      []string // of the listeners that name none; empty: anonymous, on loopback only
	TCP          []string // of the listener alone; empty: Methods, as with the others
	TLS          []string
	WS           []string
	WSS          []string
	PasswordFile string
	JWT          JWT
	HTTP         HTTP
}

func authKeys(c *Config) []key {
	a := &c.Auth
	const same = "Methods of %s alone. Empty takes those of auth.methods."
	return []key{
		{"auth.methods", "", "How devices prove who they are, asked in this order, separated by commas or as a list (docs/authentication.md): certificate, password, jwt, http, anonymous. " +
			"Empty is anonymous on a loopback address, and is refused on any other.", methods(&a.Methods)},
		{"auth.password_file", "", "File with user names and hashes of passwords, which sluice passwd writes. Read again when it changes.", text(&a.PasswordFile)},
		{"mqtt.tcp.auth", "", fmt.Sprintf(same, "mqtt.tcp.listen"), methods(&a.TCP)},
		{"mqtt.tls.auth", "", fmt.Sprintf(same, "mqtt.tls.listen"), methods(&a.TLS)},
		{"mqtt.ws.auth", "", fmt.Sprintf(same, "mqtt.ws.listen"), methods(&a.WS)},
		{"mqtt.wss.auth", "", fmt.Sprintf(same, "mqtt.wss.listen"), methods(&a.WSS)},
	}
}

// methods takes a list of authMethods.
func methods(dst *[]string) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		for i, m := range list {
			switch {
			case !slices.Contains(authMethods, m):
				return fmt.Errorf("has %q; the methods are %s", m, strings.Join(authMethods, ", "))
			case slices.Contains(list[:i], m):
				return fmt.Errorf("has %s twice", m)
			case m == AuthAnonymous && i < len(list)-1:
				return fmt.Errorf("has %s before others, who would never be asked; put it last", m)
			}
		}
		*dst = list
		return nil
	}
}

// of gives the methods of a listener; none where nothing is said and others can reach it.
func (a *Auth) of(l Listener) []string {
	own := map[string][]string{"mqtt.tcp.listen": a.TCP, "mqtt.tls.listen": a.TLS, "mqtt.ws.listen": a.WS, "mqtt.wss.listen": a.WSS}[l.Key]
	switch {
	case len(own) > 0:
		return own
	case len(a.Methods) > 0:
		return a.Methods
	case loopback(l.Address):
		return []string{AuthAnonymous}
	}
	return nil
}

// IsLoopback reports whether only this machine can reach the listener.
func (l *Listener) IsLoopback() bool { return loopback(l.Address) }

// Uses reports whether devices of a listener may use a method.
func (l *Listener) Uses(method string) bool { return slices.Contains(l.Auth, method) }

// authFaults are the rules about authentication that concern more than one key.
func (c *Config) authFaults(fault func(format string, args ...any)) {
	passwords, tokens, asks := false, false, false
	for _, l := range c.Listeners() {
		own := strings.TrimSuffix(l.Key, "listen") + "auth"
		if len(l.Auth) == 0 {
			fault("%s is %s, which others can reach, and nothing says how devices prove who they are; set auth.methods (or %s) to password, certificate, jwt or http, "+
				"to anonymous if everybody may come in, or listen on 127.0.0.1", l.Key, l.Address, own)
		}
		if l.Uses(AuthCertificate) && (!l.TLS || l.ClientCertificates == certificatesOff) {
			fault("%s is to take devices by certificate, but asks for none; %s", l.Key, askForCertificates(l, own))
		}
		passwords, tokens, asks = passwords || l.Uses(AuthPassword), tokens || l.Uses(AuthJWT), asks || l.Uses(AuthHTTP)
	}
	c.Auth.JWT.faults(tokens, fault)
	c.Auth.HTTP.faults(asks, fault)
	if passwords && c.Auth.PasswordFile == "" {
		fault("auth.methods has password, but auth.password_file is empty; make a file with sluice passwd FILE NAME, and name it there")
	}
	if !passwords && c.Auth.PasswordFile != "" {
		fault("auth.password_file is set, but no listener asks for passwords: everybody would be let in, or nobody; add password to auth.methods")
	}
}

func askForCertificates(l Listener, own string) string {
	if !l.TLS {
		return "leave certificate out of " + own + ", or out of auth.methods where that is empty"
	}
	return "set " + strings.TrimSuffix(l.Key, "listen") + "client_certificates to required, or optional where other methods follow"
}
