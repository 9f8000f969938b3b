package servicebus

import "time"

const (
	// defaultDeliveries is Service Bus' own MaxDeliveryCount: a message that failed so often goes to the dead-letter queue.
	defaultDeliveries = 10
	// defaultRetention is how many events a partition of a hub keeps. The real one keeps days; tests read what has just been sent.
	defaultRetention = 10_000
	// maxRemembered bounds the message-ids that one entity remembers for duplicate detection, beside its window. Azure bounds the window only.
	maxRemembered = 1 << 20
	// maxIDLength is the longest message-id, partition key and session id, in characters (Service Bus quotas).
	maxIDLength = 128
	// maxAudiences bounds the tokens of one connection: it has no use for more than it can have links.
	maxAudiences = 1024

	// What Azure ends when it is not used, and how long it waits for the first token.
	defaultLinkIdle       = 10 * time.Minute
	defaultHubLinkIdle    = 30 * time.Minute
	defaultConnectionIdle = 5 * time.Minute
	defaultFirstLink      = time.Minute
	defaultTokenWait      = 20 * time.Second
)
