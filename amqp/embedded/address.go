package embedded

import (
	"net/url"
	"strings"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/frame"
)

// destination is where a published message goes: an exchange with a routing key, or a queue.
type destination struct {
	exchange, key string
	queue         string // set for /queues/:queue; exchange is then the default one and key the queue's name
}

// badAddress is the condition for an address that cannot be, in an attach. In the property to of a message RabbitMQ calls the same
// mistake badTo.
const (
	badAddress = endpoint.InvalidField
	badTo      = endpoint.PreconditionFailed
)

const (
	queuesPrefix      = "/queues/"
	exchangesPrefix   = "/exchanges/"
	managementAddress = "/management"
)

// parseTarget reads RabbitMQ's v2 target addresses.
func parseTarget(address string) (destination, *frame.Error) {
	if name, ok := strings.CutPrefix(address, queuesPrefix); ok {
		queue, err := segment(address, name)
		if err != nil {
			return destination{}, err
		}
		return destination{key: queue, queue: queue}, nil
	}
	if rest, ok := strings.CutPrefix(address, exchangesPrefix); ok {
		rawName, rawKey, hasKey := strings.Cut(rest, "/")
		name, err := segment(address, rawName)
		if err != nil {
			return destination{}, err
		}
		if !hasKey || rawKey == "" {
			return destination{exchange: name}, nil
		}
		key, err := segment(address, rawKey)
		if err != nil {
			return destination{}, err
		}
		return destination{exchange: name, key: key}, nil
	}
	return destination{}, endpoint.Errorf(badAddress,
		"bad target address %q: use /exchanges/:exchange/:routing-key, /exchanges/:exchange, /queues/:queue, or null and the property to", address)
}

// parseSource reads the only source address there is.
func parseSource(address string) (queue string, err *frame.Error) {
	name, ok := strings.CutPrefix(address, queuesPrefix)
	if !ok {
		return "", endpoint.Errorf(badAddress, "bad source address %q: use /queues/:queue", address)
	}
	return segment(address, name)
}

// segment decodes one percent-encoded part.
func segment(address, raw string) (string, *frame.Error) {
	if strings.Contains(raw, "/") {
		return "", endpoint.Errorf(badAddress, "bad address %q: a slash within a name is written %%2F", address)
	}
	name, err := url.PathUnescape(raw)
	if err != nil {
		return "", endpoint.Errorf(badAddress, "bad address %q: its percent-encoding is broken", address)
	}
	if name == "" {
		return "", endpoint.Errorf(badAddress, "bad address %q: the name is missing", address)
	}
	return name, nil
}

// queueAddress is the address of a queue.
func queueAddress(name string) string { return queuesPrefix + url.PathEscape(name) }
