// Package suite is what is measured: the scenarios, the contenders in them, and the machine they run on.
//
// What lives here: Lab (services, node processes, certificates), one file for each scenario, and Run, which goes through them and can go on where an
// interrupted run ended. What does not: sending and receiving (bench/load), reading /proc (bench/proc), tables and plots (bench/report).
//
// Invariants:
//   - Contenders of one case are measured in turn, A B A B, in the same minute, against the same RabbitMQ, with all of them connected all the time: what
//     disturbs the machine disturbs all of them, and only ratios are promised.
//   - A span that the machine's host disturbs is measured again, and the least disturbed one counts, whatever it shows (calm.go).
//   - A rate that is not held has no latency, and a goal that has no figure for that is short.
//   - A case whose messages did not all arrive, each once and in order, has no figures: it fails the scenario.
//   - A scenario leaves nothing on the bus and no process behind.
//   - Services of our own are those of one run at a time (lock.go).
package suite
