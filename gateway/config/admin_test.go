package config

import (
	"strings"
	"testing"
	"time"
)

func TestAdminAndClients(t *testing.T) {
	for set, word := range map[string]string{
		"admin.listen=0.0.0.0:8080":                                                         "admin.token_file",
		"admin.listen=:8080":                                                                "admin.token_file",
		"admin.listen=10.0.0.1:8080 admin.open_metrics=on":                                  "admin.token_file",
		"admin.listen=10.0.0.1:8080 admin.tls.cert=c admin.tls.key=k":                       "admin.token_file", // TLS alone says nothing of who it is
		"admin.listen=10.0.0.1:8080 admin.token_file=f":                                     "",
		"admin.listen=10.0.0.1:8080 admin.tls.cert=c admin.tls.key=k admin.tls.client_ca=a": "",
		"admin.listen=[::1]:8080":                                                           "",
		"admin.listen=off":                                                                  "",
		"admin.tls.cert=c":                                                                  "go together",
		"admin.tls.client_ca=a":                                                             "admin.tls.cert is empty",
		"clients.sharing=some":                                                              "one, shared",
		"clients.sharing=shared":                                                            "",
		"clients.templates={principal}-*,{tenant}.*":                                        "",
		"clients.templates={client}":                                                        "{principal}",
		"clients.keep=59m":                                                                  "between 1h0m0s",
	} {
		_, _, err := Load(Source{Set: strings.Fields(set)})
		if (err == nil) != (word == "") || err != nil && !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want a word of %q", set, err, word)
		}
	}
	c, _, err := Load(Source{Set: []string{"clients.templates={principal}-*, x"}})
	if err != nil || c.Clients.Sharing != SharingOne || c.Clients.Keep != 720*time.Hour || c.Clients.Templates.String() != "{principal}-* or x" {
		t.Errorf("%+v, %v", c.Clients, err)
	}
}
