package queues

// Limits bound what the store may grow to. A zero field takes the default.
type Limits struct {
	// MaxBytes bounds the memory of all queued messages. A publish beyond it is refused; from nine tenths on Store.Full
	// answers true, so that the shell stops granting credit before refusals begin.
	MaxBytes int64
	// MaxQueues, MaxExchanges and MaxBindings bound the topology: a client that declares in a loop meets an error, not the end of memory.
	MaxQueues, MaxExchanges, MaxBindings int
}

// Defaults of Limits.
const (
	// DefaultMaxBytes fits a laptop: the embedded broker is for trying out and for tests.
	DefaultMaxBytes = 256 << 20
	// DefaultMaxQueues is one queue per session of the largest run that an embedded broker is meant for.
	DefaultMaxQueues = 100_000
	// DefaultMaxExchanges is generous: exchanges are made by hand.
	DefaultMaxExchanges = 10_000
	// DefaultMaxBindings gives each of the largest number of queues ten filters.
	DefaultMaxBindings = 1_000_000
)

const (
	// entryOverhead is what a queued message costs beside its bytes: the entry, its pointer in the queue, map slots.
	entryOverhead = 256
	// maxNameLength is RabbitMQ's limit for names and routing keys, in bytes.
	maxNameLength = 255
	// maxDeaths bounds the dead-letter history of a message, and with it a chain of dead-letter exchanges.
	maxDeaths = 16
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxQueues <= 0 {
		l.MaxQueues = DefaultMaxQueues
	}
	if l.MaxExchanges <= 0 {
		l.MaxExchanges = DefaultMaxExchanges
	}
	if l.MaxBindings <= 0 {
		l.MaxBindings = DefaultMaxBindings
	}
	return l
}
