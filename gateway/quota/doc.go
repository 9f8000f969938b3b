// Package quota says how much a principal, and a tenant as a whole, may have and do on one node: connections, new connections a second, messages and bytes
// a second, messages under way, subscriptions. What a quota is about never reaches beyond its tenant: a full one costs nobody else anything.
//
// Rules are what was configured: defaults and a file of exceptions (file.go) that is read again when it changes. The Book has an account for each
// principal and tenant with connections; a Connection charges both of its accounts. Nothing here waits or looks at a clock: times come in, and how long
// to wait goes out.
//
// Counts are those of this node: nodes do not talk about them, so a tenant on six nodes may have six times as much. What is retained is counted in the session
// store, for all nodes (sessionstore.RetainedQuota). Who is told, and how, is with package gateway.
//
// Invariants (book_test.go): no count is above its quota, but for what was there before a quota was lowered. What a connection has is given back with
// Close. An account without connections is forgotten once its buckets are full again.
package quota
