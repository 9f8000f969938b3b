// Package heap governs the garbage collector of a node, so that resident memory follows what the node has to remember: many idle devices
// must not carry their own size in garbage.
//
// What lives here: the decisions (governor, pure: readings and times come in), and Govern, which reads runtime/metrics and carries them out. What does
// not: limits on connections (gateway, limits.memory) and the limit of the whole heap (GOMEMLIMIT, which the runtime itself keeps).
//
// Invariants:
//   - After each collection the heap may grow by slack, or by share of what lives, whichever is more.
//   - In a calm, what was freed goes back to the system. That takes at most one part in pauseShare of the time, or happens once in pauseMax.
//   - GOGC in the environment is the operator's word: then Govern does nothing.
package heap
