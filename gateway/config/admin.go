package config

// Admin is the administration port, and who may use it.
type Admin struct {
	Listen      string // empty: off
	TokenFile   string
	OpenMetrics bool
	Cert, Key   string // PEM; empty: plain HTTP
	ClientCA    string // PEM; empty: no certificate lets in
}

func adminKeys(c *Config) []key {
	a := &c.Admin
	return []key{
		{"admin.listen", "127.0.0.1:8080", "Where /healthz, /readyz, /metrics, /capabilities and /api/v1/* are served (docs/admin.md): host:port, port 0 takes a free one, off for none. On an address that others can reach it needs admin.token_file or admin.tls.client_ca.", address(&a.Listen, offAllowed)},
		{"admin.token_file", "", "File with the tokens that let in to the administration port, one a line, as Authorization: Bearer TOKEN. Read again when it changes. /healthz and /readyz need none.", text(&a.TokenFile)},
		{"admin.open_metrics", "off", "on: /metrics needs no token and no certificate.", onOff(&a.OpenMetrics)},
		{"admin.tls.cert", "", "File with the certificate chain of the administration port, PEM. Empty: plain HTTP.", text(&a.Cert)},
		{"admin.tls.key", "", "File with the private key of the administration port, PEM.", text(&a.Key)},
		{"admin.tls.client_ca", "", "File with the certificates of the CAs whose clients may use the administration port without a token, PEM.", text(&a.ClientCA)},
	}
}

// adminFaults are the rules about the administration port that concern more than one key.
func (c *Config) adminFaults(fault func(format string, args ...any)) {
	a := &c.Admin
	if a.Listen != "" && !loopback(a.Listen) && a.TokenFile == "" && a.ClientCA == "" {
		fault("admin.listen is %s, which others can reach, and nothing says who may use it; set admin.token_file to a file with a token in it (openssl rand -hex 32), or admin.tls.client_ca with admin.tls.cert and admin.tls.key, or listen on 127.0.0.1", a.Listen)
	}
	if (a.Cert == "") != (a.Key == "") {
		fault("admin.tls.cert and admin.tls.key go together; set both or neither")
	}
	if a.ClientCA != "" && a.Cert == "" {
		fault("admin.tls.client_ca is set, but admin.tls.cert is empty: without TLS nobody can show a certificate; set admin.tls.cert and admin.tls.key")
	}
}
