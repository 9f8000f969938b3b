package failure

import "sluice/mqtt/packet"

// Failure is a row of the catalogue. Rows are compared by their address.
type Failure struct {
	// Name is stable: lower case words with hyphens. It is the name in the log, the label of the metric, and "name" on the error topic.
	Name string
	// About is what fails.
	About About
	// Codes are the MQTT 5 packets that tell it, each with its code. Without any the error topic alone does.
	Codes []Code
	// V311 is what an MQTT 3.1.1 device sees.
	V311 V311
	// Only311: it cannot happen in MQTT 5.
	Only311 bool
	// Condition is the AMQP condition, or one of ours ("sluice:..."). It is the User Property sluice-error.
	Condition string
	// Sentence is what a device may see. It ends with a full stop.
	Sentence string
}

// Code is how one kind of packet tells a failure.
type Code struct {
	In     packet.Type
	Reason packet.ReasonCode
}

// About is what a failure ends or refuses.
type About uint8

// What fails. Connect and Connection end the connection, the others do not.
const (
	Connect      About = iota + 1 // the connection does not come about
	Connection                    // an open connection ends
	Publish                       // a message of the device is refused
	Subscription                  // a topic filter is refused
	Delivery                      // a message for the device is not delivered
)

// String gives the name, in lower case.
func (a About) String() string {
	switch a {
	case Connect:
		return "connect"
	case Connection:
		return "connection"
	case Publish:
		return "publish"
	case Subscription:
		return "subscription"
	case Delivery:
		return "delivery"
	}
	return "invalid"
}

// V311 is what an MQTT 3.1.1 device sees of a failure. The error topic tells it in any case.
type V311 uint8

// What a device of MQTT 3.1.1 sees.
const (
	ReturnCode V311 = iota + 1 // CONNACK with a return code, then the connection is closed
	Closed                     // the connection is closed: 3.1.1 has no packet that says more
	ByRule                     // a refused PUBLISH: on_error of the mapping rule decides
	Suback                     // 0x80 for the filter
	TopicOnly                  // nothing but the error topic
	Never                      // it cannot happen in 3.1.1
)

// Fatal reports whether the failure ends the connection of an MQTT 5 device.
func (f *Failure) Fatal() bool { return f.About == Connect || f.About == Connection }

// In gives the code for a packet. ok is false when that packet does not tell this failure.
func (f *Failure) In(t packet.Type) (r packet.ReasonCode, ok bool) {
	for _, c := range f.Codes {
		if c.In == t {
			return c.Reason, true
		}
	}
	return 0, false
}

// Reason is the code for the error topic and for who asks for one code only: that of the first packet. Without a packet it is 0x83, since 0x80
// would say that the cause is not known.
func (f *Failure) Reason() packet.ReasonCode {
	if len(f.Codes) == 0 {
		return packet.ImplementationSpecificError
	}
	return f.Codes[0].Reason
}

// all are the rows, in the order of the catalogue.
var (
	all    []*Failure
	byName = map[string]*Failure{}
)

// All gives the rows in the order of the documentation. The result is not to be changed.
func All() []*Failure { return all }

// Named gives the row of that name, nil when there is none.
func Named(name string) *Failure {
	return byName[name]
}

func row(name string, about About, codes []Code, old V311, condition, sentence string) *Failure {
	f := &Failure{Name: name, About: about, Codes: codes, V311: old, Condition: condition, Sentence: sentence}
	all, byName[name] = append(all, f), f
	return f
}

func only311(f *Failure) *Failure {
	f.Only311 = true
	return f
}

// in says that each of these packets tells a failure with this code.
func in(r packet.ReasonCode, types ...packet.Type) []Code {
	codes := make([]Code, len(types))
	for i, t := range types {
		codes[i] = Code{t, r}
	}
	return codes
}

// acks are the packets that refuse a PUBLISH of QoS 1 and 2.
func acks(r packet.ReasonCode) []Code { return in(r, packet.PUBACK, packet.PUBREC) }

// ends are the packets that end a connection: CONNACK while CONNECT has no other answer, DISCONNECT later.
func ends(r packet.ReasonCode) []Code { return in(r, packet.DISCONNECT, packet.CONNACK) }
