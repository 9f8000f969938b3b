package config

import (
	"net/netip"
	"slices"
	"time"

	"sluice/amqp/topology"
	"sluice/mapping"
	"sluice/mapping/rules"
)

// Config is the configuration, checked. The keys are named in keys.
type Config struct {
	NodeID string

	TCPListen        string // empty: off, as with the others
	TLSListen        string
	WSListen         string
	WSSListen        string
	TLS              ListenerTLS
	TLSClients       string // what mqtt.tls.listen makes of devices' certificates
	WSSClients       string
	TCPProxies       []netip.Prefix // load balancers whose connections begin with a PROXY header
	TLSProxies       []netip.Prefix
	WSProxies        []netip.Prefix
	WSSProxies       []netip.Prefix
	WSPath           string
	WSOrigins        []string
	TCPProfile       string // never empty once loaded, as with the others
	TLSProfile       string
	WSProfile        string
	WSSProfile       string
	MaxPacketSize    int
	ReceiveMaximum   int
	Window           int
	TopicAliasMax    int
	KeepAliveMax     int
	PropertyBag      bool
	ConnectTimeout   time.Duration
	WriteTimeout     time.Duration
	BusURLs          []string // empty: the embedded bus
	BusKind          string   // one of the Kind constants
	ArtemisRoot      string
	Azure            Azure
	Form             mapping.Form
	Dialect          mapping.Dialect // follows from BusKind and Form
	BusTLS           ClientTLS
	BusConnections   int
	BusGrace         time.Duration
	EmbeddedListen   string
	EmbeddedUser     string
	EmbeddedPassword string
	Profile          string // of the listeners that name none
	SessionsURL      string // empty: memory
	SessionsTLS      ClientTLS
	SessionsReplicas int // durable: how many must confirm
	SessionsExpiry   time.Duration
	SessionsQueue    int
	PoisonAfter      int    // connections; zero: never
	RetainedQueue    string // empty: off
	EventsAddress    string // a queue's name, or an address that begins with a slash; empty: off
	Quarantine       string // as EventsAddress
	RetainedMessages int
	RetainedBytes    int
	RetainedEach     int // messages of one principal; zero: as many as all together
	RetainedEachSize int // bytes of one principal; the same
	MaxConnections   int
	ConnectRate      int // new connections a second; zero: any number
	MemoryMax        int // bytes; zero: as GOMEMLIMIT has it
	Quotas           Quotas
	MaxSubscriptions int
	Admin            Admin
	Clients          Clients
	TracesEndpoint   string // URL with its path; empty: off
	TracesRatio      float64
	TracesTimeout    time.Duration
	LogLevel         string
	LogFormat        string
	ShutdownTimeout  time.Duration
	ShutdownRate     int
	ServerReference  string
	Rules            *rules.Table // mapping rules, for Dialect; nil: none

	Auth   Auth
	Access Access

	written writtenRules
}

// key is one configuration key.
type key struct {
	name  string
	value any    // the default, as a person would write it
	doc   string // what it does, in a sentence or two
	set   setter // checks a value and puts it in its place
}

// keys is the table of all keys, bound to c, in the order of the reference.
func keys(c *Config) []key {
	return slices.Concat(coreKeys(c), authKeys(c), jwtKeys(&c.Auth.JWT), httpKeys(&c.Auth.HTTP), clientsKeys(c), accessKeys(c), quotaKeys(c), adminKeys(c))
}

// coreKeys are those of the gateway itself.
func coreKeys(c *Config) []key {
	return []key{
		{"mqtt.tcp.listen", "127.0.0.1:1883", "Where devices connect over plain TCP: host:port, port 0 takes a free one, off for none.", address(&c.TCPListen, offAllowed)},
		{"mqtt.tls.listen", "off", "Where devices connect over TLS (1.2 or 1.3): host:port, or off. Needs mqtt.tls.cert and mqtt.tls.key.", address(&c.TLSListen, offAllowed)},
		{"mqtt.tls.cert", "", "File with the certificate chain of the TLS listeners, PEM.", text(&c.TLS.Cert)},
		{"mqtt.tls.key", "", "File with the private key of the TLS listeners, PEM.", text(&c.TLS.Key)},
		{"mqtt.tls.client_certificates", "off", "What mqtt.tls.listen makes of devices' certificates: off asks for none, optional lets devices in without, required does not. Needs mqtt.tls.client_ca.", certificates(&c.TLSClients)},
		{"mqtt.wss.client_certificates", "off", "The same for mqtt.wss.listen.", certificates(&c.WSSClients)},
		{"mqtt.tls.client_ca", "", "File with the certificates of the CAs whose devices are let in, PEM.", text(&c.TLS.ClientCA)},
		{"mqtt.tls.client_crl", "", "Files with the revocation lists of these CAs, PEM or DER, separated by commas or as a list. With any, each CA that issues devices' certificates needs one.", files(&c.TLS.ClientCRL)},
		{"mqtt.tls.client_identity", "cn", "What names the owner of a certificate: cn (the subject's common name), uri, dns or email (the alternative name of that type). A certificate without one such name, or with several, is refused.", oneOf(&c.TLS.ClientIdentity, identities...)},
		{"mqtt.tls.ticket_secret", "", "File with a secret, the same on all nodes, from which the keys of session tickets are made: devices then resume their TLS session on any node. Empty: on the same node only, until it ends.", text(&c.TLS.TicketSecret)},
		{"mqtt.ws.listen", "off", "Where devices connect over WebSocket (subprotocol mqtt): host:port, or off.", address(&c.WSListen, offAllowed)},
		{"mqtt.wss.listen", "off", "Where devices connect over WebSocket on TLS: host:port, or off. Needs mqtt.tls.cert and mqtt.tls.key.", address(&c.WSSListen, offAllowed)},
		{"mqtt.ws.path", "/mqtt", "Path of the WebSockets' URL, with and without TLS.", urlPath(&c.WSPath)},
		{"mqtt.ws.origins", "*", "Web pages that may open a WebSocket: hosts or scheme://host, with * and ? as wildcards, separated by commas or as a list. Clients that are no browser name none and are always let in. * lets all in.", origins(&c.WSOrigins)},
		{"mqtt.tcp.proxies", "", "Addresses and networks of load balancers whose connections to mqtt.tcp.listen begin with a PROXY header (version 1 or 2), separated by commas or as a list: from there it is required, from anywhere else it is not understood.", networks(&c.TCPProxies)},
		{"mqtt.tls.proxies", "", "The same for mqtt.tls.listen.", networks(&c.TLSProxies)},
		{"mqtt.ws.proxies", "", "The same for mqtt.ws.listen.", networks(&c.WSProxies)},
		{"mqtt.wss.proxies", "", "The same for mqtt.wss.listen.", networks(&c.WSSProxies)},
		{"mqtt.tcp.profile", "", "Profile of devices on mqtt.tcp.listen. Empty takes that of the key profile.", inherited(&c.TCPProfile, profiles)},
		{"mqtt.tls.profile", "", "Profile of devices on mqtt.tls.listen. Empty takes that of the key profile.", inherited(&c.TLSProfile, profiles)},
		{"mqtt.ws.profile", "", "Profile of devices on mqtt.ws.listen. Empty takes that of the key profile.", inherited(&c.WSProfile, profiles)},
		{"mqtt.wss.profile", "", "Profile of devices on mqtt.wss.listen. Empty takes that of the key profile.", inherited(&c.WSSProfile, profiles)},
		{"mqtt.max_packet_size", 262144, "Largest packet a device may send, in bytes. Refused from its header above that.", integer(&c.MaxPacketSize, 128, 268435455)},
		{"mqtt.receive_maximum", 100, "QoS 1 and 2 messages a device may have sent without an answer. MQTT 5 devices are told, others are read more slowly.", integer(&c.ReceiveMaximum, 1, 65535)},
		{"mqtt.window", 20, "QoS 1 and 2 messages under way to a device. Its own Receive Maximum can only lower it.", integer(&c.Window, 1, 16382)},
		{"mqtt.topic_alias_maximum", 16, "Topic aliases a device may use, and the most we use towards it.", integer(&c.TopicAliasMax, 0, 65535)},
		{"mqtt.keep_alive_max", 0, "Longest keep-alive in seconds; MQTT 5 devices that ask for more, or for none, are told this one. 0 is no limit.", integer(&c.KeepAliveMax, 0, 65535)},
		{"mqtt.property_bag", "off", "on: MQTT 3.1.1 devices may put properties behind the topic of a PUBLISH or Will, as in plant/7/temp/?content-type=application%2Fjson&unit=C. See docs/properties.md. Topics with a level that begins with ? cannot be used then.", onOff(&c.PropertyBag)},
		{"mqtt.connect_timeout", "10s", "How long a connection may take to send CONNECT, and to finish its TLS and WebSocket handshakes, each.", duration(&c.ConnectTimeout, 100*time.Millisecond, 10*time.Minute)},
		{"mqtt.write_timeout", "30s", "How long a device may read nothing of what it is sent before it is disconnected; it can take up to an eighth longer.", duration(&c.WriteTimeout, 100*time.Millisecond, time.Hour)},
		{"bus.url", "", "The AMQP 1.0 bus: amqp://user:password@host:5672 or amqps://...; several, separated by commas or as a list, are fail-over hosts. Empty runs the embedded bus, which keeps nothing.", busURLs(&c.BusURLs)},
		{"bus.kind", KindAuto, "What kind of bus bus.url is: rabbitmq (also any other AMQP 1.0 bus that speaks as it does), artemis, servicebus or eventhubs (Azure's; docs/backends.md), or auto: a starting node asks the bus, for up to 5 s, and takes one that does not answer for rabbitmq. Set it where nodes may start before their bus, and for Azure, which does not say.", oneOf(&c.BusKind, KindAuto, KindRabbitMQ, KindArtemis, KindServiceBus, KindEventHubs)},
		{"bus.artemis.root", topology.DefaultRoot, "Address on ActiveMQ Artemis under which topics are: topic a/b is the address mqtt.a.b.", artemisRoot(&c.ArtemisRoot)},
		{"bus.tls.ca", "", "File with the CAs to trust when bus.url is amqps, PEM. Empty trusts those of the system.", text(&c.BusTLS.CA)},
		{"bus.tls.cert", "", "File with the certificate that this node shows to the bus, PEM.", text(&c.BusTLS.Cert)},
		{"bus.tls.key", "", "File with the key of bus.tls.cert, PEM.", text(&c.BusTLS.Key)},
		{"bus.tls.server_name", "", "Name that the certificate of the bus must have. Empty takes the host of bus.url.", text(&c.BusTLS.ServerName)},
		{"bus.azure.entity", "", "Service Bus and Event Hubs: the queue, topic or event hub that devices' messages go to; subject and x-opt-mqtt-topic have the topic. Mapping rules may name others (queue).", entity(&c.Azure.Entity)},
		{"bus.azure.receive", "", "Service Bus and Event Hubs: what this node receives from for its devices, separated by commas or as a list: queues, subscriptions (devices/Subscriptions/{node}, where {node} is node.id) or partitions (hub/ConsumerGroups/$Default/Partitions/{0-3}). Empty: devices get nothing from the bus.", receivedEntities(&c.Azure.Receive)},
		{"bus.azure.login", LoginKey, "Service Bus and Event Hubs: key (a token made from user and password of bus.url, the name of a shared access rule and its key, and renewed), token (from bus.azure.token_file), or plain (the key itself, in SASL PLAIN).", oneOf(&c.Azure.Login, LoginKey, LoginToken, LoginPlain)},
		{"bus.azure.token_file", "", "File with a token (JWT) of an identity provider, read again whenever a new one is due: whoever keeps it renews it there.", text(&c.Azure.TokenFile)},
		{"bus.connections", 0, "AMQP connections for publishing; 0 is one for every four cores that the process may use. More carry more where the bus is far away or slow to answer, and cost bus and node more for each message.", integer(&c.BusConnections, 0, 64)},
		{"bus.grace", "30s", "How long an outage of bus or store is kept from the devices: nothing is acknowledged meanwhile and nobody is disconnected.", duration(&c.BusGrace, 0, time.Hour)},
		{"bus.embedded.listen", "127.0.0.1:5672", "Where the embedded bus listens for AMQP 1.0 clients: host:port, port 0 takes a free one.", address(&c.EmbeddedListen, required)},
		{"bus.embedded.user", "", "User name of the embedded bus. Empty accepts any credentials, which is allowed on a loopback address only.", text(&c.EmbeddedUser)},
		{"bus.embedded.password", "", "Password that goes with bus.embedded.user.", text(&c.EmbeddedPassword)},
		{"sessions.url", "", "Where sessions are kept: redis://host:6379, rediss://..., redis+cluster://h1:6379,h2:6379, redis+sentinel://h1:26379,h2:26379/name. Empty keeps them in memory: they end with the process.", storeURL(&c.SessionsURL)},
		{"sessions.tls.ca", "", "File with the CAs to trust when sessions.url is rediss, PEM. Empty trusts those of the system.", text(&c.SessionsTLS.CA)},
		{"sessions.tls.cert", "", "File with the certificate that this node shows to Redis, PEM.", text(&c.SessionsTLS.Cert)},
		{"sessions.tls.key", "", "File with the key of sessions.tls.cert, PEM.", text(&c.SessionsTLS.Key)},
		{"sessions.tls.server_name", "", "Name that the certificates of Redis must have. Empty takes the host of each server.", text(&c.SessionsTLS.ServerName)},
		{"profile", Standard, "What devices are offered, told to them in CONNACK and explained in docs/profiles.md. ephemeral: QoS 0 and 1, no retained messages, and sessions that end with their connection. standard: everything, kept by the session store. durable: as standard, but CONNACK, SUBACK, PUBREC and PUBCOMP also wait until sessions.replicas replicas of Redis have confirmed.", oneOf(&c.Profile, profiles...)},
		{"sessions.replicas", 1, "With profile durable: how many replicas of Redis must have a change before it is answered. With fewer the node takes no devices (0x88).", integer(&c.SessionsReplicas, 1, 10)},
		{"sessions.expiry_max", "168h", "Longest time a session outlives its connection. MQTT 5 devices that ask for more are told; MQTT 3.1.1 sessions get this one.", duration(&c.SessionsExpiry, 0, 10*365*24*time.Hour)},
		{"sessions.queue_max", 100000, "Messages the bus keeps for a session; beyond it new ones are refused to their sender. 0 is no bound.", integer(&c.SessionsQueue, 0, 1<<31-1)},
		{"sessions.poison_after", 10, "On how many connections a device may be sent the same message without acknowledging it. Then it is taken for a message that the device fails of, and goes to the quarantine. 0: it is sent for ever.", integer(&c.PoisonAfter, 0, 60)},
		{"retained.messages", 1000000, "Retained messages of a tenant. MQTT 5 devices are told 0x97 beyond it, MQTT 3.1.1 devices are disconnected.", integer(&c.RetainedMessages, 1, 1<<31-1)},
		{"retained.bytes", 1073741824, "Bytes of a tenant's retained messages, topics and properties included.", integer(&c.RetainedBytes, 1, 1<<40)},
		{"retained.principal_messages", 0, "Retained messages of one principal. 0: as many as retained.messages.", integer(&c.RetainedEach, 0, 1<<31-1)},
		{"retained.principal_bytes", 0, "Bytes of one principal's retained messages. 0: as many as retained.bytes.", integer(&c.RetainedEachSize, 0, 1<<40)},
		{"retained.queue", "sluice.retained", "Queue on the bus whose messages are published on the topic in their subject and retained: how a backend retains. off for none.", queueName(&c.RetainedQueue)},
		{"events.address", "sluice.events", "Where the backend is told of refused messages, denied subscriptions, takeovers, wills and the like (docs/events.md): the name of a queue, which is made and keeps the latest 10,000, or an address such as /exchanges/x/key. off for nowhere.", busAddress(&c.EventsAddress)},
		{"quarantine.address", "sluice.quarantine", "Where messages go that were refused for good, with the reason (docs/events.md): those that a device refuses, and those of devices where a rule says on_error: quarantine. The name of a queue, which is made and holds up to 100,000, or an address such as /queues/name. off for nowhere.", busAddress(&c.Quarantine)},
		{"mapping.marks", "auto", "Where messages carry what AMQP has no field for (x-opt-mqtt-*) and who sent them (x-opt-sluice-*): annotations (of the message), properties (application properties of the same names), or auto: properties on RabbitMQ, which spends a quarter less on a message then, annotations elsewhere. Both are read. The same on all nodes.", marks(&c.Form.Marks)},
		{"mapping.cloudevents.amqp", mapping.EventColon, "What leads the names of CloudEvents attributes in application properties: cloudEvents: or cloudEvents_ (for JMS selectors), or off, which leaves User Properties of devices that are attributes as they are. See docs/properties.md.", eventNames(&c.Form.Events)},
		{"mapping.cloudevents.mqtt", "", "What leads the names of CloudEvents attributes in User Properties of backends' events: empty, as CloudEvents' binding to MQTT has it, or ce-, which CloudEvents' Go SDK reads.", inherited(&c.Form.Events.MQTT, []string{mapping.EventDashed})},
		{"limits.connections", 100000, "Connections of this node, those in their handshakes included. One more is refused: with 0x89 in a CONNACK on plain TCP, else by closing it.", integer(&c.MaxConnections, 1, 1<<31-1)},
		{"limits.connect_rate", 0, "New connections of this node in a second, and at once. More are refused: with 0x9F in a CONNACK on plain TCP, else by closing them. 0 is no limit.", integer(&c.ConnectRate, 0, 1<<31-1)},
		{"limits.subscriptions", 1000, "Subscriptions of a session; one more is answered with 0x97.", integer(&c.MaxSubscriptions, 1, 1<<20)},
		{"tracing.otlp_endpoint", "", "Where spans of messages go (docs/tracing.md): URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://localhost:4318; without a path it is /v1/traces. Empty: no spans are made.", collectorURL(&c.TracesEndpoint)},
		{"tracing.ratio", 1, "Of the messages without a trace context, how many are traced, from 0 (none) to 1 (all). Of those that have one, its sampled flag says it.", fraction(&c.TracesRatio)},
		{"tracing.timeout", "10s", "How long the collector may take for a batch of spans, further attempts included; then the batch is dropped. Messages wait for nothing of this.", duration(&c.TracesTimeout, 100*time.Millisecond, time.Minute)},
		{"node.id", "", "Name of this node, unique among all nodes. Empty takes the host name with a random suffix.", nodeID(&c.NodeID)},
		{"log.level", "info", "debug, info, warn or error.", oneOf(&c.LogLevel, "debug", "info", "warn", "error")},
		{"log.format", "auto", "console, json, or auto: console on a terminal, JSON elsewhere.", oneOf(&c.LogFormat, "auto", "console", "json")},
		{"shutdown.timeout", "20s", "How long a stop may take to tell the devices, give deliveries back to the bus and release sessions.", duration(&c.ShutdownTimeout, 0, time.Hour)},
		{"shutdown.rate", 500, "Devices told to go per second when a node stops, so that they do not all come to the other nodes at once. Raised where shutdown.timeout would not be enough. 0 tells all at once.", integer(&c.ShutdownRate, 0, 1<<31-1)},
		{"shutdown.server_reference", "", "Server that MQTT 5 devices are sent to when a node stops (0x9C); empty lets them come back through the load balancer (0x8B).", text(&c.ServerReference)},
	}
}
