package frame

// Error is an AMQP error as it travels [AMQP 2.8.14].
type Error struct {
	Condition   Symbol // mandatory
	Description string
	Info        Map
}

// Error makes it a Go error.
func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Description
}
