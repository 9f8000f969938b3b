package queues

import (
	"math"
	"reflect"
	"time"
)

// QueueSpec is what a client declares. Two declarations are equivalent when all fields are.
type QueueSpec struct {
	Durable    bool // kept for the comparison only: nothing here outlives the process
	Exclusive  bool
	AutoDelete bool
	// Arguments are the x-arguments, as RabbitMQ names them. Unknown ones are kept and compared, and have no effect.
	Arguments map[string]any
}

// settings are the arguments that have an effect, checked and typed.
type settings struct {
	kind          string // x-queue-type; both kinds behave the same here
	messageTTL    time.Duration
	hasMessageTTL bool
	expires       time.Duration // zero: never
	maxLength     int64         // -1: none
	maxBytes      int64         // -1: none
	rejectPublish bool
	singleActive  bool
	deadLetter    bool
	deadExchange  string
	deadKey       string
	hasDeadKey    bool
	deliveryLimit int64 // -1: none
}

func parseSettings(name string, args map[string]any) (settings, *Error) {
	s := settings{kind: "classic", maxLength: -1, maxBytes: -1, deliveryLimit: -1}
	for key, value := range args {
		if err := s.set(name, key, value); err != nil {
			return s, err
		}
	}
	if s.hasDeadKey && !s.deadLetter {
		return s, refuse(Conflict, "queue %q: x-dead-letter-routing-key needs x-dead-letter-exchange", name)
	}
	return s, nil
}

func (s *settings) set(name, key string, value any) *Error {
	bad := func(want string) *Error {
		return refuse(Conflict, "queue %q: argument %s must be %s, not %v", name, key, want, value)
	}
	number, isNumber := integer(value)
	text, isText := value.(string)
	switch key {
	case "x-queue-type":
		if text != "classic" && text != "quorum" {
			return bad(`"classic" or "quorum"`)
		}
		s.kind = text
	case "x-expires":
		if !isNumber || number <= 0 || number > math.MaxUint32 {
			return bad("a positive number of milliseconds")
		}
		s.expires = time.Duration(number) * time.Millisecond
	case "x-message-ttl":
		if !isNumber || number < 0 || number > math.MaxUint32 {
			return bad("a number of milliseconds")
		}
		s.messageTTL, s.hasMessageTTL = time.Duration(number)*time.Millisecond, true
	case "x-max-length":
		if !isNumber || number < 0 {
			return bad("a number of messages")
		}
		s.maxLength = number
	case "x-max-length-bytes":
		if !isNumber || number < 0 {
			return bad("a number of bytes")
		}
		s.maxBytes = number
	case "x-delivery-limit":
		if !isNumber {
			return bad("a number of deliveries, or -1")
		}
		s.deliveryLimit = number
	case "x-overflow":
		if text != "drop-head" && text != "reject-publish" {
			return bad(`"drop-head" or "reject-publish"`)
		}
		s.rejectPublish = text == "reject-publish"
	case "x-single-active-consumer":
		flag, ok := value.(bool)
		if !ok {
			return bad("a boolean")
		}
		s.singleActive = flag
	case "x-dead-letter-exchange":
		if !isText {
			return bad("the name of an exchange")
		}
		s.deadLetter, s.deadExchange = true, text
	case "x-dead-letter-routing-key":
		if !isText {
			return bad("a routing key")
		}
		s.deadKey, s.hasDeadKey = text, true
	}
	return nil
}

// integer reads any AMQP integer type: clients choose the width as they like.
func integer(v any) (int64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int(), true
	case r.CanUint() && r.Uint() <= math.MaxInt64:
		return int64(r.Uint()), true
	}
	return 0, false
}

// equivalent compares arguments by value, whatever integer type they came in.
func equivalent(a, b map[string]any) (string, bool) {
	for key, value := range a {
		other, ok := b[key]
		if !ok || !sameValue(value, other) {
			return key, false
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			return key, false
		}
	}
	return "", true
}

func sameValue(a, b any) bool {
	x, xok := integer(a)
	y, yok := integer(b)
	if xok && yok {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}
