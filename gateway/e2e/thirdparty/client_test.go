package thirdparty

import (
	"cmp"
	"slices"
	"strings"

	"sluice/mqtt/packet"
)

// kind is a client that others wrote, as one version of MQTT.
type kind struct {
	name    string
	version packet.Version
	// throttled: it keeps to the Receive Maximum of the server [MQTT-3.3.4-7]. mqtt.js leaves that to the application.
	throttled bool
	// once: it hands a QoS 2 message on once, also when its connection broke in between.
	once bool
	// wholeWills: the Will has all its properties. paho.golang writes User Properties and the delay.
	wholeWills bool
	// connect opens a connection with a session and waits for CONNACK. Events go to d, the first of them may come before it returns.
	connect func(s *stage, d *device, o options) (library, connack, error)
}

// kinds are all there are. Version 3.1.1 of mqtt.js is code of its own in it.
func kinds() []kind {
	return []kind{
		{name: "mqttjs-v311", version: packet.V311, once: true, connect: connectJS},
		{name: "mqttjs-v5", version: packet.V5, once: true, wholeWills: true, connect: connectJS},
		{name: "paho-v311", version: packet.V311, throttled: true, connect: connectPaho311},
		{name: "paho-v5", version: packet.V5, throttled: true, once: true, connect: connectPaho5},
	}
}

// options are those of a connection. What MQTT 3.1.1 does not have is for MQTT 5 alone.
type options struct {
	url       string // where the wire listens, with the scheme that the library wants
	id        string
	clean     bool
	keepAlive uint16 // seconds
	will      *will
	manual    bool // messages are acknowledged when the test says so, in order
	reconnect bool // the library connects again by itself

	expiry         uint32 // of the session, seconds
	receiveMaximum uint16
	maximumPacket  uint32
	aliasMaximum   uint16
	aliases        bool // the library uses Topic Aliases for what it sends
}

type will struct {
	message
	Delay uint32 // seconds
}

// connack is what the library tells of CONNACK.
type connack struct {
	present  bool
	assigned string
}

// library is one open connection.
type library interface {
	subscribe(r request) ([]packet.ReasonCode, error)
	unsubscribe(filters ...string) error
	// publish waits for the answer: PUBACK, PUBCOMP or a PUBREC that refuses. It may be called side by side.
	publish(m message) (packet.ReasonCode, error)
	// acknowledge answers the oldest message that has none. It is for connections with options.manual.
	acknowledge() error
	// disconnect sends DISCONNECT and waits for the end.
	disconnect(l leave) error
	// abandon ends everything that the library does for the connection.
	abandon()
}

// request is a SUBSCRIBE.
type request struct {
	filters []filter
	id      int // Subscription Identifier, zero for none
}

type filter struct {
	Filter            string `json:"filter"`
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"noLocal"`
	RetainAsPublished bool   `json:"retainAsPublished"`
	RetainHandling    byte   `json:"retainHandling"`
}

// leave is what a DISCONNECT of MQTT 5 can say.
type leave struct {
	reason packet.ReasonCode
	expiry *uint32 // of the session from now on
}

// message is a PUBLISH as an application sees it.
type message struct {
	Topic   string
	Payload string
	QoS     byte
	Retain  bool
	extras
}

// extras are what MQTT 5 adds.
type extras struct {
	ContentType   string
	ResponseTopic string
	Correlation   string
	Text          bool     // Payload Format Indicator
	Expiry        uint32   // seconds; zero is never
	User          []string // "key=value", in order of the keys: mqtt.js keeps the order within a key only
	// Subscriptions are Subscription Identifiers, in rising order.
	Subscriptions []int
}

func (e extras) none() bool {
	return e.ContentType == "" && e.ResponseTopic == "" && e.Correlation == "" && !e.Text && e.Expiry == 0 && len(e.User) == 0
}

func sortUser(user []string) []string {
	key := func(s string) string { k, _, _ := strings.Cut(s, "="); return k }
	slices.SortStableFunc(user, func(a, b string) int { return cmp.Compare(key(a), key(b)) })
	return user
}

// ending is the end of a connection that the device did not ask for.
type ending struct {
	told   bool // by a DISCONNECT
	reason packet.ReasonCode
}

func keyValue(user string) (key, value string) {
	key, value, _ = strings.Cut(user, "=")
	return key, value
}
