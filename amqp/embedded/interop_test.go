package embedded_test

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"sluice/amqp/embedded"
)

// environment is a variable that scripts/services sets; without it the test fails, so that nobody takes silence for success.
func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run `eval $(scripts/services up)` first", name)
	}
	return value
}

// TestRhea and TestProton: clients that we did not write see the broker as they see others.

func TestRhea(t *testing.T) {
	node := environment(t, "SLUICE_TEST_NODE")
	modules := environment(t, "SLUICE_TEST_NODE_MODULES")
	script, err := os.ReadFile("testdata/interop.js")
	if err != nil {
		t.Fatal(err)
	}
	// By standard input, since modules are looked up from the script's own folder otherwise.
	interop(t, []string{
		"product Sluice",
		"send accept accepted", "send reject accepted", "send release accepted", "send failed accepted", "send here accepted",
		"send large accepted",
		"to /exchanges/amq.topic/a.b accepted", "to /exchanges/amq.topic/nobody released", "to /exchanges/none/a rejected amqp:not-found",
		"to /nonsense rejected amqp:precondition-failed", "to /queues/full rejected amqp:resource-limit-exceeded",
		"missing queue amqp:not-found", "plain address amqp:invalid-field",
		"got accept first=true key=q", "got reject first=true key=q", "got release first=true key=q", "got failed first=true key=q",
		"got here first=true key=q", "got 300000 first=true key=q", "got routed first=true key=a.b",
		"again release first=false count=0", "again failed first=false count=1",
		"drained", "reply accepted", "reply answer", "closed",
	}, 2, func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, node, append([]string{"-"}, args...)...)
		cmd.Stdin = bytes.NewReader(script)
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		return cmd
	})
}

func TestProton(t *testing.T) {
	python := environment(t, "SLUICE_TEST_PYTHON")
	interop(t, []string{
		"product Sluice",
		"send accept accepted", "send reject accepted", "send release accepted", "send failed accepted", "send large accepted",
		"to /exchanges/amq.topic/a.b accepted", "to /exchanges/amq.topic/nobody released", "to /exchanges/none/a rejected",
		"to /nonsense rejected", "to /queues/full rejected",
		"missing queue amqp:not-found", "plain address amqp:invalid-field",
		"got accept first=True key=q", "got reject first=True key=q", "got release first=True key=q", "got failed first=True key=q",
		"got 300000 first=True key=q", "got routed first=True key=a.b",
		"again failed first=False", "again release first=False",
		"reply accepted", "reply answer", "closed",
	}, 1, func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, python, append([]string{"testdata/interop.py"}, args...)...)
	})
}

// interop runs a client program against a broker with a password and compares what it says. dead is how many dead letters it leaves.
func interop(t *testing.T, want []string, dead int, program func(ctx context.Context, args ...string) *exec.Cmd) {
	t.Helper()
	b := newBench(t, embedded.Options{User: "user", Password: "secret"})
	m := b.manager(b.dial(&amqp.ConnOptions{SASLType: amqp.SASLTypePlain("user", "secret")}))
	m.queue("dead", nil)
	m.queue("q", map[string]any{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	m.queue("full", map[string]any{"x-max-length": 0, "x-overflow": "reject-publish"})
	m.bind("amq.topic", "q", "a.*")
	address, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(b.ctx, address.Hostname(), address.Port(), "user", "secret")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, complaints.String())
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); diff != "" {
		t.Errorf("the client saw something else (-want +got):\n%s", diff)
	}
	snap := b.broker.Snapshot()
	if len(snap.Queues) != 3 {
		t.Errorf("queues left: %+v", snap.Queues)
	}
	for queue, ready := range map[string]int{"q": 0, "dead": dead} {
		if info, _ := snap.Queue(queue); info.Ready != ready || info.Unsettled != 0 {
			t.Errorf("queue %s has %d ready and %d unsettled messages, want %d and 0", queue, info.Ready, info.Unsettled, ready)
		}
	}
}
