package mapping

import "strings"

// Address is an AMQP address taken apart: an exchange with a routing key, or a queue. Dialect says how it is written.
type Address struct {
	Exchange, Key string
	Queue         string // empty for an exchange
}

// RabbitMQ's address format version 2.
const (
	exchangePrefix = "/exchanges/"
	queuePrefix    = "/queues/"
)

func parseVersion2(s string) (a Address, ok bool) {
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
