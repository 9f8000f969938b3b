package failure

import "sluice/mqtt/packet"

// CONNECT is refused.
var (
	ProtocolVersion = row("protocol-version", Connect, in(packet.UnsupportedProtocolVersion, packet.CONNACK), ReturnCode,
		"amqp:not-implemented", "This server speaks MQTT 3.1.1 and MQTT 5.0.")
	// An MQTT 5 device without an identifier is given one.
	ClientID = only311(row("client-id-not-valid", Connect, in(packet.ClientIDNotValid, packet.CONNACK), ReturnCode,
		"amqp:invalid-field", "This client identifier cannot be used."))
	AuthMethod = row("authentication-method", Connect, in(packet.BadAuthenticationMethod, packet.CONNACK), Never,
		"amqp:not-implemented", "This authentication method is not offered.")
	ConnectTimeout = row("connect-timeout", Connect, nil, Closed,
		"amqp:connection:forced", "No CONNECT came in time.")
	TooManyConnections = row("too-many-connections", Connect, in(packet.ServerBusy, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "The server has as many connections as it may have; try again later.")
	ConnectRate = row("connect-rate", Connect, in(packet.ConnectionRateExceeded, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "More connections come than the server takes in a second; try again later.")
	MemoryShort = row("memory-short", Connect, in(packet.ServerBusy, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "The server has no memory for more connections; try again later.")
)

// CONNECT is refused by a quota of the device's principal or tenant (docs/quotas.md). The device is told which one, and its value.
var (
	QuotaConnections = row("quota-connections", Connect, in(packet.QuotaExceeded, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "The quota of connections is used up; try again later.")
	QuotaConnectRate = row("quota-connect-rate", Connect, in(packet.ConnectionRateExceeded, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "The quota of new connections is used up; try again later.")
)

// CONNECT is refused because of who the device is, or is not.
var (
	BadCredentials = row("bad-user-name-or-password", Connect, in(packet.BadUserNameOrPassword, packet.CONNACK), ReturnCode,
		"amqp:unauthorized-access", "The user name or password is not right.")
	NotAuthorized = row("not-authorized", Connect, in(packet.NotAuthorized, packet.CONNACK), ReturnCode,
		"amqp:unauthorized-access", "This device has not shown who it is.")
	TooManyAttempts = row("too-many-failed-attempts", Connect, in(packet.ConnectionRateExceeded, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "Too many attempts with this user name, or from this address, have failed; try again later.")
	AuthUnavailable = row("authentication-unavailable", Connect, in(packet.ServerUnavailable, packet.CONNACK), ReturnCode,
		"sluice:authentication-unavailable", "Who this device is cannot be found out at present; connect again.")
)

// CONNECT is refused because of its client identifier.
var (
	ClientIDNotAllowed = row("client-id-not-allowed", Connect, in(packet.ClientIDNotValid, packet.CONNACK), ReturnCode,
		"amqp:not-allowed", "This client identifier is not allowed.")
	ClientIDTaken = row("client-id-taken", Connect, in(packet.ClientIDNotValid, packet.CONNACK), ReturnCode,
		"amqp:unauthorized-access", "This client identifier is not yours.")
	TooManyClients = row("too-many-client-ids", Connect, in(packet.QuotaExceeded, packet.CONNACK), ReturnCode,
		"amqp:resource-limit-exceeded", "There are as many client identifiers as this principal may have.")
	CredentialBound = row("credential-bound", Connect, in(packet.NotAuthorized, packet.CONNACK), ReturnCode,
		"amqp:unauthorized-access", "This credential belongs to another client identifier.")
)

// CONNECT is refused by a limit of the session store.
var TooManySessions = row("too-many-sessions", Connect, in(packet.QuotaExceeded, packet.CONNACK), ReturnCode,
	"amqp:resource-limit-exceeded", "The server keeps as many sessions as it may; try again later.")

// CONNECT is refused, or an open connection ends, because the device breaks the protocol or a limit it was told.
var (
	Malformed = row("malformed-packet", Connection, ends(packet.MalformedPacket), Closed,
		"amqp:decode-error", "A packet cannot be read.")
	Protocol = row("protocol-error", Connection, ends(packet.ProtocolError), Closed,
		"amqp:not-allowed", "A packet breaks the protocol.")
	PacketTooLarge = row("packet-too-large", Connection, ends(packet.PacketTooLarge), Closed,
		"amqp:link:message-size-exceeded", "A packet is larger than this server takes.")
	AnswerTooLarge = row("answer-too-large", Connection, ends(packet.PacketTooLarge), Never,
		"amqp:link:message-size-exceeded", "The answer is larger than the device's Maximum Packet Size.")
	TopicName = row("topic-name-not-valid", Connection, ends(packet.TopicNameInvalid), Closed,
		"amqp:invalid-field", "A topic name is not valid.")
	FilterMalformed = row("topic-filter-empty", Connection, in(packet.TopicFilterInvalid, packet.DISCONNECT), Closed,
		"amqp:invalid-field", "A topic filter is empty.")
	QoSNotSupported = row("qos-not-supported", Connection, ends(packet.QoSNotSupported), Closed,
		"amqp:not-implemented", "This QoS is not offered.")
	RetainNotSupported = row("retain-not-supported", Connection, ends(packet.RetainNotSupported), Closed,
		"amqp:not-implemented", "Retained messages are not offered.")
	ReceiveMaximum = row("receive-maximum-exceeded", Connection, in(packet.ReceiveMaximumExceeded, packet.DISCONNECT), Never,
		"amqp:session:window-violation", "More messages are under way than the Receive Maximum allows.")
	TopicAlias = row("topic-alias-not-valid", Connection, in(packet.TopicAliasInvalid, packet.DISCONNECT), Never,
		"amqp:invalid-field", "A topic alias is not valid.")
	TooManyUnderWay = row("too-much-under-way", Connection, in(packet.QuotaExceeded, packet.DISCONNECT), Closed,
		"amqp:resource-limit-exceeded", "More packets are under way than this server keeps.")
	TooManyProperties = row("too-many-user-properties", Connection, ends(packet.QuotaExceeded), Never,
		"amqp:resource-limit-exceeded", "A packet has more User Properties than this server takes.")
	KeepAlive = row("keep-alive-timeout", Connection, in(packet.KeepAliveTimeout, packet.DISCONNECT), Closed,
		"amqp:connection:forced", "Nothing was heard for one and a half times the keep alive.")
)

// A connection ends, or does not come about, for a reason of the server.
var (
	SessionTaken = row("session-taken-over", Connection, []Code{
		{packet.DISCONNECT, packet.SessionTakenOver}, {packet.CONNACK, packet.ServerUnavailable}}, Closed,
		"amqp:link:stolen", "Another connection of this client took the session over.")
	ShuttingDown = row("server-shutting-down", Connection, []Code{
		{packet.DISCONNECT, packet.ServerShuttingDown}, {packet.CONNACK, packet.ServerUnavailable}}, Closed,
		"amqp:connection:forced", "The server is going down; connect again.")
	AnotherServer = row("use-another-server", Connection, ends(packet.UseAnotherServer), Closed,
		"amqp:connection:redirect", "The server is going down; connect to the other one.")
	StoreUnavailable = row("session-store-unavailable", Connection, []Code{
		{packet.DISCONNECT, packet.ServerBusy}, {packet.CONNACK, packet.ServerUnavailable}}, Closed,
		"sluice:session-store-unavailable", "The session's state cannot be stored at present; connect again.")
	BusUnavailable = row("bus-unavailable", Connection, in(packet.ServerBusy, packet.DISCONNECT), Closed,
		"sluice:bus-unavailable", "The message bus did not answer in time; what has no acknowledgement was not taken.")
	NodeFenced = row("node-lost-sessions", Connection, in(packet.ServerBusy, packet.DISCONNECT), Closed,
		"sluice:session-store-unavailable", "The server lost contact with its session store; connect again.")
	GroupAnew = row("shared-subscription-anew", Connection, in(packet.ServerBusy, packet.DISCONNECT), Closed,
		"amqp:resource-deleted", "A shared subscription has begun anew; connect again.")
	Certificate = row("certificate-not-accepted", Connection, in(packet.NotAuthorized, packet.DISCONNECT), Closed,
		"amqp:unauthorized-access", "The certificate of this device is not accepted any more.")
	CredentialGone = row("credential-not-accepted", Connection, in(packet.NotAuthorized, packet.DISCONNECT), Closed,
		"amqp:unauthorized-access", "What this device has authenticated with is not accepted any more.")
	AuthExpired = row("authorization-expired", Connection, ends(packet.NotAuthorized), Closed,
		"amqp:unauthorized-access", "What this device has authenticated with has expired; connect again with what is newer, or authenticate again before that.")
	ReauthFailed = row("reauthentication-failed", Connection, in(packet.NotAuthorized, packet.DISCONNECT), Never,
		"amqp:unauthorized-access", "The re-authentication failed; it must show what is accepted, and of the same principal.")
	ReauthUnavailable = row("reauthentication-unavailable", Connection, in(packet.ServerBusy, packet.DISCONNECT), Never,
		"sluice:authentication-unavailable", "Whether this device is still who it was cannot be found out at present; connect again.")
	Revoked = row("revoked", Connection, ends(packet.NotAuthorized), Closed,
		"amqp:unauthorized-access", "The access of this device was revoked.")
	Internal = row("internal-error", Connection, ends(packet.ImplementationSpecificError), Closed,
		"amqp:internal-error", "The server failed; this is a fault of the server.")
)
