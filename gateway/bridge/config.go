package bridge

import (
	"time"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/session"
)

// Config is what the bridges of a listener have in common.
type Config struct {
	Session session.Config
	// Dialect is how the bus names addresses. Rules are compiled for it too.
	Dialect mapping.Dialect
	// Tracing makes the bridge tell spans; nil: it tells none, and adds no trace context to messages.
	Tracing *Tracing
	// Rules are the mapping rules; nil: there are none.
	Rules *rules.Table
	// Quarantine is the address of the quarantine; empty: there is none.
	Quarantine string
	// Grace is how long a transient failure of the bus is kept from the device (requirements: 30 s). After it the connection is closed
	// with 0x89.
	Grace time.Duration
	// QoS0Hold is how long a QoS 0 PUBLISH may wait for room on the bus before it is dropped. It is short, since reading from the device
	// stops meanwhile once the window is full, and with it the answers to its pings.
	QoS0Hold time.Duration
}

// The pauses between attempts of a held uplink grow from retryFirst to retryMax: soon enough to be unnoticed after a broker's
// fail-over, rare enough not to matter with every device of a node holding.
const (
	retryFirst = 20 * time.Millisecond
	retryMax   = 2 * time.Second
)
