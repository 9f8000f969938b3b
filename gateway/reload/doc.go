// Package reload reads values from files and notices when the files change: certificates, keys, secrets, passwords.
//
// A Source looks when it is asked, and has no goroutine: who needs the value sees to the rhythm, and to what follows from a new one. Invariant: once a file was
// good, a later one that is not changes nothing but the error.
package reload
