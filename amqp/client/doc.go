// Package client is the bus over a network: it implements amqp.Bus with github.com/Azure/go-amqp.
//
// What lives here: connections and their supervision, shared sender links (lanes), receiving links spread over sessions and
// connections, settlement, the management link pair, and the guards that keep the library's known traps away from the gateway.
// What does not: which queues and bindings make an inbox (amqp/topology), the message itself (amqp/message), anything of MQTT.
//
// How the parts sit together:
//
//	Client ── supervisor ×Connections ── connection ── lane, lane, ...         lane.go, outlet.go, transfers.go, owned.go
//	       ── pool ── supervisor ×n ──── connection ── slot (session) ── link  pool.go, receiver.go, link.go, inlet.go, incoming.go, inlets.go
//	       ── supervisor ───────────────── connection ── management pair       management.go
//	       ── family: what kind of bus it is, and so how it wants to be spoken to   family.go
//
// On a bus of static entities (Service Bus, Event Hubs) a connection has one session, and there is no management pair:
//
//	Client ── entities ×Connections ── connection ── lane for each entity      entities.go, entitylane.go, publish.go
//	                                                └ tokens                   cbs.go, login.go
//	       ── pool ── supervisor ×n ── connection ── slot ── link, tokens      pool.go, receiver.go, link.go, librarylink.go, position.go
//
// A supervisor keeps one connection up for ever. A connection owns its net.Conn (netconn.go), which gathers small writes into few
// system calls and passes every inbound frame through the frame guard (guard.go).
//
// Transfers to a bus with anonymous links are ours, and so are their dispositions: lane.publish encodes a message into the connection's buffer on the caller's
// goroutine, and the connection's reader tells outcomes. The library begins, attaches, ends and keeps alive. Locks are taken in this order: outlet.answering,
// lane.mu, netConn.mu, owned.mu; callers are called back without the last three.
//
// Receiving from a bus with anonymous links is ours altogether, sessions and attaches included: on these connections the library has no session, and only opens, keeps
// alive and closes. The connection's reader joins messages and puts them into their link's queue, which credit bounds; the receiver's goroutine decodes and hands
// out, so that a slow handler holds up nobody but itself. Settlements and credit wait in their session until the flusher is about to write (inlet.mu, before
// netConn.mu). By the library go: the management pair, and on a bus of static entities all links, since they share their session with those for tokens.
//
// Invariants:
//   - Every Publish ends in exactly one outcome. Accepted is only ever told after the bus's own accepted, or, for a settled transfer,
//     after the write.
//   - Sends of one lane reach the bus in the order of Publish. When a link is lost, its sends in flight get Lost and what was
//     queued behind them gets Busy: nothing younger may overtake what has to be sent again. The caller re-sends in its own order.
//   - No deadline enters the library, since it would become the deadline of the whole socket. Time limits are watched from outside and
//     enforced by closing the net.Conn.
//   - No credit from the bus is backpressure, never an error: only a transfer that was written and stays unanswered for
//     Options.SendTimeout costs the connection.
//   - The library never decodes a message that came from the bus: where it receives, the guard hands it over as opaque bytes, and decode.go reads them. A message
//     that cannot be read, or is larger than maxIncoming, is a Delivery with Malformed set, never a lost link and never a panic.
//   - Nothing is sent or received before the bus is known and set up (family.go): what one kind of bus takes for an inbox, another makes
//     into something else.
//   - Where the bus wants tokens, no link is attached before one for its entity was put, and none outlives it: tokens are renewed while they hold.
//   - Every delivery is settled at most once, and only on the link on which it came. What came settled is handed out even if its link was lost since.
package client
