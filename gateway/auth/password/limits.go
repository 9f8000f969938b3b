package password

import "time"

const (
	// fileMax bounds the file in bytes, usersMax its entries, groupsMax the groups of one: what is named by mistake must not fill the memory.
	fileMax   = 32 << 20
	usersMax  = 100_000
	groupsMax = 32
	// nameMax bounds names of users, tenants and groups, in bytes (access.NameMax is what a principal may have).
	nameMax = 256
	// passwordMax bounds what is hashed, in bytes. Nothing longer can be set, so nothing longer is right.
	passwordMax = 1024

	// What a hash may cost. Argon2id: memory in KiB, and memory times passes; the second recommendation of RFC 9106 (64 MiB, 3 passes, 4 lanes) fits, and takes some 100 ms.
	// Below the least it protects nothing.
	argonMemoryMin = 4 << 10
	argonMemoryMax = 64 << 10
	argonWorkMax   = 256 << 10
	argonLanesMax  = 8
	// Lengths of salt and key in bytes (RFC 9106, 3.1).
	argonSaltMin, argonSaltMax = 8, 64
	argonKeyMin, argonKeyMax   = 16, 64
	// bcrypt: each step doubles the time; 12 takes some 250 ms.
	bcryptCostMin = 8
	bcryptCostMax = 12
	// bcryptPasswordMax is all that bcrypt looks at, in bytes: what is longer would be cut off, so it is refused.
	bcryptPasswordMax = 72

	// New hashes: what OWASP recommends for Argon2id, with 20 ms and 19 MiB.
	newMemory = 19 << 10
	newPasses = 2
	newLanes  = 1
	newSalt   = 16
	newKey    = 32

	// slotsMax bounds the hashes computed at a time, of which there are half as many as processors, so that logins do not stop the traffic; it bounds their memory as well.
	slotsMax = 8
	// waitingMax bounds those that wait for a slot, each a connection that has sent CONNECT. One more is told that the server is not available.
	waitingMax = 2000

	// provenPeriod: a password that was right is taken without its hash for one to two periods, so that devices that all come back at once do not wait for each other. provenMax
	// bounds what is remembered of a period, some 80 bytes each.
	provenPeriod = 150 * time.Second
	provenMax    = 50_000
)
