package auth

import "time"

const (
	// delayFirst is how late the answer to the first failed attempt of a pair of address and user name is; it doubles with each, up to delayMax: long enough to make
	// guessing slow, short enough for a person who mistypes.
	delayFirst = 100 * time.Millisecond
	delayMax   = 3200 * time.Millisecond
	// forgetAfter is how long nothing may fail until what has failed is forgotten.
	forgetAfter = 10 * time.Minute

	// Above so many failures in a row an attempt is judged only once in a pause, the others are refused unseen. For the user name at an address, for the user name anywhere,
	// and for an address whatever the user name: many devices may share an address, so that one takes more.
	pairFree     = 10
	pairPause    = 10 * time.Second
	nameFree     = 50
	namePause    = time.Second
	addressFree  = 100
	addressPause = 200 * time.Millisecond

	// countsMax bounds what is remembered of each of the three, some 150 bytes each. Beyond it what failed longest ago is forgotten.
	countsMax = 20_000
	// nameMax is how much of a user name tells it from others here, in bytes.
	nameMax = 128
)
