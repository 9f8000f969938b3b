package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/amqp"
)

// Artemis tells a failure by a number before its words, as in "AMQ229017: Queue x does not exist". Numbers stay what they are from release to release,
// and are all that there is: the condition is "failed" for most, and management has none.
const (
	targetMissing   = "AMQ119002" // sending to an address that is not there
	divertMissing   = "AMQ229012"
	queueMissing    = "AMQ229017"
	resourceMissing = "AMQ229067"
	queueExists     = "AMQ229019"
	noPermission    = "AMQ229032"
	noRole          = "AMQ229213" // permission missing too, on an address
	noOperation     = "AMQ229069"
	addressGone     = "AMQ229203"
)

// fault is a failed operation.
type fault struct {
	number string
	kind   error
	text   string
}

// Error gives the operation and the bus's own words.
func (f *fault) Error() string { return fmt.Sprintf("%v: %s", f.kind, f.text) }

// Unwrap gives the kind.
func (f *fault) Unwrap() error { return f.kind }

// faultOf is the number of a failed operation; empty if err is none.
func faultOf(err error) string {
	var f *fault
	if errors.As(err, &f) {
		return f.number
	}
	return ""
}

func numberOf(text string) string {
	number, _, _ := strings.Cut(text, ":")
	return number
}

// outcome turns an answer into an error that callers can act on. What is not known to be final counts as unavailable.
func outcome(q Request, r Response) error {
	if r.Status == 200 {
		return nil
	}
	text, _ := r.Body.(string)
	f := &fault{number: numberOf(text), kind: amqp.ErrUnavailable, text: fmt.Sprintf("%s %v: %v", q.Method, q.Body, r.Body)}
	switch f.number {
	case queueMissing, addressGone:
		f.kind = amqp.ErrNotFound
	case queueExists:
		f.kind = amqp.ErrConflict
	case noPermission, noRole, noOperation:
		f.kind = amqp.ErrRefused
	}
	return f
}

// broker is an operation of the broker itself.
func broker(operation string, arguments ...any) Request {
	if arguments == nil {
		arguments = []any{}
	}
	return Request{Method: operation, Path: "broker", Body: arguments}
}

// encode writes JSON; all that is given to it here can be written.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// perform does one operation.
func (d *diverts) perform(ctx context.Context, r Request) (any, error) {
	responses, err := d.requester.Do(ctx, []Request{r})
	if err != nil {
		return nil, err
	}
	return responses[0].Body, outcome(r, responses[0])
}

// names does an operation that answers with a list of names.
func (d *diverts) names(ctx context.Context, operation string) (names []string, err error) {
	body, err := d.perform(ctx, broker(operation))
	if err != nil {
		return nil, err
	}
	list, ok := body.([]any)
	for _, v := range list {
		name, isName := v.(string)
		if ok = ok && isName; ok {
			names = append(names, name)
		}
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s: the answer is no list of names but %T", amqp.ErrUnavailable, operation, body)
	}
	return names, nil
}

// each does one operation for each name and gives the first failure; those with the number absent count as success.
func (d *diverts) each(ctx context.Context, names []string, request func(name string) Request, absent ...string) error {
	for len(names) > 0 {
		n := min(len(names), requestBatch)
		requests := make([]Request, n)
		for i, name := range names[:n] {
			requests[i] = request(name)
		}
		names = names[n:]
		responses, err := d.requester.Do(ctx, requests)
		if err != nil {
			return err
		}
		for i, r := range responses {
			if err := outcome(requests[i], r); err != nil && (len(absent) == 0 || faultOf(err) != absent[0]) {
				return err
			}
		}
	}
	return nil
}
