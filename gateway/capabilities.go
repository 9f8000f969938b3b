package gateway

// capabilities is what /capabilities tells. The names are those of MQTT 5, 3.2.2.3; unlike CONNACK it also tells the defaults.
type capabilities struct {
	Listeners []offered `json:"listeners"`
}

// offered is what the devices of one listener can rely on.
type offered struct {
	Listener             string   `json:"listener"` // the configuration key of its address
	TLS                  bool     `json:"tls"`
	WebSocketPath        string   `json:"websocket_path,omitempty"`
	Versions             []string `json:"mqtt_versions"`
	Profile              string   `json:"profile"` // as in User Property sluice-profile of CONNACK
	MaximumQoS           byte     `json:"maximum_qos"`
	SubscriptionQoSMax   byte     `json:"subscription_qos_maximum"` // the highest that is granted
	RetainAvailable      bool     `json:"retain_available"`
	SharedSubAvailable   bool     `json:"shared_subscription_available"`
	WildcardSubAvailable bool     `json:"wildcard_subscription_available"`
	SubIDAvailable       bool     `json:"subscription_identifiers_available"`
	SessionExpiryMax     uint32   `json:"session_expiry_interval_maximum"` // seconds
	ReceiveMaximum       uint16   `json:"receive_maximum"`
	MaximumPacketSize    uint32   `json:"maximum_packet_size"` // bytes
	TopicAliasMaximum    uint16   `json:"topic_alias_maximum"`
	ServerKeepAliveMax   uint16   `json:"server_keep_alive_maximum"` // seconds; zero is no limit
	SubscriptionsMax     int      `json:"subscriptions_maximum"`
}

func (gw *Gateway) capabilities() capabilities {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	c := capabilities{Listeners: []offered{}}
	for _, l := range gw.listeners {
		s := l.Session
		o := offered{
			Listener: l.Name, TLS: l.TLS != nil, Versions: []string{"3.1.1", "5.0"}, Profile: s.Profile,
			MaximumQoS: s.MaximumQoS, SubscriptionQoSMax: s.MaximumQoS, RetainAvailable: s.RetainAvailable, SharedSubAvailable: s.SharedAvailable,
			WildcardSubAvailable: true, SubIDAvailable: true, SessionExpiryMax: s.SessionExpiryMax,
			ReceiveMaximum: s.ReceiveMaximum, MaximumPacketSize: s.MaximumPacketSize, TopicAliasMaximum: s.TopicAliasMaximum,
			ServerKeepAliveMax: s.KeepAliveMax, SubscriptionsMax: s.SubscriptionsMax,
		}
		if s.NoInbox {
			o.SubscriptionQoSMax = 0
		}
		if l.WebSocket != nil {
			o.WebSocketPath = l.WebSocket.Path
		}
		c.Listeners = append(c.Listeners, o)
	}
	return c
}
