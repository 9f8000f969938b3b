package topology

// requestBatch bounds the requests that are handed to the Requester at once: it waits 30 s for all of them together, and Artemis takes 3 to 10 ms for one
// that changes something.
const requestBatch = 200

// maxLevels is how many levels an address or pattern may have on Artemis. 2.55 walks its tree of addresses recursively: one with some thousands, as a
// topic of 65,535 bytes may have, ends its threads in StackOverflowError, and again when it reads its journal, so that it never comes up any more.
const maxLevels = 128

// maxShownPattern is the longest pattern, escaped, in bytes, that the name of its divert shows.
const maxShownPattern = 200
