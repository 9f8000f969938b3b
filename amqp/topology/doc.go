// Package topology says how a family of buses keeps messages for sessions: which requests make an inbox, subscribe it and remove it.
//
// Buses differ in how a subscription is made, so that each family has a file of its own:
//
//	bindings.go  queues and bindings over the /management node: RabbitMQ 4, and the embedded bus that speaks the same
//	diverts.go   a queue with an address of its own and a divert for each pattern, over Artemis' management address
//	static.go    entities made outside AMQP: Service Bus, Event Hubs
//
// What a bus does to a message on its way into an inbox, and what its outcomes mean, belongs to its family too (Family.Arrived, Family.Outcome).
//
// Everything here builds requests and reads responses. Sending them is the Requester's work (amqp/client). There is no goroutine, clock or
// lock here.
//
// Invariant of the bindings: the arguments of a queue are a versioned constant (arguments.go). A queue that exists with others is refused by the bus, so that two
// nodes that disagree find out at once; changing them is a new version and a migration.
package topology
