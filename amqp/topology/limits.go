package topology

// requestBatch bounds the requests that are handed to the Requester at once: it waits 30 s for all of them together, and Artemis takes 3 to 10 ms for one
// that changes something.
const requestBatch = 200

// maxShownPattern is the longest pattern, escaped, in bytes, that the name of its divert shows.
const maxShownPattern = 200
