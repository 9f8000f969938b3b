// Package topic holds the rules of MQTT topic names and topic filters (MQTT 5, 4.7 and 4.8; the same in 3.1.1): what is
// valid, what matches what, and a trie that finds the subscribers of a name.
//
// It knows nothing of packets, devices or the bus. Who may use a topic is decided elsewhere.
//
// Invariants: Match and Trie.Match agree for every valid filter and name; no function here allocates in proportion to the
// number of filters; a Trie never keeps a reference to a caller's string, so a filter may share memory with a packet.
package topic
