// Package management answers the requests of the /management node as RabbitMQ 4 does: HTTP semantics in AMQP messages, over a pair of
// links with the same name. Here is what a request means and what its answer looks like; the link pair itself, its credit and its settlement are
// the shell's.
//
// Handle is a function of the request and the store; it keeps nothing.
//
// Not supported, and answered with a 400 that says so: bindings to exchanges, headers exchanges, exchange arguments, users and policies.
package management
