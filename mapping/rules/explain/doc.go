// Package explain says what mapping rules and defaults make of a message: which rule matches, every section of the AMQP message, what the
// bus's answers mean, what a device gets when the message comes back, and what is lost on the way. It asks the same code that carries
// messages (rules.Table.Route, mapping.Uplink, mapping.Downlink, mapping.Classify) and decides nothing itself.
//
// It is pure and has no clock: times are told relative to the moment of receipt, and what a gateway chooses for each message (message-id, node)
// is put in parentheses. So the same question has the same answer, and documents can quote it.
package explain
