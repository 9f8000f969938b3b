package failure

import "sluice/mqtt/packet"

// A message of the device is refused for good. The message bus says so, unless noted.
var (
	NoRoute = row("no-route", Publish, acks(packet.ImplementationSpecificError), ByRule,
		"sluice:no-route", "Nobody is there to take messages on this topic.")
	Refused = row("bus-refused", Publish, acks(packet.ImplementationSpecificError), ByRule,
		"sluice:refused", "The message bus refuses this message.")
	QueueFull = row("queue-full", Publish, acks(packet.QuotaExceeded), ByRule,
		"sluice:queue-full", "A queue for this topic is full.")
	BusNotAuthorized = row("bus-not-authorized", Publish, acks(packet.NotAuthorized), ByRule,
		"amqp:unauthorized-access", "The message bus does not permit messages on this topic.")
	AddressNotFound = row("address-not-found", Publish, acks(packet.TopicNameInvalid), ByRule,
		"amqp:not-found", "This topic leads to an address that the message bus does not have.")
	// RabbitMQ's answer to an address it cannot read.
	AddressNotUsable = row("address-not-usable", Publish, acks(packet.TopicNameInvalid), ByRule,
		"amqp:precondition-failed", "This topic leads to an address that the message bus cannot use.")
	BusLimit = row("bus-limit-exceeded", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:resource-limit-exceeded", "A limit of the message bus is exceeded.")
	// 0x95 (Packet too large) would say it better, but is not legal in PUBACK and PUBREC.
	MessageTooLarge = row("message-too-large", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:link:message-size-exceeded", "The message is larger than the message bus takes.")
	BusCannotRead = row("bus-cannot-read", Publish, acks(packet.PayloadFormatInvalid), ByRule,
		"amqp:decode-error", "The message bus cannot read the message.")
	PropertyNotTaken = row("property-not-taken", Publish, acks(packet.PayloadFormatInvalid), ByRule,
		"amqp:invalid-field", "A property of the message has a value that the message bus does not take.")

	// Refused by the gateway.
	TopicReserved = row("topic-reserved", Publish, acks(packet.TopicNameInvalid), ByRule,
		"sluice:topic-reserved", "Topics that begin with $sluice/ are the server's own.")
	RetainedQuota = row("retained-quota", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:resource-limit-exceeded", "The message was delivered but not retained: the quota of retained messages is used up.")
	RetainedTooLarge = row("retained-too-large", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:link:message-size-exceeded", "The message was delivered but not retained: it is too large for that.")
	// A quota of the device's principal or tenant (docs/quotas.md). The device is told which one, and its value. At QoS 0 the error topic alone tells it.
	QuotaPublishRate = row("quota-publish-rate", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:resource-limit-exceeded", "The quota of messages is used up; send more slowly.")
	QuotaPublishBytes = row("quota-publish-bytes", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:resource-limit-exceeded", "The quota of bytes is used up; send more slowly.")
	QuotaInFlight = row("quota-in-flight", Publish, acks(packet.QuotaExceeded), ByRule,
		"amqp:resource-limit-exceeded", "The quota of messages under way is used up; send more slowly.")
	// A QoS 2 exchange that the device has forgotten and we have not [MQTT-2.2.1-3]. 3.1.1 has no way to say so, and no harm comes of it there.
	PacketIDInUse = row("packet-id-in-use", Publish, in(packet.PacketIDInUse, packet.PUBACK), Never,
		"amqp:illegal-state", "A QoS 2 exchange with this Packet Identifier is not complete.")

	// QoS 0: there is no acknowledgement to refuse, so the error topic alone tells it.
	QoS0Dropped = row("qos0-dropped", Publish, nil, TopicOnly,
		"sluice:bus-unavailable", "The message bus takes nothing at the moment; a message of QoS 0 was dropped.")
	QoS0NotRetained = row("qos0-not-retained", Publish, nil, TopicOnly,
		"sluice:not-retained", "A message of QoS 0 was delivered but not retained.")
	WillRefused = row("will-refused", Publish, nil, TopicOnly,
		"sluice:refused", "The message bus refuses the Will Message.")
)

// A topic filter is refused, the others of the packet are not.
var (
	FilterNotValid = row("topic-filter-not-valid", Subscription, in(packet.TopicFilterInvalid, packet.SUBACK, packet.UNSUBACK), Suback,
		"amqp:invalid-field", "The topic filter is not valid.")
	FilterReserved = row("topic-filter-reserved", Subscription, in(packet.TopicFilterInvalid, packet.SUBACK), Suback,
		"sluice:topic-reserved", "Of the server's own topics only $sluice/errors can be subscribed to, and not as a shared subscription.")
	SharedNotSupported = row("shared-not-supported", Subscription, in(packet.SharedSubNotSupported, packet.SUBACK), Suback,
		"amqp:not-implemented", "Shared subscriptions are not offered.")
	TooManySubscriptions = row("too-many-subscriptions", Subscription, in(packet.QuotaExceeded, packet.SUBACK), Suback,
		"amqp:resource-limit-exceeded", "The session has as many subscriptions as it may have.")
	SubscriptionQuota = row("subscription-quota", Subscription, in(packet.QuotaExceeded, packet.SUBACK), Suback,
		"sluice:queue-full", "There is no room for what this subscription brings.")
	QuotaSubscriptions = row("quota-subscriptions", Subscription, in(packet.QuotaExceeded, packet.SUBACK), Suback,
		"amqp:resource-limit-exceeded", "The quota of subscriptions is used up.")
	SubscriptionRefused = row("subscription-refused", Subscription, in(packet.ImplementationSpecificError, packet.SUBACK), Suback,
		"sluice:refused", "The message bus refuses this subscription.")
)

// A message for the device is not delivered. The backend is told by the outcome rejected; MQTT has no packet for it.
var (
	Undeliverable = row("delivery-undeliverable", Delivery, nil, TopicOnly,
		"amqp:decode-error", "A message for this device cannot be carried over MQTT.")
	DeliveryTooLarge = row("delivery-too-large", Delivery, nil, Never,
		"amqp:link:message-size-exceeded", "A message for this device is larger than its Maximum Packet Size.")
	DeliveryExpired = row("delivery-expired", Delivery, nil, TopicOnly,
		"sluice:expired", "A message for this device expired before it could be delivered.")
	DeliveryUnmatched = row("delivery-unmatched", Delivery, nil, TopicOnly,
		"sluice:no-subscription", "A message came for this device that none of its subscriptions matches.")
	// Poison stop: sessions.poison_after.
	DeliveryPoisonous = row("delivery-poisonous", Delivery, nil, TopicOnly,
		"sluice:poisonous", "A message was given up: the device never acknowledged it, on any of many connections.")
	// The device's own word: its negative PUBACK or PUBREC is what it sees of it.
	DeliveryRefused = row("delivery-refused", Delivery, nil, Never,
		"sluice:refused-by-device", "The device refused a message.")
)
