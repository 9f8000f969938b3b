// Package proc reads from /proc what processes of this machine use: processor time and resident memory, of a process with all its descendants, found by
// its process id or by the TCP port that it listens on; and of the machine, what is idle and what its host takes away.
//
// What lives here: finding and reading. What does not: which processes matter, and what the figures mean (bench/suite). Linux only, as the machine
// with the published figures is. It imports nothing of ours.
package proc
