package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Another principal tries to get a client identifier, on both nodes and in every way there is, while the device that has it works. It is refused each time, and
// the device notices nothing: each message comes once, in order.
func TestHijack(t *testing.T) {
	for _, b := range []rig.Backend{rig.InProcess(t), rig.InProcessOnRedis(t)} {
		t.Run(b.Name, func(t *testing.T) { rig.Versions(t, func(t *testing.T, v packet.Version) { hijack(t, b, v) }) })
	}
}

func hijack(t *testing.T, b rig.Backend, v packet.Version) {
	t.Helper()
	id := rig.Prefix(t)
	files := newPasswordFile(t, id+"alice=apple", id+"mallory=melon")
	first, second := rig.Pair(t, b, "auth.methods=password,anonymous", "auth.password_file="+files.name, "access.default=all")
	bus := rig.OpenBus(t, first)
	alice, mallory := as(id+"alice", "apple"), as(id+"mallory", "melon")
	victim, _ := rig.Dial(t, first, v, rig.Persistent(id), alice)
	victim.Subscribe(id+"/x", 1)

	attacked := make(chan int, 1)
	go func() {
		n := 0
		defer func() { attacked <- n }()
		for range 10 {
			for _, node := range []*rig.Node{first, second} {
				for _, way := range [][]func(*packet.Connect){
					{rig.Clean(id), mallory}, {rig.Persistent(id), mallory}, {rig.Clean(id)}, {rig.Persistent(id), willOn(id + "/x"), mallory},
				} {
					d, got := knock(t, node, v, way...)
					if in(v, got) != in(v, packet.ClientIDNotValid) {
						t.Errorf("the attacker is answered %s", in(v, got))
						return
					}
					d.ExpectClosed()
					n++
				}
			}
		}
	}()
	sent, attempts := 0, 0
	for attempts == 0 || sent < 100 {
		if r := victim.Publish(id+"/x", []byte(fmt.Sprint(sent)), 1); r.Failed() {
			t.Fatalf("message %d is refused: %v", sent, r)
		}
		if m := victim.Collect(1)[0]; string(m.Payload) != fmt.Sprint(sent) || m.Dup {
			t.Fatalf("message %d comes as %q, DUP %v", sent, m.Payload, m.Dup)
		}
		sent++
		select {
		case attempts = <-attacked:
		default:
		}
	}
	if attempts != 80 {
		t.Errorf("%d attacks", attempts)
	}
	victim.ExpectNothing(100 * time.Millisecond)
	victim.Disconnect()
	// The session is all there, on the other node, for its owner; a copied credential is good for no other client identifier.
	if _, got := knock(t, second, v, rig.Clean(id+"copy"), alice); in(v, got) != in(v, packet.NotAuthorized) {
		t.Errorf("a second client with the credential is answered %s", in(v, got))
	}
	back, ack := rig.Dial(t, second, v, rig.Persistent(id), alice)
	if !ack.SessionPresent {
		t.Error("the session is gone")
	}
	bus.Send(bus.Message(id+"/x", []byte("still"), 1))
	if m := back.Collect(1)[0]; string(m.Payload) != "still" {
		t.Errorf("got %q", m.Payload)
	}
	back.Disconnect()
	rig.Dial(t, second, v, rig.Clean(id), alice) // ends the session
}

func willOn(topic string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.Will = &packet.Will{Topic: topic, Payload: []byte("boo"), QoS: 1} }
}

// What is revoked on one node is closed on all three within five seconds, and kept out of each.
func TestRevocationOnThreeNodes(t *testing.T) {
	b, id := rig.Real(t), rig.Prefix(t)
	files := newPasswordFile(t, id+"alice=apple", id+"bob=berry")
	var nodes []*rig.Node
	for range 3 {
		nodes = append(nodes, rig.Start(t, b, "auth.methods=password", "auth.password_file="+files.name, "clients.sharing=shared", "access.default=all"))
	}
	alice, bob := as(id+"alice", "apple"), as(id+"bob", "berry")
	var meant []*mqtttest.Device
	for i, n := range nodes {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			d, _ := rig.Dial(t, n, v, rig.Clean(fmt.Sprint(id, "-", v, "-", i)), alice)
			meant = append(meant, d)
		}
	}
	bystander, _ := rig.Dial(t, nodes[2], packet.V5, rig.Clean(id+"bob"), bob)

	running := rig.Running(t)
	made := administer(t, nodes[0], http.MethodPost, "/api/v1/revocations", fmt.Sprintf(`{"principal":%q,"reason":"test"}`, id+"alice"), http.StatusCreated)
	var revocation struct{ ID string }
	if err := json.Unmarshal(made, &revocation); err != nil || revocation.ID == "" {
		t.Fatalf("%s: %v", made, err)
	}
	var closing sync.WaitGroup
	for _, d := range meant {
		closing.Go(d.AwaitClosed)
	}
	closing.Wait()
	took := running()
	t.Logf("%d connections on three nodes are closed after %v", len(meant), took)
	if took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, n := range nodes {
		if _, got := knock(t, n, packet.V5, rig.Clean(id+"new"), alice); got != packet.NotAuthorized {
			t.Errorf("who is revoked is answered %v", got)
		}
	}
	bystander.Send(&packet.Pingreq{})
	mqtttest.Expect[*packet.Pingresp](bystander)
	administer(t, nodes[1], http.MethodDelete, "/api/v1/revocations/"+revocation.ID, "", http.StatusNoContent)
	rig.Eventually(t, "who was revoked is let in", func() error {
		if _, got := knock(t, nodes[2], packet.V5, rig.Clean(id+"new"), alice); got.Failed() {
			return fmt.Errorf("CONNACK %v", got)
		}
		return nil
	})
}

// administer asks the administration port.
func administer(t *testing.T, n *rig.Node, method, path, body string, want int) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.Admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		t.Fatalf("%s %s: %d %s %v, want %d", method, path, answer.StatusCode, said, err, want)
	}
	return said
}
