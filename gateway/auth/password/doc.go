// Package password judges devices by user name and password, held against a file of hashes that is read again when it changes.
//
// A line of the file is name:hash[:tenant[:group,group]], where the hash is Argon2id in PHC form, or bcrypt. Edit and Hash write it (sluice passwd).
//
// Invariants: a hash that would cost more than limits.go allows is refused when the file is read, so that no file makes a login slow; no more hashes are computed at a time than
// there are slots, and no more wait than there is room; who is not in the file costs what somebody in it costs; a password is in no error and no log, and is remembered
// for minutes only, as a MAC under a key that this process has made up.
package password
