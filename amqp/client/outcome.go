package client

import (
	"maps"
	"slices"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
	"sluice/amqp/wire"
)

// outcomeOf turns the bus's delivery state into an outcome. What is not one of the four outcomes is never taken for success.
func outcomeOf(state goamqp.DeliveryState) message.Outcome {
	switch s := state.(type) {
	case *goamqp.StateAccepted:
		return message.Outcome{Kind: message.Accepted}
	case *goamqp.StateReleased:
		return message.Outcome{Kind: message.Released}
	case *goamqp.StateRejected:
		return message.Outcome{Kind: message.Rejected, Error: errorOf(s.Error)}
	case *goamqp.StateModified:
		return message.Outcome{Kind: message.Modified, DeliveryFailed: s.DeliveryFailed, UndeliverableHere: s.UndeliverableHere,
			Annotations: plainAnnotations(s.MessageAnnotations)}
	}
	return message.Outcome{Kind: message.Lost, Error: ourError(condNoOutcome, "the bus settled without an outcome (%T)", state)}
}

// errorOf turns the library's error into ours; nil stays nil.
func errorOf(e *goamqp.Error) *message.Error {
	if e == nil {
		return nil
	}
	return &message.Error{Condition: string(e.Condition), Description: e.Description, Info: plainGoMap(e.Info)}
}

func plainAnnotations(a goamqp.Annotations) map[string]any {
	if len(a) == 0 {
		return nil
	}
	out := make(map[string]any, len(a))
	for k, v := range a {
		if name, ok := k.(string); ok {
			out[name] = plainGo(v)
		}
	}
	return out
}

func plainGoMap(m map[string]any) map[string]any {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = plainGo(v)
	}
	return out
}

// plainGo turns a value as the library decodes it, inside errors and states, into one that message promises.
func plainGo(v any) any {
	switch v := v.(type) {
	case goamqp.Symbol:
		return message.Symbol(v)
	case goamqp.UUID:
		return message.UUID(v)
	case map[string]any:
		return plainGoMap(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plainGo(v[i])
		}
		return list
	}
	return plain(v)
}

// errorTo turns an outcome's error into the library's. Info that cannot be encoded is left out: the condition matters more.
func errorTo(e *message.Error) *goamqp.Error {
	if e == nil {
		return nil
	}
	out := &goamqp.Error{Condition: goamqp.ErrCond(e.Condition), Description: e.Description}
	for k, v := range e.Info {
		if encoded, err := encodeValue(v); err == nil {
			if out.Info == nil {
				out.Info = make(map[string]any, len(e.Info))
			}
			out.Info[k] = encoded
		}
	}
	return out
}

// annotationsTo encodes the annotations of a modified outcome, leaving out what cannot be.
func annotationsTo(m map[string]any) goamqp.Annotations {
	var out goamqp.Annotations
	for k, v := range m {
		if encoded, err := encodeValue(v); err == nil {
			if out == nil {
				out = make(goamqp.Annotations, len(m))
			}
			out[k] = encoded
		}
	}
	return out
}

// stateDetail is how much of an outcome goes into its state.
type stateDetail uint8

const (
	noDetails     stateDetail = iota
	conditionOnly             // of an error
	allDetails                // all that can be encoded
)

// stateOf turns an outcome into the delivery state that tells it. What is none of the four can only be a mistake of the caller: giving the delivery back
// loses nothing.
func stateOf(o message.Outcome, detail stateDetail) frame.DeliveryState {
	switch o.Kind {
	case message.Accepted:
		return &frame.Accepted{}
	case message.Rejected:
		r := &frame.Rejected{}
		if o.Error != nil && detail > noDetails {
			r.Error = &frame.Error{Condition: frame.Symbol(o.Error.Condition)}
			if detail == allDetails {
				r.Error.Description, r.Error.Info = o.Error.Description, encodable(o.Error.Info)
			}
		}
		return r
	case message.Modified:
		m := &frame.Modified{DeliveryFailed: o.DeliveryFailed, UndeliverableHere: o.UndeliverableHere}
		if detail == allDetails {
			m.MessageAnnotations = encodable(o.Annotations)
		}
		return m
	}
	return &frame.Released{}
}

// encodable gives the entries of m that AMQP has types for, in the order of their keys.
func encodable(m map[string]any) frame.Map {
	var out frame.Map
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if _, err := wire.AppendValue(nil, frame.Map{{Key: frame.Symbol(k), Value: m[k]}}); err == nil {
			out = append(out, wire.Pair{Key: frame.Symbol(k), Value: m[k]})
		}
	}
	return out
}

// goError is the error of a detach or an end as the library has it, which the rest of this package looks at; nil stays nil. Nothing of it is a view of the frame.
func goError(e *frame.Error) *goamqp.Error {
	if e == nil {
		return nil
	}
	return &goamqp.Error{Condition: goamqp.ErrCond(e.Condition), Description: e.Description, Info: asTexts(section.PlainMap(e.Info))}
}
