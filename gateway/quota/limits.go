package quota

import "time"

const (
	// sweepPause is how often accounts without connections are looked for. They are few: each was made by an authentication.
	sweepPause = 10 * time.Second
	// pauseLeast is the shortest pause of a device that publishes too fast. Shorter ones are saved up: each costs a timer, and on a rate of thousands a
	// second there would be one for each message.
	pauseLeast = 10 * time.Millisecond
	// Most is the largest value of a quota. Rates above it would be pauses of less than a nanosecond.
	Most = 1_000_000_000
	// fileMax bounds a file of quotas, in bytes: ten thousand principals with some quotas each.
	fileMax = 4 << 20
)
