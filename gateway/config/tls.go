package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ListenerTLS is what the TLS listeners have in common. Files are PEM; empty: none.
type ListenerTLS struct {
	Cert, Key      string
	ClientCA       string
	ClientCRL      []string
	ClientIdentity string // one of identities
	TicketSecret   string
}

// ClientTLS says how this node meets bus or session store over TLS. Files are PEM; empty: the defaults of the system.
type ClientTLS struct {
	CA, Cert, Key, ServerName string
}

// What a listener makes of devices' certificates, and by what they name their owner (docs/tls.md).
const certificatesOff = "off"

var (
	certificateWays = []string{certificatesOff, "optional", "required"}
	identities      = []string{"cn", "uri", "dns", "email"}
)

// certificates takes one of certificateWays. YAML reads a bare off as the boolean false.
func certificates(dst *string) setter {
	choose := oneOf(dst, certificateWays...)
	return func(v any) error {
		if s := fmt.Sprint(v); s == "false" {
			v = certificatesOff
		}
		return choose(v)
	}
}

// files takes names of files, as a list or with commas.
func files(dst *[]string) setter {
	return func(v any) (err error) {
		*dst, err = texts(v)
		return err
	}
}

// networks takes addresses and networks.
func networks(dst *[]netip.Prefix) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		*dst = nil
		for _, s := range list {
			p, err := netip.ParsePrefix(s)
			if a, aerr := netip.ParseAddr(s); err != nil && aerr == nil && a.Zone() == "" {
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			switch {
			case err != nil:
				return fmt.Errorf("has %q, which is no address or network; write them like 10.0.0.7, 10.1.0.0/16 or fd00::/8", s)
			case p.Addr().Is4In6():
				return fmt.Errorf("has %q; write IPv4 as %s", s, p.Addr().Unmap())
			}
			*dst = append(*dst, p.Masked())
		}
		return nil
	}
}

// tlsFaults are the rules about TLS that concern more than one key.
func (c *Config) tlsFaults(fault func(format string, args ...any)) {
	t, asks := &c.TLS, ""
	for _, l := range c.Listeners() {
		if !l.TLS {
			continue
		}
		if t.Cert == "" || t.Key == "" {
			fault("%s is %s but mqtt.tls.cert and mqtt.tls.key are not both set; name the PEM files of the certificate and its key", l.Key, l.Address)
		}
		if l.ClientCertificates != certificatesOff {
			asks = strings.TrimSuffix(l.Key, "listen") + "client_certificates"
		}
	}
	if asks != "" && t.ClientCA == "" {
		fault("%s asks for certificates, but mqtt.tls.client_ca is empty: nobody would say which are good; name the PEM file with the CAs of the devices' certificates", asks)
	}
	if asks == "" && t.ClientCA != "" {
		fault("mqtt.tls.client_ca is set, but no TLS listener asks for certificates: everybody would be let in; set mqtt.tls.client_certificates or mqtt.wss.client_certificates to required or optional")
	}
	if t.ClientCA == "" && len(t.ClientCRL) > 0 {
		fault("mqtt.tls.client_crl is set, but mqtt.tls.client_ca is empty; name the CAs whose revocation lists these are")
	}
	c.BusTLS.faults("bus", "amqps", c.BusURLs, fault)
	c.SessionsTLS.faults("sessions", "rediss", []string{c.SessionsURL}, fault)
}

// faults of one side. What is meant for TLS and used with none would leave everything in the open.
func (t ClientTLS) faults(side, scheme string, urls []string, fault func(format string, args ...any)) {
	if (t.Cert == "") != (t.Key == "") {
		fault("%s.tls.cert and %s.tls.key go together; set both or neither", side, side)
	}
	secure := slices.ContainsFunc(urls, func(u string) bool { return strings.HasPrefix(u, scheme) })
	if t != (ClientTLS{}) && !secure {
		fault("%s.tls.* is set, but %s.url does not begin with %s://, so nothing would be encrypted; change the URL, or leave %s.tls.* out", side, side, scheme, side)
	}
}
