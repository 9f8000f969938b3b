package mapping

import "strings"

// Dialect is how a kind of bus names addresses, and what else it makes of a message: everything in which buses differ for this package. It is a
// value that is chosen once, when a node starts. The zero value is RabbitMQ.
type Dialect struct {
	kind  dialectKind
	root  string // Artemis: the address under which topics are; Azure: the entity that all topics go to
	form  Form
	azure azure
}

type dialectKind uint8

const (
	kindRabbitMQ dialectKind = iota
	kindArtemis
	kindAzure
)

// RabbitMQ is the dialect of RabbitMQ 4 and of the embedded bus: exchanges with routing keys, and addresses of version 2.
var RabbitMQ = Dialect{}

// Artemis is the dialect of ActiveMQ Artemis: plain addresses, those of topics under root. What root may be is the business of amqp/topology.
func Artemis(root string) Dialect { return Dialect{kind: kindArtemis, root: root} }

// WithForm is the dialect with messages written in this form.
func (d Dialect) WithForm(f Form) Dialect {
	f.Marks = f.Marks.on(d.kind)
	d.form = f
	return d
}

// topicExchange is the topic exchange of all MQTT messages on RabbitMQ. RabbitMQ's own MQTT support uses it as well, so that devices on either hear
// each other.
const topicExchange = "amq.topic"

// Exchange is the exchange of all topics. On Artemis, which has no exchanges, it is the root; on Azure the entity.
func (d Dialect) Exchange() string {
	if d.kind != kindRabbitMQ {
		return d.root
	}
	return topicExchange
}

// HasExchanges reports whether there are other exchanges than Exchange.
func (d Dialect) HasExchanges() bool { return d.kind == kindRabbitMQ }

// KeepsWithin reports whether addresses of queues that begin like this are all harmless, whatever a device's topic puts behind it. On Artemis the queue
// of an address may be activemq.management or another session's inbox.
func (d Dialect) KeepsWithin(beginning string) bool {
	if d.kind != kindArtemis {
		return true
	}
	first, _, whole := strings.Cut(beginning, ".")
	root, _, _ := strings.Cut(d.root, ".")
	return whole && first != "" && first != "activemq" && first != "sluice" && first != root && !strings.HasPrefix(first, "$")
}

// TellsUnrouted reports whether the bus tells that nobody subscribes to a topic (released). Artemis accepts such a message.
func (d Dialect) TellsUnrouted() bool { return d.kind == kindRabbitMQ }

// RoutesLate reports whether a queue may get a message a little after others that were routed to it later, from another connection. Artemis finds the
// queues of a durable message first, and adds it when it is on the disk.
func (d Dialect) RoutesLate() bool { return d.kind == kindArtemis }

// duplicateID is the application property by which Artemis drops a message that it has already.
const duplicateID = "_AMQ_DUPL_ID"

// DuplicateID is the application property that takes the message-id so that the bus drops a second copy of the message; empty where it does not. It is
// for QoS 2 alone: Artemis 2.55 sets aside 80 KB of memory for each address that ever saw one (id-cache-size), and every topic is an address.
func (d Dialect) DuplicateID() string {
	if d.kind == kindArtemis {
		return duplicateID
	}
	return ""
}

// Reserved reports whether an application property of this name is the gateway's own word, or an order to the bus. A device's does not cross.
//
// Artemis acts on _AMQ_*, and hands consumers that are not AMQP an annotation as the property JMS_AMQP_MA_*.
func (d Dialect) Reserved(name string) bool { return forges(name) || d.ofTheBus(name) }

// ofTheBus reports whether an application property is the bus's own business.
func (d Dialect) ofTheBus(name string) bool {
	return d.kind == kindArtemis && (strings.HasPrefix(name, "_AMQ_") || strings.HasPrefix(name, "JMS_AMQP_"))
}

// Addresses says how addresses are written.
func (d Dialect) Addresses() string {
	switch d.kind {
	case kindArtemis:
		return d.root + ".KEY or the name of an address"
	case kindAzure:
		return "the name of an entity, such as " + d.root
	}
	return "/exchanges/NAME/KEY or /queues/NAME, percent-encoded"
}

// To is the address of an exchange and routing key: "/exchanges/amq.topic/a.b", both percent-encoded as in RFC 3986, or "mqtt.a.b".
func (d Dialect) To(exchange, key string) string {
	switch {
	case d.kind == kindAzure, d.kind == kindArtemis && key == "":
		return exchange
	case d.kind == kindArtemis:
		return exchange + "." + key
	}
	var buf [scratch]byte
	to := appendPercent(append(buf[:0], exchangePrefix...), exchange)
	return string(appendPercent(append(to, '/'), key))
}

// AppendTo appends To(exchange, key) to dst, for a key that was built in a buffer.
func (d Dialect) AppendTo(dst []byte, exchange string, key []byte) []byte {
	if d.kind != kindRabbitMQ {
		if dst = append(dst, exchange...); len(key) > 0 && d.HasKeys() {
			dst = append(append(dst, '.'), key...)
		}
		return dst
	}
	dst = appendPercent(append(dst, exchangePrefix...), exchange)
	return appendPercent(append(dst, '/'), key)
}

// ToTopic is the address of a topic: To(Exchange(), Key(topic)) without the intermediate string.
func (d Dialect) ToTopic(topic string) string {
	if d.kind == kindAzure {
		return d.root
	}
	var keyBuf, toBuf [scratch]byte
	key := d.AppendKey(keyBuf[:0], topic)
	if d.kind == kindArtemis {
		return string(append(append(append(toBuf[:0], d.root...), '.'), key...))
	}
	return string(appendPercent(append(toBuf[:0], exchangePrefix+topicExchange+"/"...), key))
}

// ToQueue is the address of a queue: "/queues/q" or "q".
func (d Dialect) ToQueue(queue string) string {
	if d.kind != kindRabbitMQ {
		return queue
	}
	var buf [scratch]byte
	return string(appendPercent(append(buf[:0], queuePrefix...), queue))
}

// AppendToQueue appends ToQueue(queue) to dst.
func (d Dialect) AppendToQueue(dst, queue []byte) []byte {
	if d.kind != kindRabbitMQ {
		return append(dst, queue...)
	}
	return appendPercent(append(dst, queuePrefix...), queue)
}

// Format is the address on the wire; ParseAddress undoes it.
func (d Dialect) Format(a Address) string {
	if a.Queue != "" {
		return d.ToQueue(a.Queue)
	}
	return d.To(a.Exchange, a.Key)
}

// ParseAddress reads an address as To and ToQueue make it; "/exchanges/x" has an empty key. ok is false for anything else, also for wrong
// percent-encoding. On Artemis all that is not under the root is a queue, on Azure all but the entity that topics go to.
func (d Dialect) ParseAddress(s string) (a Address, ok bool) {
	switch d.kind {
	case kindRabbitMQ:
		return parseVersion2(s)
	case kindAzure:
		return d.azure.parse(d.root, s)
	}
	rest, found := strings.CutPrefix(s, d.root)
	switch {
	case s == "":
		return Address{}, false
	case found && rest == "":
		return Address{Exchange: d.root}, true
	case found && rest[0] == '.':
		return Address{Exchange: d.root, Key: rest[1:]}, true
	}
	return Address{Queue: s}, true
}

// Key is the routing key of a topic name: levels are separated by '.' instead of '/'. The bytes that mean something in keys and
// patterns ('.', '*', '#') and the escape character '%' itself become %2E, %2A, %23 and %25; on Artemis, where "::" parts an address from a queue,
// ':' becomes %3A. Every name has a key of its own, and Topic undoes it.
//
// A name without these characters has the key that RabbitMQ's MQTT support gives it. The escapes are ours: devices on that support
// see a topic "a.b" as "a%2Eb".
func (d Dialect) Key(topic string) string {
	var buf [scratch]byte
	return string(d.AppendKey(buf[:0], topic))
}

// AppendKey appends Key(topic) to dst.
func (d Dialect) AppendKey(dst []byte, topic string) []byte {
	for i := 0; i < len(topic); i++ {
		switch c := topic[i]; {
		case c == '/':
			dst = append(dst, '.')
		case d.escapes(c):
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func (d Dialect) escapes(c byte) bool {
	switch c {
	case '.', '*', '#', '%':
		return true
	case ':':
		return d.kind == kindArtemis
	}
	return false
}

// Pattern is the binding key of a topic filter: as Key, with '+' as '*' and '#' as '#'. A level "*" of a filter is a literal and
// does not become a wildcard. The filter must be valid and without "$share/group/".
//
// The pattern of a filter matches the key of a name exactly when the filter matches the name, except that on the bus leading wildcards
// match names that begin with '$' as well: match again with topic.Match [MQTT-4.7.2-1].
func (d Dialect) Pattern(filter string) string {
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
			key = d.AppendKey(key, level)
		}
		if more {
			key = append(key, '.')
		}
	}
	return string(key)
}

// Topic is the topic name of a routing key. It undoes Key. Keys from elsewhere are read leniently: what is no escape of ours stays as
// it is. So the result may be no valid topic name.
func (d Dialect) Topic(key string) string {
	var buf [scratch]byte
	name := buf[:0]
	for i := 0; i < len(key); i++ {
		c := key[i]
		switch {
		case c == '.':
			c = '/'
		case c == '%' && i+2 < len(key):
			if literal, ok := d.unescape(key[i+1], key[i+2]); ok {
				c = literal
				i += 2
			}
		}
		name = append(name, c)
	}
	return string(name)
}

// unescape knows exactly the escapes that AppendKey makes. Any other, also in lower case, comes from elsewhere and is literal text.
func (d Dialect) unescape(high, low byte) (byte, bool) {
	digit := strings.IndexByte(hexDigits, low)
	if digit < 0 || high != '2' && high != '3' {
		return 0, false
	}
	c := (high-'0')<<4 | byte(digit)
	return c, d.escapes(c)
}

// isKeyOf reports whether key is Key(topic), without making it.
func (d Dialect) isKeyOf(key, topic string) bool {
	var buf [scratch]byte
	return key == string(d.AppendKey(buf[:0], topic))
}

// isPlain reports whether a to may be a topic name itself, as backends write it that have come from elsewhere. On Artemis it is an address.
func (d Dialect) isPlain(to string) bool {
	return to != "" && d.kind == kindRabbitMQ && !strings.HasPrefix(to, exchangePrefix) && !strings.HasPrefix(to, queuePrefix)
}

// replyTopic maps the reply-to of a request back to the topic where a device can publish its answer. A key that no topic has is none: the answer would
// go elsewhere.
func (d Dialect) replyTopic(replyTo string) (string, bool) {
	a, ok := d.ParseAddress(replyTo)
	if !ok || a.Exchange != d.Exchange() || !d.HasKeys() {
		return "", false
	}
	name := d.Topic(a.Key)
	return name, validName(name) && d.isKeyOf(a.Key, name)
}
