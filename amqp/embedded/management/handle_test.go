package management

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/amqp/embedded/queues"
	"sluice/amqp/message"
	"sluice/amqp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type body = map[string]any

// TestHandle goes through one life of a small topology, in order; connection 2 is a stranger.
func TestHandle(t *testing.T) {
	store := queues.New(queues.Options{Limits: queues.Limits{MaxQueues: 2}})
	exclusive := body{"exclusive": true}
	for _, c := range []struct {
		connection   uint64
		method, path string
		body         any
		want         string
	}{
		{1, "PUT", "/queues/q", body{"arguments": body{"x-queue-type": message.Symbol("quorum")}}, "201"},
		{1, "PUT", "/queues/q", body{"arguments": body{"x-queue-type": "quorum"}, "durable": nil}, "200"},
		{1, "PUT", "/queues/q", body{"auto_delete": true}, "409"},
		{1, "PUT", "/queues/a%2Fb", exclusive, "201"},
		{2, "PUT", "/queues/a%2Fb", exclusive, "409"},
		{2, "GET", "/queues/a%2Fb", nil, "409"},
		{2, "DELETE", "/queues/a%2Fb", nil, "409"},
		{2, "DELETE", "/queues/a%2Fb/messages", nil, "409"},
		{1, "PUT", "/queues/third", body{}, "507"},
		{1, "PUT", "/queues/", body{}, "400"},
		{1, "PUT", "/exchanges/x", body{"type": message.Symbol("direct")}, "204"},
		{1, "PUT", "/exchanges/x", body{"type": 5}, "400"},
		{1, "PUT", "/exchanges/y", body{"type": "topic", "arguments": body{"alternate-exchange": "z"}}, "400"},
		{1, "POST", "/bindings", body{"source": "x", "destination_queue": "q", "binding_key": "k", "arguments": body{"n": int32(1)}}, "204"},
		{1, "POST", "/bindings", body{"source": "", "destination_queue": "q", "binding_key": "k"}, "403"},
		{1, "POST", "/bindings", body{"source": "x", "destination_queue": "a/b", "extra": 1}, "400"},
		{2, "POST", "/bindings", body{"source": "x", "destination_queue": "a/b"}, "409"},
		{1, "GET", "/bindings?src=x&dste=y", nil, "200"},
		{1, "DELETE", "/bindings/src=x;dstq=q;key=%zz;args=", nil, "400"},
		{1, "DELETE", "/queues/q", nil, "200"},
		{1, "DELETE", "/exchanges/amq.topic", nil, "403"},
		{1, "DELETE", "", nil, "400"},
		{1, "", "/queues/q", nil, "405"},
	} {
		r := Handle(time.Unix(0, 0), store, Request{Method: c.method, Path: c.path, Body: c.body, Connection: c.connection})
		if r.Status != c.want {
			t.Errorf("%s %s %v: %s %v, want %s", c.method, c.path, c.body, r.Status, r.Body, c.want)
		}
		if text, ok := r.Body.(string); r.Status >= "400" && (!ok || text == "") {
			t.Errorf("%s %s: no explanation", c.method, c.path)
		}
	}
}

// TestLocation: the location of a binding, whatever its names and arguments, deletes it and no other.
func TestLocation(t *testing.T) {
	now := time.Unix(0, 0)
	store := queues.New(queues.Options{})
	queue, key := "a;b=c/ü %", "#.*;key=x"
	for _, r := range []Request{
		{Method: "PUT", Path: "/queues/" + escape(queue), Body: body{}},
		{Method: "POST", Path: "/bindings", Body: body{"source": "amq.topic", "destination_queue": queue, "binding_key": key}},
		{Method: "POST", Path: "/bindings", Body: body{"source": "amq.topic", "destination_queue": queue, "binding_key": key, "arguments": body{"n": "1"}}},
	} {
		if got := Handle(now, store, r); got.Status[0] != '2' {
			t.Fatal(got)
		}
	}
	for left := 2; left > 0; left-- {
		list, _ := Handle(now, store, Request{Method: "GET", Path: "/bindings?src=amq.topic"}).Body.([]any)
		if len(list) != left {
			t.Fatalf("%d bindings, want %d", len(list), left)
		}
		location, _ := list[0].(wire.Map).Get("location")
		if got := Handle(now, store, Request{Method: "DELETE", Path: location.(string)}); got.Status != "204" {
			t.Fatal(got)
		}
	}
	if n := store.Snapshot().Bindings; n != 0 {
		t.Errorf("%d bindings left", n)
	}
}
