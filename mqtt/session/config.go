package session

import "time"

// Config is what the gateway allows devices, the same for all connections of a listener. What differs from the standard's defaults is advertised in
// CONNACK [MQTT 5, 3.2.2.3].
type Config struct {
	// ReceiveMaximum bounds the QoS 1 and 2 PUBLISH packets of the device that have no answer yet; also the QoS 0 ones handed to the bus
	// and not yet written. MQTT 5: above it 0x93. 3.1.1: reading stops.
	ReceiveMaximum uint16
	// InboundQoS2Max bounds the QoS 2 identifiers that the device has not released with PUBREL, those of earlier connections among them;
	// at least ReceiveMaximum. Above it 0x97.
	InboundQoS2Max int
	// MaximumPacketSize in bytes, whole packet; the reader enforces it, the machine advertises it.
	MaximumPacketSize uint32
	// TopicAliasMaximum for aliases the device sets; zero is none.
	TopicAliasMaximum uint16
	// OutboundAliasMaximum bounds the aliases we set towards the device, whatever it allows.
	OutboundAliasMaximum uint16
	// OutboundWindow bounds the QoS 1 and 2 PUBLISH packets under way to the device; the device's Receive Maximum can only lower it. More than
	// 16,382 count as so many, since packet identifiers are needed for more than what is under way.
	OutboundWindow uint16
	// KeepAliveMax in seconds: a longer or no keep-alive is replaced by Server Keep Alive (MQTT 5; 3.1.1 devices are held to their own).
	// Zero: no limit.
	KeepAliveMax uint16
	// SessionExpiryMax in seconds: longer ones are shortened and CONNACK says so.
	SessionExpiryMax uint32
	// SubscriptionsMax bounds the subscriptions of a session: above it 0x97.
	SubscriptionsMax int
	// ConnectTimeout: how long a connection may stay without CONNECT.
	ConnectTimeout time.Duration
	// LingerTime: how long the outcome of a QoS 2 PUBLISH is waited for after the connection ended, so that it can be recorded.
	LingerTime time.Duration
	// OrphanTime: how long after a resume the bus may take to deliver a message again before its packet identifier is closed.
	OrphanTime time.Duration
	// PoisonAfter is on how many connections a QoS 1 or 2 message may be sent without being acknowledged: a device that fails whenever it gets a
	// message would get it for ever. Only the oldest counts, as a device has to acknowledge in order [MQTT-4.6.0-2]. Zero: for ever. At most 60.
	PoisonAfter uint8

	// Profile is what MQTT 5 devices are told of the profile, as User Property sluice-profile of CONNACK: "standard/1", say. Empty tells nothing.
	Profile string
	// AuthMethods are the Authentication Methods offered (MQTT 5, 4.12); none: a CONNECT that names one is refused with 0x8C.
	AuthMethods []string

	// PropertyBag: an MQTT 3.1.1 device may put properties behind the topic name of a PUBLISH or Will (propertybag.go).
	PropertyBag bool

	// What the profile offers. False is advertised as not available and refused as advertised.
	RetainAvailable bool
	SharedAvailable bool
	MaximumQoS      byte // 0, 1 or 2
	// NoInbox: nothing keeps messages for a session, so that subscriptions are granted QoS 0.
	NoInbox bool
}

// Hooks is what a machine asks its owner. None of them may have an effect on the machine.
type Hooks struct {
	// MoreSubscriptions is asked before a session that has so many subscriptions gets one more: it gives the cause, for Failure.Cause, of a
	// refusal with 0x97, and else "". Nil: SubscriptionsMax alone counts.
	MoreSubscriptions func(have int) (cause string)
	// Explain says what the device is told of a failure besides the reason code. The machine calls it once for each failure that it tells by
	// itself. Nil: nothing.
	Explain func(Failure) Explanation
	// Access says what the device may hear; nil: everything.
	Access Access
}

// Limits are bounds of one session. They take the place of those of Config, whether larger or smaller; zero leaves that one.
type Limits struct {
	ReceiveMaximum    uint16
	MaximumPacketSize uint32
	SubscriptionsMax  int
}

// take puts the bounds in force that other sets.
func (l *Limits) take(other Limits) {
	if other.ReceiveMaximum > 0 {
		l.ReceiveMaximum = other.ReceiveMaximum
	}
	if other.MaximumPacketSize > 0 {
		l.MaximumPacketSize = other.MaximumPacketSize
	}
	if other.SubscriptionsMax > 0 {
		l.SubscriptionsMax = other.SubscriptionsMax
	}
}
