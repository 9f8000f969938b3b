// Package mapping converts between MQTT and AMQP: topics and addresses, messages in both directions, the bus's outcomes and MQTT
// reason codes. It is pure: it has no state, clock or configuration, and knows neither devices nor links.
//
// The tables below are the truth about what crosses and how; a golden of the same name in testdata proves each row. Whatever does not cross is
// returned as a Loss, drawn from the closed lists in loss.go. Payload bytes are never touched.
//
// # Topics
//
// A message for topic a/b is sent to the exchange amq.topic with the routing key a.b; the filter a/+/# is bound as a.*.#. The characters
// that have a meaning there are escaped in keys and patterns: '.' is %2E, '*' is %2A, '#' is %23, '%' is %25. Each topic has one key
// and is found again from it. Devices on RabbitMQ's own MQTT support use the same exchange and, for topics without these characters,
// the same keys. Addresses are RabbitMQ's version 2, percent-encoded: /exchanges/amq.topic/a.b and /queues/q.
//
// That is RabbitMQ and the embedded bus; all in which another bus differs is in Dialect. On ActiveMQ Artemis the address of a/b is mqtt.a.b, ':' is
// %3A too, application-property _AMQ_DUPL_ID is the message-id at QoS 2, and a device's _AMQ_* and JMS_AMQP_* are a Loss. On Service Bus and Event
// Hubs to is the name of an entity and has no place for the topic. There reply-to is the entity for replies, and x-opt-mqtt-response-topic (string) the
// Response Topic, in both directions; on Event Hubs x-opt-partition-key is the client identifier unless a rule says otherwise.
//
// # Up: MQTT to AMQP
//
//	MQTT                      AMQP                                                       note
//	Topic Name                to /exchanges/amq.topic/<key>, subject, x-opt-mqtt-topic   subject and annotation are the name itself
//	QoS                       header durable = QoS > 0, x-opt-mqtt-qos ubyte
//	RETAIN                    x-opt-mqtt-retain true                                     absent when 0
//	DUP                       -                                                          says something about the hop only
//	Packet Identifier         -                                                          hop only; the message-id names the message
//	Payload                   one data section, same bytes
//	Payload Format            x-opt-mqtt-payload-format ubyte
//	Message Expiry            header ttl and absolute-expiry-time                        ttl is at most 49.7 days, at least 1 ms
//	Content Type              content-type; not ASCII or empty: x-opt-mqtt-content-type
//	Response Topic            reply-to, made as to                                       no valid name: Loss
//	Correlation Data          correlation-id, binary
//	User Property             application-properties, string; the first of a repeated    sluice-* and x-opt-*: Loss
//	  order, repetition       x-opt-mqtt-user-properties [key, value, ...]               unless keys are distinct and ascending
//	  of a CloudEvent         application-properties cloudEvents:NAME                    binary mode; x-opt-mqtt-user-properties has the names
//	Subscription Identifier   -                                                          Loss; a device must not send it
//	Topic Alias               -                                                          hop only; resolved before
//	-                         message-id                                                 the gateway's, one for each message
//	-                         creation-time, x-opt-sluice-time                           when the gateway received it, milliseconds
//	-                         header priority 4
//	-                         x-opt-sluice-tenant, -principal, -client, -node            provenance; empty ones absent
//	-                         x-opt-sluice-possible-duplicate true                       only when it may be one
//	-                         application-properties x-opt-*                             with MarksInProperties, instead of annotations; the
//	                                                                                     list of User Properties is the text of a JSON array
//
// A mapping rule (package rules) may say otherwise for the topics it matches, by a Route:
//
//	Route                     AMQP                                                       note
//	To, Subject               to, subject                                                an empty subject is absent
//	ContentType               content-type                                               only without Content Type
//	ContentEncoding           content-encoding
//	TTL, TTLMax               header ttl and absolute-expiry-time                        a shortened Message Expiry: Loss
//	Priority                  header priority
//	GroupID                   group-id
//	PartitionKey              x-opt-partition-key
//	Properties                application-properties                                     a User Property of the same name: Loss
//
// # Down: AMQP to MQTT
//
//	AMQP                            MQTT                                                     note
//	x-opt-mqtt-topic                Topic Name, if it agrees with the routing key            else Loss (stale); also where a rule sends the topic here
//	address, subject                Topic Name that a rule says (package rules), else
//	x-routing-key                   Topic Name, else                                         not of the default exchange
//	to /exchanges/x/key             Topic Name, else                                         where the bus gives no routing key
//	subject, then plain to          Topic Name, else undeliverable                           also when the name is not valid
//	x-opt-mqtt-qos                  QoS                                                      any integer type, 0 to 2
//	header durable                  QoS 1, else 0                                            without x-opt-mqtt-qos
//	x-opt-mqtt-retain               RETAIN as published
//	data, one or more               Payload, concatenated                                    more than one: Loss (boundaries)
//	amqp-value string, symbol       Payload, Payload Format 1                                Loss (type)
//	amqp-value binary, null         Payload, empty for null                                  Loss (type)
//	amqp-value other simple         Payload as canonical text, Payload Format 1              Loss (type)
//	amqp-value list, map, ...       undeliverable
//	amqp-sequence                   undeliverable
//	no body                         empty Payload
//	x-opt-mqtt-payload-format       Payload Format                                           data sections only
//	absolute-expiry-time            Message Expiry, counted down, rounded up to seconds      beyond 136 years: Loss (range)
//	header ttl                      Message Expiry, from now                                 without absolute-expiry-time
//	content-type                    Content Type
//	x-opt-mqtt-content-type         Content Type                                             without content-type
//	reply-to                        Response Topic, if it is the key of one on amq.topic     else Loss
//	x-opt-mqtt-response-topic       Response Topic                                           without reply-to; beside it on Service Bus and Event Hubs
//	correlation-id                  Correlation Data                                         binary as is; string its UTF-8, ulong decimal,
//	                                                                                         uuid "urn:uuid:...": Loss (type)
//	application-properties          User Property, canonical text, sorted by key             not a string: Loss (type); list, map, null: Loss
//	  sluice-*                      -                                                        Loss; it would look like our word
//	  x-opt-mqtt-*, x-opt-sluice-*  as the annotations of these names                        an annotation of the same name: Loss
//	  cloudEvents:*, cloudEvents_*  User Property without the prefix                         where specversion, id, source and type are there
//	  beside a CloudEvent's         User Property                                            named as an attribute: Loss
//	x-opt-mqtt-user-properties      User Property in this order                              contradicts application-properties: Loss (stale)
//	traceparent, tracestate         User Property of the same name                           annotations; they go before application-properties: Loss
//	message-id                      User Property sluice-msgid                               from a device: only on request
//	subject                         User Property sluice-subject                             unless it is the topic
//	creation-time                   User Property sluice-created                             unless from a device: then it is ours
//	content-encoding                User Property sluice-content-encoding
//	group-id, group-sequence        User Property sluice-group-id, sluice-group-sequence
//	user-id                         -                                                        Loss; a login of the bus
//	reply-to-group-id               -                                                        Loss
//	header priority                 -                                                        Loss unless 4
//	first-acquirer, delivery-count  -                                                        hop only; DUP is the session's decision
//	to                              -                                                        has done its work
//	x-opt-sluice-for, -retained     DownlinkMessage.For, Retained                            copies that a gateway put into an inbox
//	x-opt-sluice-*                  DownlinkMessage.Publisher, PossibleDuplicate             not shown to devices
//	annotations of the bus          -                                                        not shown: x-exchange, x-delivery-count, x-acquired-count,
//	                                                                                         x-opt-deaths, x-opt-rabbitmq-*, x-opt-mqtt-client-id,
//	                                                                                         x-opt-sequence-number, x-opt-enqueued-time, x-opt-offset and
//	                                                                                         their like (annotations.go)
//	other annotations               -                                                        Loss
//
// Delivery-annotations and footer are hop by hop, or hold for the encoded bytes only: message.Message has no place for them, and who decodes it leaves
// them out.
//
// A retained message is kept as MQTT's: what would become User Property sluice-* is not kept with it (DownlinkOptions.Bare).
//
// Canonical text: numbers in decimal, booleans as true and false, timestamps as 2026-01-02T03:04:05.678Z, uuids in lower case
// hex, symbols as they are, binary in base64. Text with U+0000 or invalid UTF-8, or longer than 65,535 bytes, cannot cross: Loss.
//
// A CloudEvent in binary mode is a message with all required attributes (CloudEvents), which are called otherwise on the two sides. One in structured
// mode, by its media type application/cloudevents*, crosses as any other message.
//
// MQTT 3.1.1 has no properties: for such a device all of them are one Loss.
//
// # Round trip
//
// MQTT 5 to AMQP to MQTT 5 gives the message back, Message Expiry counted down, except for the declared losses of the way up. AMQP to
// MQTT to AMQP does not keep types: an int 5 comes back as the string "5". Whatever else differs is a Loss of one of the ways (a device cannot set
// sluice-*, so what is shown as such is lost on the way up), or a gateway's own word: message-id, creation-time, to, the marks; durable follows
// x-opt-mqtt-qos, an expiry is rounded up to seconds, cloudEvents_x becomes the configured form.
package mapping
