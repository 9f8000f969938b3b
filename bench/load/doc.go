// Package load is the load generator of the benchmark: MQTT devices, AMQP producers and consumers, and the books that say what came of each message.
//
// What lives here: Device and its connection, Producer and Consumer over go-amqp, Drive, which says when which message is sent, and Arrivals, which
// checks what came. What does not: which gateway or broker is measured and where (bench/suite), and what the processes used meanwhile (bench/proc).
//
// Two ways to drive. Closed keeps a bounded number of messages under way from sender to receiver and so finds the highest rate without
// building a queue. Open sends on a fixed timetable, whatever the answers do, and measures each message from the moment it was due, not from the moment
// it was written: a pause of the system under test counts for all messages that were due in it (corrected latency, no coordinated omission).
//
// Invariants:
//   - Every message says which stream it belongs to and which place it has there. A lost, changed or doubled one is found, and so is one out of order.
//   - One goroutine per device that reads, none that waits to write: the generator shares the machine with what it measures.
//   - Nothing is measured in the generator's own queue without being told: Late says how far it was behind its timetable.
package load
