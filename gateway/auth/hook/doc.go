// Package hook asks a service of the operator's, over HTTP, who a device is.
//
// What lives here: the question and the answer as JSON (wire.go), asking within bounds (hook.go), the answers that may be used again (cache.go), and giving a
// service that fails a rest (breaker.go). What does not: who is slowed down, and what a principal may do.
//
// Invariants:
//   - A service that does not answer, or not in this form, lets nobody in: the answer is that nobody can judge at present, and no other method is asked.
//   - What a device shows is sent to the configured URL only: redirects are not followed. Neither it nor its hash is kept where it could be read: the keys of
//     the cache are made with a secret that this process alone has.
//   - What devices and the service can make this process do is bounded: limits.go.
package hook
