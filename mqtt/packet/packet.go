package packet

// Version is the protocol level of CONNECT [MQTT-3.1.2-1].
type Version byte

// The versions this codec speaks. MQTT 3.1 (level 3) is refused.
const (
	V311 Version = 4
	V5   Version = 5
)

// Type is the control packet type, the high nibble of the first byte (MQTT 5, table 2-1).
type Type byte

// The fifteen control packet types.
const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15
)

// ID is a packet identifier. Zero is never valid on the wire [MQTT-2.2.1-3].
type ID uint16

// QoS is a quality of service level: 0, 1 or 2.
type QoS byte

// Packet is one of the fifteen control packets: *Connect, *Connack, *Publish, *Ack (PUBACK, PUBREC, PUBREL, PUBCOMP),
// *Subscribe, *Suback, *Unsubscribe, *Unsuback, *Pingreq, *Pingresp, *Disconnect, *Auth. To send, there is *Prepared as well.
//
// Strings and byte slices of a decoded packet share memory with the buffer it was decoded from. Whoever decodes must not
// change or reuse that buffer while the packet is in use.
type Packet interface {
	Type() Type
}

// Connect is the first packet of a connection (MQTT 5, 3.1).
type Connect struct {
	Version     Version
	CleanStart  bool // Clean Session in 3.1.1
	KeepAlive   uint16
	ClientID    string
	Will        *Will // nil without a Will
	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte
	Properties  Properties
}

// Will is the Will Message of a CONNECT (MQTT 5, 3.1.2.5).
type Will struct {
	Topic      string
	Payload    []byte
	QoS        QoS
	Retain     bool
	Properties Properties
}

// Connack answers CONNECT (MQTT 5, 3.2). Reason is the MQTT 5 reason code; for 3.1.1 the encoder writes its return code
// (ReasonCode.ConnackReturnCode).
type Connack struct {
	SessionPresent bool
	Reason         ReasonCode
	Properties     Properties
}

// Publish carries an application message (MQTT 5, 3.3).
type Publish struct {
	Dup        bool
	QoS        QoS
	Retain     bool
	Topic      string // empty only with a Topic Alias, MQTT 5
	ID         ID     // zero at QoS 0
	Payload    []byte
	Properties Properties
}

// Ack is PUBACK, PUBREC, PUBREL or PUBCOMP, named by Kind (MQTT 5, 3.4 to 3.7). 3.1.1 has no reason and no properties.
type Ack struct {
	Kind       Type
	ID         ID
	Reason     ReasonCode
	Properties *Properties // nil without any, as nearly all are: there is an Ack for each message, and Properties are large
}

// Subscription is one topic filter of a SUBSCRIBE with its options (MQTT 5, 3.8.3.1).
type Subscription struct {
	Filter            string
	QoS               QoS
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0, 1 or 2
}

// Subscribe asks for subscriptions (MQTT 5, 3.8).
type Subscribe struct {
	ID            ID
	Subscriptions []Subscription
	Properties    Properties
}

// Suback answers each filter of a SUBSCRIBE in order (MQTT 5, 3.9).
type Suback struct {
	ID         ID
	Reasons    []ReasonCode
	Properties Properties
}

// Unsubscribe ends subscriptions (MQTT 5, 3.10).
type Unsubscribe struct {
	ID         ID
	Filters    []string
	Properties Properties
}

// Unsuback answers each filter of an UNSUBSCRIBE in order; 3.1.1 carries no reasons (MQTT 5, 3.11).
type Unsuback struct {
	ID         ID
	Reasons    []ReasonCode
	Properties Properties
}

// Pingreq asks for a Pingresp (MQTT 5, 3.12).
type Pingreq struct{}

// Pingresp answers a Pingreq (MQTT 5, 3.13).
type Pingresp struct{}

// Disconnect is the last packet of a connection (MQTT 5, 3.14). In 3.1.1 only the client sends it, without a reason.
type Disconnect struct {
	Reason     ReasonCode
	Properties Properties
}

// Auth carries enhanced authentication, MQTT 5 only (MQTT 5, 3.15).
type Auth struct {
	Reason     ReasonCode
	Properties Properties
}

func (*Connect) Type() Type     { return CONNECT }
func (*Connack) Type() Type     { return CONNACK }
func (*Publish) Type() Type     { return PUBLISH }
func (p *Ack) Type() Type       { return p.Kind }
func (*Subscribe) Type() Type   { return SUBSCRIBE }
func (*Suback) Type() Type      { return SUBACK }
func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }
func (*Unsuback) Type() Type    { return UNSUBACK }
func (*Pingreq) Type() Type     { return PINGREQ }
func (*Pingresp) Type() Type    { return PINGRESP }
func (*Disconnect) Type() Type  { return DISCONNECT }
func (*Auth) Type() Type        { return AUTH }
