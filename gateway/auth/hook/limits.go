package hook

import "time"

const (
	// answerMax bounds an answer, in bytes: all that a principal may carry, and JSON around it.
	answerMax = 64 << 10
	// waitingMax bounds the attempts that wait for their turn, as a multiple of those that are under way: more would wait longer than devices do.
	waitingMax = 10
	// cacheMax bounds the answers kept, and cacheTimeMax how long one is used: what the service takes back is in force within that time.
	cacheMax     = 10000
	cacheTimeMax = 10 * time.Minute
	// failuresMax is after how many failures in a row the service is given a rest. The rest is restFirst, and doubles up to restMax with each attempt after
	// it that fails too.
	failuresMax = 5
	restFirst   = time.Second
	restMax     = 30 * time.Second
	// tokenMax bounds the file with the token, in bytes.
	tokenMax = 16 << 10
	// timeMax is the last time that an answer may name, in seconds since 1970: the year 9999.
	timeMax = 253402300799
)
