package rules

import (
	"strconv"
	"strings"
	"time"
)

// Rule is a mapping rule as it is written. What is left out has its zero value.
type Rule struct {
	Name      string
	Direction Direction
	// Topic is the template of the topics that the rule is for; with Down the text that gives the topic.
	Topic string

	// Conditions of the way up besides the topic; empty lists hold for all. A name that ends in '*' stands for all that begin so.
	QoS        []int
	Principals []string
	Tenants    []string

	// The address: an exchange (empty: that of all topics) with a routing key (nil: that of the topic), or a queue.
	Exchange string
	Key      *string
	Queue    string
	Subject  *string // nil: the topic

	ContentType     string // for messages that name none
	ContentEncoding string
	TTL             time.Duration // for messages without Message Expiry; zero: none
	TTLMax          time.Duration // bound of every message's life; zero: none
	Priority        *int          // nil: 4, the standard's default
	GroupID         string
	PartitionKey    string
	Properties      map[string]string // application properties

	RequireRoute bool   // that nobody subscribed is a failure
	OnError      string // what happens when a message is refused for good: the name of an OnError; empty is close
}

// OnError is what happens when the bus refuses a device's message of QoS 1 or 2 for good.
type OnError uint8

// The policies. MQTT 3.1.1 has no negative acknowledgement, so Close and Report are about its devices; one of MQTT 5 is told by its PUBACK or PUBREC.
const (
	Close      OnError = iota // the connection is closed
	Report                    // the device's error topic tells it, then it is acknowledged
	Quarantine                // of either version: the message is stored in the quarantine, then acknowledged
)

// Direction says which way a rule works.
type Direction string

// The directions.
const (
	Auto Direction = ""     // up, and down where the rule is reversible
	Up   Direction = "up"   // up only
	Down Direction = "down" // down only: address and subject are the condition, the topic is the result
	Both Direction = "both" // as Auto, but a rule that is not reversible is refused
)

// Fault says what is wrong with a rule, or odd about it, and how to mend it.
type Fault struct {
	Rule     int    // from 1
	Name     string // the rule's, may be empty
	Key      string // as in the configuration: "topic"
	Value    string // what it is set to
	Position int    // the character of Value where the fault is, from 1; zero: all of it
	Problem  string
	Mend     string
}

// Error is the fault in one line.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString("rule " + strconv.Itoa(f.Rule))
	if f.Name != "" {
		b.WriteString(" (" + f.Name + ")")
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key)
		if f.Value != "" {
			b.WriteString(" " + strconv.Quote(f.Value))
		}
		if f.Position > 0 && f.Value != "" {
			b.WriteString(", at character " + strconv.Itoa(f.Position))
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Problem)
	if f.Mend != "" {
		b.WriteString("; " + f.Mend)
	}
	return b.String()
}

// Faults are all faults of a list of rules.
type Faults []Fault

// Error gives each fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}
