package config

import "net/netip"

// The profiles (docs/profiles.md).
const (
	Ephemeral = "ephemeral"
	Standard  = "standard"
	Durable   = "durable"
)

var profiles = []string{Ephemeral, Standard, Durable}

// Listener is one place where devices connect.
type Listener struct {
	Key       string // of its address: "mqtt.tcp.listen"
	Name      string // for people: "MQTT over TCP"
	Address   string
	Profile   string
	TLS       bool
	WebSocket bool
	Proxies   []netip.Prefix // load balancers that send PROXY headers
	// ClientCertificates is "off", "optional" or "required"; empty without TLS.
	ClientCertificates string
	Auth               []string // methods, in order; never empty once loaded
}

// Listeners are those that are on.
func (c *Config) Listeners() []Listener {
	var on []Listener
	for _, l := range []Listener{
		{Key: "mqtt.tcp.listen", Name: "MQTT over TCP", Address: c.TCPListen, Profile: c.TCPProfile, Proxies: c.TCPProxies},
		{Key: "mqtt.tls.listen", Name: "MQTT over TLS", Address: c.TLSListen, Profile: c.TLSProfile, TLS: true, Proxies: c.TLSProxies, ClientCertificates: c.TLSClients},
		{Key: "mqtt.ws.listen", Name: "MQTT over WebSocket", Address: c.WSListen, Profile: c.WSProfile, WebSocket: true, Proxies: c.WSProxies},
		{Key: "mqtt.wss.listen", Name: "MQTT over WebSocket on TLS", Address: c.WSSListen, Profile: c.WSSProfile, TLS: true, WebSocket: true, Proxies: c.WSSProxies,
			ClientCertificates: c.WSSClients},
	} {
		if l.Address != "" {
			l.Auth = c.Auth.of(l)
			on = append(on, l)
		}
	}
	return on
}

// inheritProfiles gives the listeners that name no profile that of the key profile.
func (c *Config) inheritProfiles() {
	for _, p := range []*string{&c.TCPProfile, &c.TLSProfile, &c.WSProfile, &c.WSSProfile} {
		if *p == "" {
			*p = c.Profile
		}
	}
}

// Durable reports whether answers wait for replicas. That is so for all devices of a node or for none: the store knows one way of writing.
func (c *Config) Durable() bool { return c.listenerWith(Durable) != "" }

// listenerWith gives the key of the address of a listener with a profile, or "".
func (c *Config) listenerWith(profile string) string {
	for _, l := range c.Listeners() {
		if l.Profile == profile {
			return l.Key
		}
	}
	return ""
}
