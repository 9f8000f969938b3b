package failure

import "sluice/mqtt/packet"

// byReason are the rows of what mqtt/packet and mqtt/session find wrong by themselves. They know neither AMQP nor this catalogue, so the reason code
// and the clause tell which row it is.
var byReason = map[packet.ReasonCode]*Failure{
	packet.MalformedPacket:            Malformed,
	packet.ProtocolError:              Protocol,
	packet.UnsupportedProtocolVersion: ProtocolVersion,
	packet.ClientIDNotValid:           ClientID,
	packet.BadAuthenticationMethod:    AuthMethod,
	packet.ServerBusy:                 StoreUnavailable, // mqtt/session, store.go: nothing else there is called busy
	packet.KeepAliveTimeout:           KeepAlive,
	packet.SessionTakenOver:           SessionTaken,
	packet.TopicFilterInvalid:         FilterMalformed,
	packet.TopicNameInvalid:           TopicName,
	packet.ReceiveMaximumExceeded:     ReceiveMaximum,
	packet.TopicAliasInvalid:          TopicAlias,
	packet.PacketTooLarge:             PacketTooLarge,
	packet.QuotaExceeded:              TooManyUnderWay,
	packet.RetainNotSupported:         RetainNotSupported,
	packet.QoSNotSupported:            QoSNotSupported,
	packet.MaximumConnectTime:         ConnectTimeout,
	packet.PacketIDInUse:              PacketIDInUse, // mqtt/session refuses that PUBLISH by itself
}

// clauseOfAnswer is the rule that forbids us to send what is too large.
const clauseOfAnswer = "MQTT-3.1.2-24"

// clauseOfLimits is what mqtt/packet names where a packet keeps to the protocol and exceeds a limit of ours. mqtt/session names none.
const clauseOfLimits = "MQTT 5, 4.13.2"

// OfProtocol gives the row for a connection that mqtt/packet or mqtt/session ended by themselves.
func OfProtocol(r packet.ReasonCode, clause string) *Failure {
	if r == packet.PacketTooLarge && clause == clauseOfAnswer {
		return AnswerTooLarge
	}
	if r == packet.QuotaExceeded && clause == clauseOfLimits {
		return TooManyProperties
	}
	if f := byReason[r]; f != nil {
		return f
	}
	return Internal // a reason that nobody thought of is our fault, not the device's
}

// bySubscription are the rows of filters that mqtt/session refuses.
var bySubscription = map[packet.ReasonCode]*Failure{
	packet.TopicFilterInvalid:    FilterNotValid,
	packet.SharedSubNotSupported: SharedNotSupported,
	packet.QuotaExceeded:         TooManySubscriptions,
}

// OfFilter gives the row for a filter that mqtt/session refused by itself.
func OfFilter(r packet.ReasonCode) *Failure {
	if f := bySubscription[r]; f != nil {
		return f
	}
	return SubscriptionRefused
}
