// Package servicebus is what the embedded bus needs to know to act as Azure Service Bus or Event Hubs: entities that exist or do not, tokens, and
// what is ended because nobody uses it. Tests run the gateway against it, since the real one is not within reach of a test.
//
// What lives here: addresses and entities (entities.go, address.go), publishing with sequence numbers and duplicate detection (publish.go), the logs of
// event hubs (hub.go), tokens and the $cbs node (token.go, cbs.go), and the time rules of a connection (watch.go). What does not: queues (amqp/embedded/queues),
// links and frames (amqp/embedded and its endpoint). There is no I/O, goroutine or clock; a Namespace has one mutex, which is taken before the store's.
//
// Facts are from Azure's public documentation ("AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide", the lists of AMQP errors and quotas) and from the public sources
// of its client libraries. Where those leave something open, the stricter reading is taken, so that who works here works there.
//
// Not modelled: sessions, scheduled and deferred messages, transactions, lock expiry, filters of subscriptions, batches, AMQP over WebSocket.
package servicebus
