// Package memory keeps sessions in the process: for the embedded mode, for fast tests, and as the oracle that sessionstore/redis is
// compared with. It is obvious on purpose: one mutex, maps, no goroutine except one per Watch.
//
// "Nodes" that share one Store see each other's sessions and takeovers, as nodes sharing a Redis do.
//
// Invariants: epochs come from one counter, so none is ever used twice; no callback (done, lost) runs under the lock.
package memory
