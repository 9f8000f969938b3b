package management

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"sluice/amqp/embedded/queues"
	"sluice/amqp/wire"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func bindingsRequest(store *queues.Store, r Request, query string) Response {
	switch r.Method {
	case "POST":
		return bind(store, r)
	case "GET":
		return listBindings(store, query)
	}
	return notAllowed(r)
}

func bind(store *queues.Store, r Request) Response {
	f := readFields(r.Body)
	if _, toExchange := f.values["destination_exchange"]; toExchange {
		return problem(statusBadRequest, "the embedded broker binds queues only: use destination_queue")
	}
	b := queues.Binding{
		Exchange: f.text("source", ""), Queue: f.text("destination_queue", ""), Key: f.text("binding_key", ""),
		Arguments: f.arguments("arguments"),
	}
	if complaint := f.done(); complaint != "" {
		return problem(statusBadRequest, complaint)
	}
	if err := store.Bind(r.Connection, b); err != nil {
		return failure(err)
	}
	return Response{Status: statusNoContent}
}

// unbind reads src=<exchange>;dstq=<queue>;key=<key>;args=<hash>, each value percent-encoded.
func unbind(store *queues.Store, r Request, segment string) Response {
	values := map[string]string{}
	for _, part := range strings.Split(segment, ";") {
		key, raw, found := strings.Cut(part, "=")
		value, err := url.PathUnescape(raw)
		if !found || err != nil {
			return problem(statusBadRequest, "a binding is named src=<exchange>;dstq=<queue>;key=<key>;args=<hash>, percent-encoded, not "+segment)
		}
		values[key] = value
	}
	for _, key := range []string{"src", "dstq", "key", "args"} {
		if _, ok := values[key]; !ok {
			return problem(statusBadRequest, "the binding lacks "+key+"=")
		}
	}
	if err := store.Unbind(r.Connection, values["src"], values["dstq"], values["key"], values["args"]); err != nil {
		return failure(err)
	}
	return Response{Status: statusNoContent}
}

func listBindings(store *queues.Store, query string) Response {
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("src") {
		return problem(statusBadRequest, "bindings are listed with ?src=<exchange>, and dstq=<queue> and key=<key> to narrow")
	}
	if values.Has("dste") {
		return Response{Status: statusOK, Body: []any{}} // no exchange is ever bound to
	}
	var key *string
	if values.Has("key") {
		k := values.Get("key")
		key = &k
	}
	found := store.Bindings(values.Get("src"), values.Get("dstq"), key)
	if len(found) > maxListed {
		return problem(statusBadRequest, "too many bindings for one answer: narrow with dstq or key")
	}
	list := make([]any, 0, len(found))
	for _, b := range found {
		list = append(list, wire.Map{
			{Key: "source", Value: b.Exchange},
			{Key: "destination_queue", Value: b.Queue},
			{Key: "binding_key", Value: b.Key},
			{Key: "arguments", Value: argumentMap(b.Arguments)},
			{Key: "location", Value: location(b)},
		})
	}
	return Response{Status: statusOK, Body: list}
}

// location is the path under which the binding can be deleted.
func location(b queues.Binding) string {
	return "/bindings/src=" + escape(b.Exchange) + ";dstq=" + escape(b.Queue) + ";key=" + escape(b.Key) + ";args=" + queues.ArgumentsHash(b.Arguments)
}

// escape encodes all but the unreserved characters of RFC 3986, as the unbind path wants it.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
