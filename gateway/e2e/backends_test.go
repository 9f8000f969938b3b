package e2e

import (
	"net/url"
	"strconv"
	"testing"

	"sluice/gateway/e2e/rig"
)

// backend is an AMQP program that others wrote: testdata/backend.js or backend.py.
type backend struct {
	name, interpreter, program string
}

func backends() []backend {
	return []backend{{"rhea", rig.EnvNode, "backend.js"}, {"proton", rig.EnvPython, "backend.py"}}
}

// backendTask is the input of the programs.
type backendTask struct {
	Host     string           `json:"host"`
	Port     int              `json:"port"`
	User     string           `json:"user"`
	Password string           `json:"password"`
	Address  string           `json:"address"`
	Send     []backendMessage `json:"send"`
	Receive  int              `json:"receive"`
}

// backendMessage is an AMQP message as the programs take it.
type backendMessage struct {
	Address     string            `json:"address"`
	Payload     hexText           `json:"payload"`
	QoS         byte              `json:"qos"`
	Durable     bool              `json:"durable"`
	ContentType string            `json:"contentType,omitempty"`
	ReplyTo     string            `json:"replyTo,omitempty"`
	Correlation hexText           `json:"correlation,omitempty"`
	TTL         uint32            `json:"ttl,omitempty"` // milliseconds
	User        map[string]string `json:"user,omitempty"`
	UserList    []string          `json:"userList,omitempty"`
}

// backendReceived is an AMQP message as the programs report it.
type backendReceived struct {
	backendMessage
	To        string `json:"to"`
	Subject   string `json:"subject"`
	Topic     string `json:"topic"`
	MessageID string `json:"messageId"`
	Client    string `json:"client"`
}

func (b backend) run(t *testing.T, n *rig.Node, task backendTask) *rig.Process {
	t.Helper()
	u, err := url.Parse(n.BusURL)
	if err != nil {
		t.Fatal(err)
	}
	task.Host, task.User = u.Hostname(), u.User.Username()
	task.Password, _ = u.User.Password()
	if task.Port, err = strconv.Atoi(u.Port()); err != nil {
		t.Fatal(err)
	}
	if task.Send == nil {
		task.Send = []backendMessage{}
	}
	return program(t, rig.Env(t, b.interpreter), b.program, task)
}

// consume starts the program on a queue, by its address; the function it returns waits for count messages and the end of the program.
func (b backend) consume(t *testing.T, n *rig.Node, queue string, count int) func() []backendReceived {
	t.Helper()
	p := b.run(t, n, backendTask{Address: queue, Receive: count})
	return func() (got []backendReceived) {
		t.Helper()
		for _, l := range p.Lines(`"message"`, count) {
			var m backendReceived
			decode(t, l, &m)
			got = append(got, m)
		}
		p.Succeed()
		return got
	}
}

// send publishes the messages and expects accepted for each.
func (b backend) send(t *testing.T, n *rig.Node, messages []backendMessage) *rig.Process {
	t.Helper()
	return b.run(t, n, backendTask{Send: messages})
}
