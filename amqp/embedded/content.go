package embedded

import (
	"maps"
	"slices"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
	"sluice/amqp/wire"
)

// The annotations with which RabbitMQ tells a consumer how a message was published.
const (
	annotationExchange   = "x-exchange"
	annotationRoutingKey = "x-routing-key"
)

// origin is what a consumer is told with these two.
func origin(exchange, key string) map[string]any {
	return map[string]any{annotationExchange: exchange, annotationRoutingKey: key}
}

// stored makes a message for the queues from a published one, whose bytes it keeps, with annotations of the broker's.
func stored(s section.Sections, format uint32, ours map[string]any) (*queues.Message, *frame.Error) {
	annotations, bad := annotated(s, ours, nil)
	if bad != nil {
		return nil, bad
	}
	m := &queues.Message{
		Durable: s.Header.Durable, Priority: s.Header.Priority, Format: format,
		TTL:         time.Duration(s.Header.TTL.Or(0)) * time.Millisecond,
		Annotations: annotations,
		Bare:        s.Bare,
	}
	if s.Footer != nil {
		m.Bare = append(s.Bare[:len(s.Bare):len(s.Bare)], s.Footer...)
	}
	return m, nil
}

// annotated encodes the message's annotations with ours and with those added on the way. Delivery annotations end here: they are for
// this hop only [AMQP 3.2.2].
func annotated(s section.Sections, ours, added map[string]any) ([]byte, *frame.Error) {
	sent, err := s.MessageAnnotationMap()
	if err != nil {
		return nil, endpoint.DecodeFailure(err)
	}
	all := make(wire.Map, 0, len(sent)+len(added)+len(ours))
	for _, pair := range sent {
		switch k := pair.Key.(type) {
		case frame.Symbol:
			if has(ours, k) || has(added, k) {
				continue
			}
		case uint64:
		default:
			// Another key type would crash clients that use the map's keys as they come.
			return nil, endpoint.Errorf(endpoint.DecodeError, "message-annotations: a key is a %T, not a symbol or ulong [AMQP 3.2.10]", k)
		}
		all = append(all, pair)
	}
	for _, more := range []map[string]any{ours, added} {
		for _, k := range sortedKeys(more) {
			all = append(all, wire.Pair{Key: frame.Symbol(k), Value: more[k]})
		}
	}
	if err := s.SetMessageAnnotations(all); err != nil {
		return nil, endpoint.DecodeFailure(err)
	}
	return s.MessageAnnotations, nil
}

func has(m map[string]any, key frame.Symbol) bool {
	_, there := m[string(key)]
	return there
}

// encoded appends the message as a consumer gets it. routed: it is told how it was routed.
func encoded(dst []byte, d queues.Delivery, routed bool) []byte {
	m := d.Message
	s := section.Sections{
		HasHeader: true,
		Header: section.Header{
			Durable: m.Durable, Priority: m.Priority, FirstAcquirer: !d.Redelivered, DeliveryCount: d.DeliveryCount,
		},
		MessageAnnotations: m.Annotations,
		Bare:               m.Bare,
	}
	if d.TTL > 0 {
		s.Header.TTL = wire.Some(uint32(d.TTL.Milliseconds()))
	}
	if len(d.Annotations) > 0 {
		// Annotations of our own making cannot fail to encode, and the message's own were checked when it was published.
		var ours map[string]any
		if routed {
			ours = origin(d.Exchange, d.RoutingKey)
		}
		if again, err := annotated(s, ours, d.Annotations); err == nil {
			s.MessageAnnotations = again
		}
	}
	return s.Append(dst)
}

// settlement turns the peer's outcome into the queues' own.
func settlement(state frame.DeliveryState) queues.Outcome {
	switch state := state.(type) {
	case *frame.Released:
		return queues.Outcome{Kind: queues.Released}
	case *frame.Rejected:
		return queues.Outcome{Kind: queues.Rejected}
	case *frame.Modified:
		o := queues.Outcome{Kind: queues.Modified, DeliveryFailed: state.DeliveryFailed, UndeliverableHere: state.UndeliverableHere}
		for _, pair := range state.MessageAnnotations {
			if key, ok := pair.Key.(frame.Symbol); ok {
				if o.Annotations == nil {
					o.Annotations = make(map[string]any)
				}
				o.Annotations[string(key)] = detached(pair.Value)
			}
		}
		return o
	}
	return queues.Outcome{Kind: queues.Accepted}
}

// detached copies a value out of the frame that it came in.
func detached(v any) any {
	switch v := v.(type) {
	case []byte:
		return append([]byte(nil), v...)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = detached(v[i])
		}
		return list
	case wire.Map:
		m := make(wire.Map, len(v))
		for i := range v {
			m[i] = wire.Pair{Key: detached(v[i].Key), Value: detached(v[i].Value)}
		}
		return m
	case wire.Array:
		v.Elements, _ = detached(v.Elements).([]any)
		return v
	case message.Described:
		return message.Described{Descriptor: detached(v.Descriptor), Value: detached(v.Value)}
	}
	return v
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// amqpError turns an error of the test switches into a frame's.
func amqpError(e *message.Error) *frame.Error {
	if e == nil {
		return nil
	}
	out := &frame.Error{Condition: frame.Symbol(e.Condition), Description: e.Description}
	for _, key := range sortedKeys(e.Info) {
		out.Info = append(out.Info, wire.Pair{Key: frame.Symbol(key), Value: e.Info[key]})
	}
	return out
}

// storeError turns a refusal of the store into an AMQP error.
func storeError(e *queues.Error) *frame.Error {
	condition := endpoint.PreconditionFailed
	switch e.Kind {
	case queues.NotFound:
		condition = endpoint.NotFound
	case queues.Locked:
		condition = endpoint.ResourceLocked
	case queues.Forbidden:
		condition = endpoint.UnauthorizedAccess
	case queues.Exhausted:
		condition = endpoint.ResourceLimitExceeded
	}
	return endpoint.Errorf(condition, "%s", e.Text)
}
