package topology

import "strings"

// escape percent-encodes all but RFC 3986's unreserved characters, as RabbitMQ's v2 addresses and management paths want it.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func queuePath(name string) string { return "/queues/" + escape(name) }

func bindingPath(exchange, queue, pattern string) string {
	return "/bindings/src=" + escape(exchange) + ";dstq=" + escape(queue) + ";key=" + escape(pattern) + ";args="
}
