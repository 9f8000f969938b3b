package topic

// MaxLength is the longest name or filter in bytes: what the two byte length prefix of a UTF-8 string can say [MQTT-4.7.3-3].
const MaxLength = 65535

// maxDepth is how many levels of a filter become nodes of a Trie. What is deeper stays one string at the last node. Without
// it one filter of 65,535 slashes would become 65,536 nodes and as many stack frames in each Match.
const maxDepth = 64

// bucketSize is how many entries of a dict are searched one by one before it splits by hash. Most levels have few children,
// and comparing eight short strings costs less than hashing one.
const bucketSize = 8

// stackSets is how many matching filters Trie.Match compares pairwise before it takes a map to find repeated subscribers.
// Few names match more than a handful of distinct filters.
const stackSets = 16
