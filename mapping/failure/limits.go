package failure

// recordTopic is how much of a topic goes into a record, in bytes: a topic can have 65,535, and a session keeps many records.
const recordTopic = 256
