package failure

import "sluice/mqtt/packet"

// What the rules of gateway/permit deny. A device is not told which rule it is.
var (
	WillDenied = row("will-denied", Connect, in(packet.NotAuthorized, packet.CONNACK), ReturnCode,
		"amqp:unauthorized-access", "This device may not have this Will Message.")
	PublishDenied = row("publish-denied", Publish, acks(packet.NotAuthorized), ByRule,
		"amqp:unauthorized-access", "This device may not publish this to this topic.")
	RetainDenied = row("retain-denied", Publish, acks(packet.NotAuthorized), ByRule,
		"amqp:unauthorized-access", "This device may publish to this topic, but no messages that are retained.")
	// The rules, or the device's groups and claims, have changed since CONNECT.
	WillWithheld = row("will-withheld", Publish, nil, TopicOnly,
		"amqp:unauthorized-access", "The Will Message was not published: this device may not have it any more.")
	SubscribeDenied = row("subscribe-denied", Subscription, in(packet.NotAuthorized, packet.SUBACK), Suback,
		"amqp:unauthorized-access", "This device may not subscribe to this.")
	SubscriptionEnded = row("subscription-ended", Subscription, nil, TopicOnly,
		"amqp:unauthorized-access", "This subscription has ended: this device may not have it any more.")
)
