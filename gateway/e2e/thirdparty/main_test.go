package thirdparty

import (
	"flag"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// sideBySide is how many scenarios run at a time: most of them wait for packets.
const sideBySide = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		_ = flag.Set("test.parallel", sideBySide)
	}
	rig.Main(m)
}

// scenario is one thing that clients do.
type scenario struct {
	name string
	play func(*stage)
	// only says which clients can; nil is all.
	only func(kind) bool
}

func v5(k kind) bool { return k.version == packet.V5 }

// TestClients plays every scenario with every client on every backend.
func TestClients(t *testing.T) {
	js := startJS(t)
	for _, b := range []rig.Backend{rig.InProcess(t), rig.Real(t)} {
		first, second := rig.Pair(t, b, settings(t, b)...)
		for _, k := range kinds() {
			for _, c := range scenarios() {
				if c.only != nil && !c.only(k) {
					continue
				}
				t.Run(b.Name+"/"+c.name+"/"+k.name, func(t *testing.T) {
					t.Parallel()
					s := &stage{T: t, kind: k, backend: b, first: first, second: second, js: js}
					s.open()
					c.play(s)
				})
			}
		}
	}
}

// settings are those of all nodes. In Redis they have a database of their own: nodes of other tests take work as well, and are killed with it, and
// then it takes its lease, 30 s, until another node does it.
func settings(t testing.TB, b rig.Backend) []string {
	t.Helper()
	set := []string{"mqtt.ws.listen=127.0.0.1:0"}
	if b.Name == rabbitMQ {
		set = append(set, "sessions.url="+rig.ThirdPartySessions(t))
	}
	return set
}

// rabbitMQ is the name of the backend of real services.
const rabbitMQ = "rabbitmq"

// startNode starts one more node on the stage's backend.
func (s *stage) startNode() *rig.Node {
	s.Helper()
	return rig.Start(s, s.backend, settings(s, s.backend)...)
}

func scenarios() []scenario {
	var all []scenario
	for _, part := range [][]scenario{delivery, subscriptions, sessions, wills, expiry, metadata, aliases, flow, connections, webSocket, retained, backAtOnce, shared, republish} {
		all = append(all, part...)
	}
	return all
}
