package sessionstore

// Limits every implementation holds to, so that a caller meets the same edge on each.
const (
	// MaxString bounds each string in a key or record, in bytes: what an MQTT string can hold (MQTT 5, 1.5.4).
	MaxString = 65535
	// MaxOps bounds the ops of one Write: they apply in one atomic step, during which the store serves nobody else.
	MaxOps = 4096
	// MaxSubscriptions bounds the subscriptions of one session. It guards the store; a gateway's own limit is far lower. In-flight records
	// need no such number: packet identifiers are 16 bits wide.
	MaxSubscriptions = 65536
)
