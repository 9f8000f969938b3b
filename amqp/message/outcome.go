package message

// OutcomeKind is how a delivery ended.
type OutcomeKind uint8

// The four outcomes of the standard [AMQP 3.4], and the two ways of having none.
const (
	// Accepted: the bus took responsibility.
	Accepted OutcomeKind = iota + 1
	// Rejected: the bus or the receiver calls the message invalid; see Outcome.Error.
	Rejected
	// Released: not processed. On a RabbitMQ exchange it means that no queue matched.
	Released
	// Modified: as released, with changes; see DeliveryFailed and UndeliverableHere.
	Modified
	// Lost: no outcome came, since the link, session or connection went away or the time limit passed. The bus may or may not hold the
	// message. For a settled transfer it means that the transfer was not written.
	Lost
	// Busy: never sent. The link's queue is full or the bus is not connected. Nothing was handed over.
	Busy
)

// String gives the outcome's name in the standard.
func (k OutcomeKind) String() string {
	switch k {
	case Accepted:
		return "accepted"
	case Rejected:
		return "rejected"
	case Released:
		return "released"
	case Modified:
		return "modified"
	case Lost:
		return "lost"
	case Busy:
		return "busy"
	}
	return "invalid"
}

// Outcome is the terminal state of a delivery, sent or received.
type Outcome struct {
	Kind              OutcomeKind
	Error             *Error         // Rejected; Lost and Busy: the cause, for the log
	DeliveryFailed    bool           // Modified
	UndeliverableHere bool           // Modified
	Annotations       map[string]any // Modified: message-annotations to merge
}

// Error is an AMQP error [AMQP 2.8.14].
type Error struct {
	Condition   string // a symbol such as "amqp:not-found"
	Description string
	Info        map[string]any
}

// Error makes the AMQP error a Go error.
func (e *Error) Error() string {
	if e.Description == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Description
}
