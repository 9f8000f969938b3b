package packet

import "fmt"

// packetSet is a set of packet types, one bit each.
type packetSet uint16

func in(types ...Type) packetSet {
	var s packetSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

type reasonDef struct {
	name string
	in   packetSet
}

// reasonDefs is MQTT 5, table 2-6: the name of each reason code and the packets that may carry it. A code without a name is
// not defined. The tables of the single packets agree with it but for one code: 0x8C is missing in that of DISCONNECT, and
// without it a failed re-authentication could not be told (MQTT 5, 4.12.1), so table 2-6 counts.
var reasonDefs = [256]reasonDef{
	Success:               {"Success", in(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)},
	GrantedQoS1:           {"Granted QoS 1", in(SUBACK)},
	GrantedQoS2:           {"Granted QoS 2", in(SUBACK)},
	DisconnectWithWill:    {"Disconnect with Will Message", in(DISCONNECT)},
	NoMatchingSubscribers: {"No matching subscribers", in(PUBACK, PUBREC)},
	NoSubscriptionExisted: {"No subscription existed", in(UNSUBACK)},

	ContinueAuthentication: {"Continue authentication", in(AUTH)},
	ReAuthenticate:         {"Re-authenticate", in(AUTH)},

	UnspecifiedError:            {"Unspecified error", in(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	MalformedPacket:             {"Malformed Packet", in(CONNACK, DISCONNECT)},
	ProtocolError:               {"Protocol Error", in(CONNACK, DISCONNECT)},
	ImplementationSpecificError: {"Implementation specific error", in(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	UnsupportedProtocolVersion:  {"Unsupported Protocol Version", in(CONNACK)},
	ClientIDNotValid:            {"Client Identifier not valid", in(CONNACK)},
	BadUserNameOrPassword:       {"Bad User Name or Password", in(CONNACK)},
	NotAuthorized:               {"Not authorized", in(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	ServerUnavailable:           {"Server unavailable", in(CONNACK)},
	ServerBusy:                  {"Server busy", in(CONNACK, DISCONNECT)},
	Banned:                      {"Banned", in(CONNACK)},
	ServerShuttingDown:          {"Server shutting down", in(DISCONNECT)},
	BadAuthenticationMethod:     {"Bad authentication method", in(CONNACK, DISCONNECT)},
	KeepAliveTimeout:            {"Keep Alive timeout", in(DISCONNECT)},
	SessionTakenOver:            {"Session taken over", in(DISCONNECT)},
	TopicFilterInvalid:          {"Topic Filter invalid", in(SUBACK, UNSUBACK, DISCONNECT)},
	TopicNameInvalid:            {"Topic Name invalid", in(CONNACK, PUBACK, PUBREC, DISCONNECT)},
	PacketIDInUse:               {"Packet Identifier in use", in(PUBACK, PUBREC, SUBACK, UNSUBACK)},
	PacketIDNotFound:            {"Packet Identifier not found", in(PUBREL, PUBCOMP)},
	ReceiveMaximumExceeded:      {"Receive Maximum exceeded", in(DISCONNECT)},
	TopicAliasInvalid:           {"Topic Alias invalid", in(DISCONNECT)},
	PacketTooLarge:              {"Packet too large", in(CONNACK, DISCONNECT)},
	MessageRateTooHigh:          {"Message rate too high", in(DISCONNECT)},
	QuotaExceeded:               {"Quota exceeded", in(CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT)},
	AdministrativeAction:        {"Administrative action", in(DISCONNECT)},
	PayloadFormatInvalid:        {"Payload format invalid", in(CONNACK, PUBACK, PUBREC, DISCONNECT)},
	RetainNotSupported:          {"Retain not supported", in(CONNACK, DISCONNECT)},
	QoSNotSupported:             {"QoS not supported", in(CONNACK, DISCONNECT)},
	UseAnotherServer:            {"Use another server", in(CONNACK, DISCONNECT)},
	ServerMoved:                 {"Server moved", in(CONNACK, DISCONNECT)},
	SharedSubNotSupported:       {"Shared Subscriptions not supported", in(SUBACK, DISCONNECT)},
	ConnectionRateExceeded:      {"Connection rate exceeded", in(CONNACK, DISCONNECT)},
	MaximumConnectTime:          {"Maximum connect time", in(DISCONNECT)},
	SubIDNotSupported:           {"Subscription Identifiers not supported", in(SUBACK, DISCONNECT)},
	WildcardSubNotSupported:     {"Wildcard Subscriptions not supported", in(SUBACK, DISCONNECT)},
}

// String gives the name of the standard, such as "Topic Name invalid".
func (r ReasonCode) String() string {
	if name := reasonDefs[r].name; name != "" {
		return name
	}
	return fmt.Sprintf("reason code 0x%02X", byte(r))
}

// LegalIn reports whether a packet of type t may carry the code (MQTT 5, table 2-6).
func (r ReasonCode) LegalIn(t Type) bool { return t <= AUTH && reasonDefs[r].in&(1<<t) != 0 }

// ConnackReturnCode is the return code that tells a 3.1.1 client the same (MQTT 3.1.1, table 3.1). Where that table has no
// equal, the code says what the client should do: 3 (Server unavailable) if the same CONNECT may succeed later, 5 (not
// authorized) if it has to change first. A CONNECT that is malformed gets no CONNACK at all in 3.1.1 [3.1.1 MQTT-3.1.4-1]; the
// caller closes instead of asking for a code.
func (r ReasonCode) ConnackReturnCode() byte {
	switch r {
	case Success:
		return 0
	case UnsupportedProtocolVersion:
		return 1
	case ClientIDNotValid:
		return 2
	case BadUserNameOrPassword:
		return 4
	case NotAuthorized, Banned, BadAuthenticationMethod:
		return 5
	case MalformedPacket, ProtocolError, PacketTooLarge, TopicNameInvalid, PayloadFormatInvalid, RetainNotSupported,
		QoSNotSupported:
		return 5
	}
	return 3
}

// connackReasons are the reason codes for the return codes of MQTT 3.1.1, table 3.1. ConnackReturnCode leads back.
var connackReasons = [...]ReasonCode{
	0: Success,
	1: UnsupportedProtocolVersion,
	2: ClientIDNotValid,
	3: ServerUnavailable,
	4: BadUserNameOrPassword,
	5: NotAuthorized,
}

// reasonClauses are the statements that bind each packet to its codes.
var reasonClauses = [16]string{
	CONNACK: "MQTT-3.2.2-8", PUBACK: "MQTT-3.4.2-1", PUBREC: "MQTT-3.5.2-1", PUBREL: "MQTT-3.6.2-1",
	PUBCOMP: "MQTT-3.7.2-1", SUBACK: "MQTT-3.9.3-2", UNSUBACK: "MQTT-3.11.3-2", DISCONNECT: "MQTT-3.14.2-1",
	AUTH: "MQTT-3.15.2-1",
}

// reason reads a reason code that is legal in the packet.
func (c *cursor) reason() (ReasonCode, error) {
	b, err := c.uint8("the Reason Code")
	if err != nil {
		return 0, err
	}
	r := ReasonCode(b)
	if !r.LegalIn(c.pkt) {
		return 0, violation(reasonClauses[c.pkt], "%s has Reason Code 0x%02X, which is not one of its codes", c.pkt, b)
	}
	return r, nil
}

func checkReason(t Type, r ReasonCode) error {
	if !r.LegalIn(t) {
		return unwritable(t, "Reason Code 0x%02X (%s) is not legal in it [%s]", byte(r), r, reasonClauses[t])
	}
	return nil
}
