package mapping

import "strings"

// Exchange is the topic exchange of all MQTT messages. RabbitMQ's own MQTT support uses it as well, so that devices on either hear each
// other.
const Exchange = "amq.topic"

// Key is the routing key of a topic name: levels are separated by '.' instead of '/'. The bytes that mean something in keys and
// patterns ('.', '*', '#') and the escape character '%' itself become %2E, %2A, %23 and %25. Every name has a key of its own, and
// Topic undoes it.
//
// A name without these four characters has the key that RabbitMQ's MQTT support gives it. The escapes are ours: devices on that support
// see a topic "a.b" as "a%2Eb".
func Key(topic string) string {
	var buf [scratch]byte
	return string(appendKey(buf[:0], topic))
}

// Pattern is the binding key of a topic filter: as Key, with '+' as '*' and '#' as '#'. A level "*" of a filter is a literal and
// does not become a wildcard. The filter must be valid and without "$share/group/".
//
// The pattern of a filter matches the key of a name exactly when the filter matches the name, except that on the bus leading wildcards
// match names that begin with '$' as well: match again with topic.Match [MQTT-4.7.2-1].
func Pattern(filter string) string {
	var buf [scratch]byte
	key := buf[:0]
	for level, more := "", true; more; {
		level, filter, more = strings.Cut(filter, "/")
		switch level {
		case "+":
			key = append(key, '*')
		case "#":
			key = append(key, '#')
		default:
			key = appendKey(key, level)
		}
		if more {
			key = append(key, '.')
		}
	}
	return string(key)
}

// Topic is the topic name of a routing key. It undoes Key. Keys from elsewhere are read leniently: what is no escape of ours stays as
// it is. So the result may be no valid topic name.
func Topic(key string) string {
	var buf [scratch]byte
	name := buf[:0]
	for i := 0; i < len(key); i++ {
		c := key[i]
		switch {
		case c == '.':
			c = '/'
		case c == '%' && i+2 < len(key):
			if literal, ok := unescape(key[i+1], key[i+2]); ok {
				c = literal
				i += 2
			}
		}
		name = append(name, c)
	}
	return string(name)
}

// AppendKey appends Key(topic) to dst.
func AppendKey(dst []byte, topic string) []byte { return appendKey(dst, topic) }

func appendKey(dst []byte, topic string) []byte {
	for i := 0; i < len(topic); i++ {
		switch c := topic[i]; c {
		case '/':
			dst = append(dst, '.')
		case '.', '*', '#', '%':
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// unescape knows exactly the escapes that appendKey makes. Any other, also in lower case, comes from elsewhere and is literal text.
func unescape(high, low byte) (byte, bool) {
	if high != '2' {
		return 0, false
	}
	switch low {
	case 'E':
		return '.', true
	case 'A':
		return '*', true
	case '3':
		return '#', true
	case '5':
		return '%', true
	}
	return 0, false
}

// isKeyOf reports whether key is Key(topic), without making it.
func isKeyOf(key, topic string) bool {
	var buf [scratch]byte
	return key == string(appendKey(buf[:0], topic))
}

// Address is an AMQP address in RabbitMQ's format version 2: an exchange with a routing key, or a queue.
type Address struct {
	Exchange, Key string
	Queue         string // empty for an exchange
}

const (
	exchangePrefix = "/exchanges/"
	queuePrefix    = "/queues/"
)

// To is the address of an exchange and routing key: "/exchanges/amq.topic/a.b". Both are percent-encoded as in RFC 3986.
func To(exchange, key string) string {
	var buf [scratch]byte
	to := appendPercent(append(buf[:0], exchangePrefix...), exchange)
	return string(appendPercent(append(to, '/'), key))
}

// AppendTo appends To(exchange, key) to dst, for a key that was built in a buffer.
func AppendTo(dst []byte, exchange string, key []byte) []byte {
	dst = appendPercent(append(dst, exchangePrefix...), exchange)
	return appendPercent(append(dst, '/'), key)
}

// AppendQueueAddress appends QueueAddress(queue) to dst.
func AppendQueueAddress(dst, queue []byte) []byte {
	return appendPercent(append(dst, queuePrefix...), queue)
}

// toTopic is To(Exchange, Key(topic)) without the intermediate string.
func toTopic(topic string) string {
	var keyBuf, toBuf [scratch]byte
	key := appendKey(keyBuf[:0], topic)
	return string(appendPercent(append(toBuf[:0], exchangePrefix+Exchange+"/"...), key))
}

// QueueAddress is the address of a queue: "/queues/q".
func QueueAddress(queue string) string {
	var buf [scratch]byte
	return string(appendPercent(append(buf[:0], queuePrefix...), queue))
}

// ParseAddress reads an address as To and QueueAddress make it; "/exchanges/x" has an empty key. ok is false for anything else,
// also for wrong percent-encoding.
func ParseAddress(s string) (a Address, ok bool) {
	if rest, found := strings.CutPrefix(s, queuePrefix); found {
		a.Queue, ok = unpercent(rest)
		return a, ok && a.Queue != ""
	}
	rest, found := strings.CutPrefix(s, exchangePrefix)
	if !found {
		return Address{}, false
	}
	exchange, key, _ := strings.Cut(rest, "/")
	var okExchange, okKey bool
	a.Exchange, okExchange = unpercent(exchange)
	a.Key, okKey = unpercent(key)
	if !okExchange || !okKey || a.Exchange == "" {
		return Address{}, false
	}
	return a, true
}

// String is the address on the wire.
func (a Address) String() string {
	if a.Queue != "" {
		return QueueAddress(a.Queue)
	}
	return To(a.Exchange, a.Key)
}

const hexDigits = "0123456789ABCDEF"

// appendPercent encodes all but the unreserved characters of RFC 3986, 2.3.
func appendPercent[S string | []byte](dst []byte, s S) []byte {
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// unpercent undoes appendPercent. A '/' would be a further segment, which no address has.
func unpercent(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, strings.IndexByte(s, '/') < 0
	}
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '/':
			return "", false
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, okHigh := hexValue(s[i+1])
			low, okLow := hexValue(s[i+2])
			if !okHigh || !okLow {
				return "", false
			}
			c = high<<4 | low
			i += 2
		}
		plain = append(plain, c)
	}
	return string(plain), true
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
