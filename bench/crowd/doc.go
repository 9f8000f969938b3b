// Package crowd is a share of a benchmark's devices in a process of its own. A process may have only so many files open, often 20,000, which root cannot
// change inside a container, so that 60,000 connections need several.
//
// What lives here: Job, which says what such a process does, Serve, which does it, and Start, which runs a program that calls Serve. What does not: devices,
// timetables and books (bench/load), and what is measured meanwhile (bench/suite).
//
// The two speak JSON, one value a line: the job goes in, Connected comes out once all devices are there, an empty line in begins the load, Result comes out,
// and the end of the input lets the devices go. All that a crowd sends it also receives, so that one clock measures both ends and one process has
// the books.
//
// Invariants:
//   - A connection that ends before it is told to, or a message that is lost or changed, is the crowd's fault and ends it: there is no result then.
//   - A crowd ends with the process that started it.
package crowd
