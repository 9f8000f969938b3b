package secure

import "time"

const (
	// fileMax bounds a file with certificates, a key or secrets, crlMax one with revocations (some 1.5 million of them): what is named by
	// mistake must not fill the memory.
	fileMax = 1 << 20
	crlMax  = 64 << 20
	// ticketPeriod is how long one ticket key makes tickets. Tickets of the period before are accepted too, so a ticket lives for 12 to 24 hours.
	ticketPeriod = 12 * time.Hour
	// secretMin is the shortest secret, in bytes: as long as the keys that are made of it. secretsMax bounds the secrets of a file: the one in use,
	// and those that are coming and going. Each costs three attempts at a ticket that is not ours.
	secretMin  = 32
	secretsMax = 4
	// identityMax bounds the name that a certificate gives its owner, in bytes: it becomes part of records and of messages.
	identityMax = 1024
)
