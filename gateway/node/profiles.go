package node

import (
	"time"

	"sluice/gateway/config"
	"sluice/mqtt/session"
)

// profilesVersion is raised when a profile promises something else under its old name. Devices are told it behind the name.
const profilesVersion = "/1"

// offer is what the devices of a listener with this profile are offered. What a profile lacks is advertised by these values and refused by
// them. How durable differs from standard is the store's business: see OpenStore.
func offer(c *config.Config, profile string) session.Config {
	s := session.Config{
		ReceiveMaximum:       uint16(c.ReceiveMaximum),
		InboundQoS2Max:       inboundQoS2Max,
		MaximumPacketSize:    uint32(c.MaxPacketSize),
		TopicAliasMaximum:    uint16(c.TopicAliasMax),
		OutboundAliasMaximum: uint16(c.TopicAliasMax),
		OutboundWindow:       uint16(c.Window),
		KeepAliveMax:         uint16(c.KeepAliveMax),
		SessionExpiryMax:     uint32(c.SessionsExpiry / time.Second),
		SubscriptionsMax:     c.MaxSubscriptions,
		ConnectTimeout:       c.ConnectTimeout,
		LingerTime:           lingerTime,
		OrphanTime:           orphanTime,
		PoisonAfter:          uint8(c.PoisonAfter),
		MaximumQoS:           2,
		RetainAvailable:      true,
		SharedAvailable:      true,
		PropertyBag:          c.PropertyBag,
		Profile:              profile + profilesVersion,
	}
	if !c.Dialect.HasInboxes() {
		s.NoInbox, s.SharedAvailable = true, false
	}
	if profile == config.Ephemeral {
		s.MaximumQoS = 1
		s.RetainAvailable = false
		s.SessionExpiryMax = 0
	}
	return s
}
