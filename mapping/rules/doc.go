// Package rules holds the mapping rules: what an operator says about topics and addresses where the defaults of package mapping do not
// serve. Rules are ordered and the first that matches wins; they are compiled once into a Table, which any goroutine may use. A nil *Table
// has no rules. The package is pure.
//
// # Templates
//
// A rule's topic is a template: levels separated by '/', each of them
//
//	text         itself
//	{name}       one level, kept as name
//	+            one level
//	{name...}    at the end: one or more levels, kept as name
//	#            at the end: zero or more levels, as in a topic filter
//
// A variable is a whole level. Braces that mean themselves are written {{ and }}. As with filters [MQTT-4.7.2-1], a template that begins with
// a variable or wildcard does not match topics that begin with '$'.
//
// Everything else that a rule gives (key, queue, subject, group id, partition key, values of application properties) is a text in which
// {name} stands for what the topic has there. In a key the value is escaped as mapping.Dialect.Key does, so that a level stays one word.
//
// # Directions
//
// A rule says what becomes of a message from a device (up). Where its topic can be found again from the address and subject that it gives, it
// also finds the topic of a message that comes by that address and names none (down): the rule is reversible. One that is not, be it because
// a level is given to nothing or because an earlier rule owns the same addresses, says so when it is compiled (Table.Warnings), and
// direction: both makes that an error. A rule with direction: down works that way only: address and subject are the condition, topic is the result.
//
// Invariants: a topic that a reversible rule matches comes back as itself from the address and subject that the rule gives it, without any
// annotation; Route allocates nothing but the strings it returns; a rule never yields an invalid topic name or an empty address.
//
// Package explain says in words what rules and defaults make of a message.
package rules
