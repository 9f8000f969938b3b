package management

import (
	"maps"

	"sluice/amqp/message"
)

// Request is a request message taken apart.
type Request struct {
	// Method is the subject: GET, PUT, POST or DELETE.
	Method string
	// Path is the property to, percent-encoded, with an optional query.
	Path string
	// Body is the value of the amqp-value section, as message.Message has it; nil is null. The queues keep parts of it.
	Body any
	// Connection is the connection that asks: exclusive queues belong to it.
	Connection uint64
}

// Response is the answer. Status goes into the subject, Body into an amqp-value section.
type Response struct {
	Status string
	Body   any
}

// The statuses in use.
const (
	statusOK         = "200"
	statusCreated    = "201"
	statusNoContent  = "204"
	statusBadRequest = "400"
	statusForbidden  = "403"
	statusNotFound   = "404"
	statusNotAllowed = "405"
	statusConflict   = "409"
	statusExhausted  = "507"
)

func problem(status, text string) Response { return Response{Status: status, Body: text} }

// fields reads the body of a request: a map with text keys, each of which must be known and of the right type.
type fields struct {
	values map[string]any
	failed string // the first complaint
}

func readFields(body any) fields {
	m, ok := body.(map[string]any)
	if !ok {
		return fields{failed: "the body must be an amqp-value section with a map whose keys are strings"}
	}
	return fields{values: maps.Clone(m)}
}

func (f *fields) take(key string) any {
	v := f.values[key]
	delete(f.values, key)
	return v
}

func (f *fields) complain(text string) {
	if f.failed == "" {
		f.failed = text
	}
}

func (f *fields) flag(key string, otherwise bool) bool {
	switch v := f.take(key).(type) {
	case nil:
		return otherwise
	case bool:
		return v
	}
	f.complain(key + " must be a boolean")
	return otherwise
}

func (f *fields) text(key, otherwise string) string {
	switch v := f.take(key).(type) {
	case nil:
		return otherwise
	case string:
		return v
	case message.Symbol:
		return string(v)
	}
	f.complain(key + " must be a string")
	return otherwise
}

// arguments reads a map with text keys. Values are kept as plain Go values; symbols become strings, since clients send either.
func (f *fields) arguments(key string) map[string]any {
	switch v := f.take(key).(type) {
	case nil:
	case map[string]any:
		args := make(map[string]any, len(v))
		for name, value := range v {
			if text, ok := value.(message.Symbol); ok {
				value = string(text)
			}
			args[name] = value
		}
		if len(args) > 0 {
			return args
		}
	default:
		f.complain(key + " must be a map whose keys are strings")
	}
	return nil
}

// done gives the complaint, also about keys that nobody asked for: a misspelt one must not be ignored.
func (f *fields) done() string {
	for key := range f.values {
		f.complain("unknown key " + key + " in the body")
	}
	return f.failed
}
