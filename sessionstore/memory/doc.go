// Package memory keeps sessions, retained messages and groups in the process: for the embedded mode, for fast tests, and as the oracle that sessionstore/redis is
// compared with. It is obvious on purpose: one mutex, maps, no goroutine except one per Watch.
//
// "Nodes" that share one Store see each other's sessions, takeovers and leases, as nodes sharing a Redis do. A node that starts again within
// the process needs another name: a life of a node is its name here. Its clock may be a virtual one (Options.Now); what is due and
// what is swept come in the order of their epochs, so that a simulation repeats itself.
//
// Invariants: epochs come from one counter, so none is ever used twice; no callback (done, lost) runs under the lock.
package memory
