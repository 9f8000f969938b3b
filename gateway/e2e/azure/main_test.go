package azure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/amqp/embedded"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/message"
	"sluice/amqp/topology"
	"sluice/gateway/e2e/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, func() {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	})
}

// dir is where the command was built; empty: it was not.
var dir string

var binary = sync.OnceValues(func() (string, error) {
	var err error
	if dir, err = os.MkdirTemp("", "sluice-azure-"); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building the command: %w\n%s", err, out)
	}
	return path, err
})

// build gives the command's path.
func build(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// namespace is what the tests have: devices' messages go to the topic telemetry, where an application and the nodes a and b listen; backends send to
// the topic commands.
func namespace() servicebus.Options {
	return servicebus.Options{
		Queues: []servicebus.Queue{{Name: "alarms"}},
		Topics: []servicebus.Topic{
			{Name: "telemetry", DuplicateWindow: 10 * time.Minute, Subscriptions: []string{"app", "a", "b"}},
			{Name: "commands", Subscriptions: []string{"a", "b"}},
		},
	}
}

// keys are those of a node on Service Bus.
func keys(id string) []string {
	return []string{"bus.kind=servicebus", "bus.azure.entity=telemetry", "node.id=" + id,
		"bus.azure.receive=commands/Subscriptions/{node},telemetry/Subscriptions/{node}"}
}

// start runs a node, "a" or "b".
func start(t *testing.T, b rig.Backend, id string, set ...string) *rig.Node {
	t.Helper()
	return rig.Start(t, b, append(keys(id), set...)...)
}

// application is a backend: it sends to entities and reads them.
type application struct {
	t testing.TB
	*client.Client
}

func newApplication(t testing.TB, b rig.Backend) *application {
	t.Helper()
	c, err := client.Open(client.Options{URLs: []string{b.BusURL()}, Kind: topology.ServiceBus, Targets: []string{"commands"}, Connections: 1, Logger: rig.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(rig.Context(t)); err != nil {
			t.Errorf("closing the application's connections: %v", err)
		}
	})
	return &application{t, c}
}

// read takes all that comes from an entity.
func (a *application) read(entity string) *inbox {
	in := &inbox{t: a.t, entity: entity, messages: make(chan *message.Message, 10_000), attached: make(chan struct{}, 1)}
	in.receiver = make(chan amqp.Receiver, 1)
	r := a.Attach(amqp.Source{Inbox: entity, Credit: 100}, in)
	in.receiver <- r
	a.t.Cleanup(func() { _ = r.Close(rig.Context(a.t)) })
	select {
	case <-in.attached:
	case <-rig.Context(a.t).Done():
		a.t.Fatalf("no link to %s", entity)
	}
	return in
}

// send sends to an entity until it is accepted: the application's own links may just be away.
func (a *application) send(entity, topic, payload string) {
	a.t.Helper()
	m := &message.Message{Header: message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{To: entity, Subject: topic}, Data: [][]byte{[]byte(payload)}}
	rig.Eventually(a.t, "the bus accepts a message to "+entity, func() error {
		done := make(chan message.Outcome, 1)
		a.Publish(0, m, false, func(o message.Outcome) { done <- o })
		if o := <-done; o.Kind != message.Accepted {
			return &message.Error{Condition: o.Kind.String(), Description: fmt.Sprint(o.Error)}
		}
		return nil
	})
}

// inbox accepts what comes.
type inbox struct {
	t        testing.TB
	entity   string
	receiver chan amqp.Receiver
	link     amqp.Receiver
	messages chan *message.Message
	attached chan struct{}
}

// Attached implements amqp.Handler.
func (in *inbox) Attached() {
	if in.link == nil {
		in.link = <-in.receiver
	}
	select {
	case in.attached <- struct{}{}:
	default:
	}
}

// Delivered implements amqp.Handler.
func (in *inbox) Delivered(d amqp.Delivery) {
	in.messages <- d.Message
	in.link.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
}

// Detached implements amqp.Handler.
func (in *inbox) Detached(error) bool { return true }

// next is the next message.
func (in *inbox) next() *message.Message {
	in.t.Helper()
	select {
	case m := <-in.messages:
		return m
	case <-rig.Context(in.t).Done():
		in.t.Fatalf("no message from %s", in.entity)
	}
	return nil
}

// count gives how often each payload is in the entity's log, by the time that a mark sent last has come too. A message that comes again, since its
// settlement was lost with a link, has its old sequence number and counts once.
func (in *inbox) count(app *application, entity string) map[string]int {
	in.t.Helper()
	app.send(entity, "end/of/test", "end of test")
	got, seen := map[string]int{}, map[any]bool{}
	for {
		m := in.next()
		if body(m) == "end of test" {
			return got
		}
		if number := m.Annotations["x-opt-sequence-number"]; !seen[number] {
			seen[number] = true
			got[body(m)]++
		}
	}
}

// expectEach demands that each of n payloads has come once.
func expectEach(t *testing.T, got map[string]int, payload func(i int) string, n int) {
	t.Helper()
	var wrong []string
	for i := range n {
		if c := got[payload(i)]; c != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d times", payload(i), c))
		}
	}
	if len(wrong) > 0 || len(got) != n {
		t.Errorf("of %d messages %d came, of which not once: %s", n, len(got), strings.Join(wrong, ", "))
	}
}

func body(m *message.Message) string {
	var s string
	for _, d := range m.Data {
		s += string(d)
	}
	return s
}

// await waits until the broker has counted what is asked for.
func await(t *testing.T, b *embedded.Broker, what string, condition func(embedded.Stats) bool) {
	t.Helper()
	if err := b.Await(rig.Context(t), condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// drain gives what is on a partition before a mark that is sent now.
func (in *inbox) drain(app *application, partition int) (all []*message.Message) {
	in.t.Helper()
	app.send(fmt.Sprintf("telemetry/Partitions/%d", partition), "end/of/test", "end of test")
	for m := in.next(); body(m) != "end of test"; m = in.next() {
		all = append(all, m)
	}
	return all
}
