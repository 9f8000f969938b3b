package management

import (
	"net/url"
	"strings"
	"time"

	"sluice/amqp/embedded/queues"
	"sluice/amqp/wire"
)

// Handle carries out one request.
func Handle(now time.Time, store *queues.Store, r Request) Response {
	path, query, _ := strings.Cut(r.Path, "?")
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return problem(statusBadRequest, "the property to must be a path such as /queues/my-queue")
	}
	parts := strings.Split(rest, "/")
	for i, raw := range parts {
		if parts[0] == "bindings" && i > 0 {
			continue // its values are decoded one by one
		}
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return problem(statusBadRequest, "the path is not percent-encoded: "+raw)
		}
		parts[i] = decoded
	}
	switch {
	case parts[0] == "queues" && len(parts) == 2:
		return queueRequest(now, store, r, parts[1])
	case parts[0] == "queues" && len(parts) == 3 && parts[2] == "messages":
		if r.Method != "DELETE" {
			return notAllowed(r)
		}
		n, err := store.PurgeQueue(r.Connection, parts[1])
		return counted(n, err)
	case parts[0] == "exchanges" && len(parts) == 2:
		return exchangeRequest(store, r, parts[1])
	case parts[0] == "bindings" && len(parts) == 1:
		return bindingsRequest(store, r, query)
	case parts[0] == "bindings" && len(parts) == 2:
		if r.Method != "DELETE" {
			return notAllowed(r)
		}
		return unbind(store, r, parts[1])
	}
	return problem(statusNotFound, "no such path: "+path+"; known are /queues/:queue, /queues/:queue/messages, /exchanges/:exchange, /bindings")
}

func notAllowed(r Request) Response {
	return problem(statusNotAllowed, r.Method+" is not possible on "+r.Path)
}

// failure turns a refusal of the store into a status.
func failure(err *queues.Error) Response {
	status := statusBadRequest
	switch err.Kind {
	case queues.NotFound:
		status = statusNotFound
	case queues.Conflict, queues.Locked:
		status = statusConflict
	case queues.Forbidden:
		status = statusForbidden
	case queues.Exhausted:
		status = statusExhausted
	}
	return problem(status, err.Text)
}

func counted(n int, err *queues.Error) Response {
	if err != nil {
		return failure(err)
	}
	return Response{Status: statusOK, Body: wire.Map{{Key: "message_count", Value: uint64(n)}}}
}

func queueRequest(now time.Time, store *queues.Store, r Request, name string) Response {
	switch r.Method {
	case "PUT":
		return declareQueue(now, store, r, name)
	case "GET":
		info, err := store.Info(r.Connection, name)
		if err != nil {
			return failure(err)
		}
		return Response{Status: statusOK, Body: describe(info)}
	case "DELETE":
		n, err := store.DeleteQueue(r.Connection, name)
		return counted(n, err)
	}
	return notAllowed(r)
}

func declareQueue(now time.Time, store *queues.Store, r Request, name string) Response {
	f := readFields(r.Body)
	spec := queues.QueueSpec{
		Durable: f.flag("durable", true), Exclusive: f.flag("exclusive", false), AutoDelete: f.flag("auto_delete", false),
		Arguments: f.arguments("arguments"),
	}
	if complaint := f.done(); complaint != "" {
		return problem(statusBadRequest, complaint)
	}
	created, err := store.DeclareQueue(now, r.Connection, name, spec)
	if err != nil {
		return failure(err)
	}
	info, err := store.Info(r.Connection, name)
	if err != nil {
		return failure(err) // deleted meanwhile
	}
	if created {
		return Response{Status: statusCreated, Body: describe(info)}
	}
	return Response{Status: statusOK, Body: describe(info)}
}

// describe is RabbitMQ's queue info. One node, so that it leads every queue.
func describe(q queues.QueueInfo) wire.Map {
	return wire.Map{
		{Key: "name", Value: q.Name},
		{Key: "durable", Value: q.Durable},
		{Key: "exclusive", Value: q.Exclusive},
		{Key: "auto_delete", Value: q.AutoDelete},
		{Key: "arguments", Value: argumentMap(q.Arguments)},
		{Key: "type", Value: q.Kind},
		{Key: "message_count", Value: uint64(q.Ready)},
		{Key: "consumer_count", Value: uint32(q.Consumers)},
		{Key: "leader", Value: nodeName},
		{Key: "vhost", Value: "/"},
		{Key: "replicas", Value: wire.Array{Type: wire.CodeString32, Elements: []any{nodeName}}},
	}
}

// nodeName stands where RabbitMQ names a cluster node.
const nodeName = "sluice@embedded"

func argumentMap(args map[string]any) wire.Map {
	m := make(wire.Map, 0, len(args))
	for _, key := range sortedKeys(args) {
		m = append(m, wire.Pair{Key: key, Value: args[key]})
	}
	return m
}

func exchangeRequest(store *queues.Store, r Request, name string) Response {
	var err *queues.Error
	switch r.Method {
	case "PUT":
		f := readFields(r.Body)
		spec := queues.ExchangeSpec{
			Type: f.text("type", "direct"), Durable: f.flag("durable", true), AutoDelete: f.flag("auto_delete", false),
			Internal: f.flag("internal", false), Arguments: f.arguments("arguments"),
		}
		if complaint := f.done(); complaint != "" {
			return problem(statusBadRequest, complaint)
		}
		err = store.DeclareExchange(name, spec)
	case "DELETE":
		err = store.DeleteExchange(name)
	default:
		return notAllowed(r)
	}
	if err != nil {
		return failure(err)
	}
	return Response{Status: statusNoContent}
}
