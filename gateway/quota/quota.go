package quota

import (
	"strconv"
)

// Limits are the quotas of a principal, or of a tenant as a whole. Zero is no quota.
type Limits struct {
	Connections   int // open at a time
	ConnectRate   int // new ones in a second, and at once
	PublishRate   int // messages a second
	PublishBurst  int // messages at once; zero: those of a second
	PublishBytes  int // a second, and at once: topics, payloads and User Properties
	InFlight      int // messages that the bus has not answered
	Subscriptions int // of sessions that are connected
}

// Session are the bounds of one session, in place of those of its listener. Zero leaves that one.
type Session struct {
	ReceiveMaximum int
	PacketSize     int // bytes
	Subscriptions  int
}

// Kind is what is limited. Its text is the last part of the configuration key, and the label of the metric.
type Kind string

// The quotas.
const (
	Connections   Kind = "connections"
	ConnectRate   Kind = "connect_rate"
	PublishRate   Kind = "publish_rate"
	PublishBytes  Kind = "publish_bytes"
	InFlight      Kind = "in_flight"
	Subscriptions Kind = "subscriptions"
)

var units = map[Kind]string{
	Connections: "connections", ConnectRate: "new connections a second", PublishRate: "messages a second", PublishBytes: "bytes of messages a second",
	InFlight: "messages under way", Subscriptions: "subscriptions",
}

// Scope is whose quota it is.
type Scope string

// The scopes.
const (
	OfPrincipal Scope = "principal"
	OfTenant    Scope = "tenant"
)

// Hit is a quota that is used up.
type Hit struct {
	Kind   Kind
	Scope  Scope
	Limit  int
	Tenant string
}

// Sentence says it to a device: whose quota, its value and its key.
func (h *Hit) Sentence() string {
	return "The quota of this " + string(h.Scope) + " is used up: " + strconv.Itoa(h.Limit) + " " + units[h.Kind] +
		" (quota." + string(h.Scope) + "." + string(h.Kind) + ")."
}
