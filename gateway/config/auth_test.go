package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMethodsOfListeners: each has its own, or those of auth.methods, or is open on loopback.
func TestMethodsOfListeners(t *testing.T) {
	for _, c := range []struct {
		name string
		set  string
		want []string
	}{
		{"nothing said", "mqtt.ws.listen=localhost:1", []string{"mqtt.tcp.listen [anonymous]", "mqtt.ws.listen [anonymous]"}},
		{"one for all", "auth.methods=password,anonymous auth.password_file=f mqtt.ws.listen=:1", []string{"mqtt.tcp.listen [password anonymous]", "mqtt.ws.listen [password anonymous]"}},
		{"one of its own", "auth.methods=anonymous auth.password_file=f mqtt.ws.listen=:1 mqtt.ws.auth=password", []string{"mqtt.tcp.listen [anonymous]", "mqtt.ws.listen [password]"}},
		{"only the reachable one", "auth.password_file=f mqtt.ws.listen=:1 mqtt.ws.auth=password", []string{"mqtt.tcp.listen [anonymous]", "mqtt.ws.listen [password]"}},
		{"certificates", "mqtt.tls.listen=:1 mqtt.tls.cert=c mqtt.tls.key=k mqtt.tls.client_ca=a mqtt.tls.client_certificates=required mqtt.tls.auth=certificate",
			[]string{"mqtt.tcp.listen [anonymous]", "mqtt.tls.listen [certificate]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, l := range load(t, Source{Set: strings.Fields(c.set)}).Listeners() {
				got = append(got, fmt.Sprint(l.Key, " ", l.Auth))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFaultsOfAuthentication: a node that others can reach is open only where somebody has said so.
func TestFaultsOfAuthentication(t *testing.T) {
	const tls = "mqtt.tls.listen=:1 mqtt.tls.cert=c mqtt.tls.key=k "
	for _, c := range []struct{ name, set, want string }{
		{"open to others", "mqtt.tcp.listen=0.0.0.0:1883", "mqtt.tcp.listen is 0.0.0.0:1883, which others can reach, and nothing says how devices prove who they are; set auth.methods (or mqtt.tcp.auth) to password"},
		{"open without a host", "mqtt.tcp.listen=:1883", "anonymous if everybody may come in"},
		{"open by IPv6", "mqtt.tcp.listen=[::]:1883", "mqtt.tcp.listen is [::]:1883"},
		{"open by a name", "mqtt.tcp.listen=gateway.example:1883", "which others can reach"},
		{"open over TLS", tls, "(or mqtt.tls.auth)"},
		{"open although another is not", "mqtt.tcp.listen=:1 mqtt.ws.listen=:2 mqtt.ws.auth=anonymous", "mqtt.tcp.listen is :1"},
		{"no such method", "auth.methods=ldap", `auth.methods: "ldap" has "ldap"; the methods are anonymous, certificate, password`},
		{"twice", "auth.methods=password,password", "has password twice"},
		{"anonymous before others", "auth.methods=anonymous,password", "put it last"},
		{"passwords without a file", "auth.methods=password", "auth.password_file is empty; make a file with sluice passwd FILE NAME"},
		{"a file that nobody asks", "auth.password_file=f", "no listener asks for passwords"},
		{"certificates without TLS", "auth.methods=certificate", "mqtt.tcp.listen is to take devices by certificate, but asks for none; leave certificate out of mqtt.tcp.auth"},
		{"certificates that are not asked for", tls + "mqtt.tls.auth=certificate", "set mqtt.tls.client_certificates to required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(Source{Set: strings.Fields(c.set)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
