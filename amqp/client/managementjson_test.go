package client

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

func TestJSONRequest(t *testing.T) {
	j := &jsonOperations{reply: "temp"}
	m, err := j.request(topology.Request{Method: "createQueue", Path: "broker", Body: []any{`{"name":"q"}`, true}}, "7")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "createQueue"}
	if d := cmp.Diff(want, m.ApplicationProperties); d != "" || m.Value != `["{\"name\":\"q\"}",true]` || m.Properties.MessageID != "7" || *m.Properties.ReplyTo != "temp" {
		t.Errorf("%s%v %+v", d, m.Value, m.Properties)
	}
	if _, err := j.request(topology.Request{Body: []any{make(chan int)}}, "8"); err == nil {
		t.Error("arguments that JSON cannot hold are taken")
	}
}

func TestJSONResponse(t *testing.T) {
	for _, tt := range []struct {
		name      string
		succeeded any
		body      any
		want      topology.Response
		err       error
	}{
		{"a text", true, `["2.55.0"]`, topology.Response{Status: 200, Body: "2.55.0"}, nil},
		{"a list", true, `[["a","b"]]`, topology.Response{Status: 200, Body: []any{"a", "b"}}, nil},
		{"nothing", true, nil, topology.Response{Status: 200}, nil},
		{"an empty list", true, `[]`, topology.Response{Status: 200}, nil},
		{"a failure", false, `["AMQ229017: Queue q does not exist"]`, topology.Response{Status: 500, Body: "AMQ229017: Queue q does not exist"}, nil},
		{"no word of success", nil, `["x"]`, topology.Response{Status: 500, Body: "x"}, nil},
		{"no JSON", true, `x`, topology.Response{Status: 200}, amqp.ErrUnavailable},
	} {
		m := &message.Message{Value: tt.body, HasValue: true, Properties: message.Properties{CorrelationID: "7"}}
		if tt.succeeded != nil {
			m.ApplicationProperties = map[string]any{"_AMQ_OperationSucceeded": tt.succeeded}
		}
		id, got, err := (&jsonOperations{}).response(m)
		if d := cmp.Diff(tt.want, got); d != "" || id != "7" || !errors.Is(err, tt.err) {
			t.Errorf("%s: id %q, %v\n%s", tt.name, id, err, d)
		}
	}
}

func TestDialects(t *testing.T) {
	for product, want := range map[string]dialect{"RabbitMQ": httpVerbs{}, "": httpVerbs{}, "apache-activemq-artemis": &jsonOperations{}} {
		kind, known := topology.KindOf(product)
		if known != (product != "") {
			t.Errorf("%q: known %v", product, known)
		}
		if got := dialectOf(kind); !cmp.Equal(got, want, cmp.AllowUnexported(jsonOperations{})) {
			t.Errorf("%q is spoken to by %T, want %T", product, got, want)
		}
	}
}
