package secure

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/reload"
	"sluice/gateway/secure/securetest"
)

var secret = []byte(strings.Repeat("0123456789abcdef", 4) + "\n")

// running runs a Server until stop is called, or the test ends. It looks at its files every other second of the bubble, so that no test lets it run
// through days.
func running(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// eachVersion runs a test for TLS 1.2 and 1.3 in a bubble whose time is just behind a rotation.
func eachVersion(t *testing.T, test func(t *testing.T, version uint16)) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(ticketPeriod - time.Duration(time.Now().UnixNano())%ticketPeriod + time.Minute)
				test(t, v)
			})
		})
	}
}

// TestATicketWorksOnEveryNode: on the node that made it, on another, after one rotation, and not after two.
func TestATicketWorksOnEveryNode(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		files.TicketSecret = securetest.File(t, secret)
		var servers []*Server
		var nodes []*tls.Config
		for range 3 {
			s := openServer(t, files)
			servers, nodes = append(servers, s), append(nodes, s.Listen(Listener{Protocol: ProtocolMQTT}))
		}
		for _, c := range []struct {
			name  string
			later time.Duration
			want  bool
		}{
			{"at once", 0, true},
			{"after one rotation", ticketPeriod, true},
			{"after two rotations", 2 * ticketPeriod, false},
		} {
			client := device(ca, version)
			if m := welcome(t, nodes[0], client); m.server.DidResume {
				t.Fatalf("%s: resumed before there was a ticket", c.name)
			}
			time.Sleep(c.later)
			for _, s := range servers {
				s.look(time.Now())
			}
			if m := welcome(t, nodes[1], client); m.server.DidResume != c.want || m.client.DidResume != c.want {
				t.Errorf("%s, on the second node: resumed %v, want %v", c.name, m.server.DidResume, c.want)
			}
			if m := welcome(t, nodes[2], client); !m.server.DidResume {
				t.Errorf("%s, with the second node's ticket on the third: not resumed", c.name)
			}
		}
	})
}

// TestRunRotates: with nothing else than the time.
func TestRunRotates(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		files.TicketSecret = securetest.File(t, secret)
		old, fresh := openServer(t, files), openServer(t, files)
		oldNode, freshNode := old.Listen(Listener{Protocol: ProtocolMQTT}), fresh.Listen(Listener{Protocol: ProtocolMQTT})
		client := device(ca, version)
		welcome(t, oldNode, client)
		for range 2 { // each time, a node that does not run knows nothing of the key after the next
			time.Sleep(ticketPeriod - 2*time.Minute)
			stop := running(t, fresh)
			time.Sleep(4 * time.Minute)
			stop()
		}
		if welcome(t, freshNode, client).server.DidResume {
			t.Error("a ticket of two periods ago was accepted")
		}
		if welcome(t, oldNode, client).server.DidResume {
			t.Error("the keys have not been rotated twice: a node that stood still knows them")
		}
	})
}

// TestClocksOfNodesDiffer: a node whose clock is ahead makes tickets with the key of the next period.
func TestClocksOfNodesDiffer(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		files.TicketSecret = securetest.File(t, secret)
		ahead, behind := openServer(t, files), openServer(t, files)
		ahead.renew(time.Now().Add(ticketPeriod))
		client := device(ca, version)
		first, second := ahead.Listen(Listener{Protocol: ProtocolMQTT}), behind.Listen(Listener{Protocol: ProtocolMQTT})
		welcome(t, first, client)
		if !welcome(t, second, client).server.DidResume {
			t.Error("a ticket of a node with a clock that is ahead was not accepted")
		}
	})
}

func TestNodesOfDifferentSecretsShareNothing(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		with := files
		with.TicketSecret = securetest.File(t, secret)
		servers := []*Server{openServer(t, files), openServer(t, files), openServer(t, with)}
		var nodes []*tls.Config
		for _, s := range servers {
			nodes = append(nodes, s.Listen(Listener{Protocol: ProtocolMQTT}))
		}
		for i, from := range nodes {
			for j, to := range nodes {
				client := device(ca, version)
				welcome(t, from, client)
				if got := welcome(t, to, client).server.DidResume; got != (i == j) {
					t.Errorf("a ticket of node %d on node %d: resumed %v", i, j, got)
				}
			}
		}
	})
}

// TestASecretIsReplacedWithoutALossOfTickets, in the order that docs/tls.md gives.
func TestASecretIsReplacedWithoutALossOfTickets(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca := securetest.New(t, "CA")
		files := filesOf(t, ca)
		files.TicketSecret = securetest.File(t, secret)
		s := openServer(t, files)
		node := s.Listen(Listener{Protocol: ProtocolMQTT})
		running(t, s)
		next := strings.Repeat("fedcba9876543210", 4)
		client := device(ca, version)
		welcome(t, node, client)
		for _, content := range []string{string(secret) + next, next + "\n" + string(secret), "# the old one is gone\n\n" + next} {
			securetest.Write(t, files.TicketSecret, []byte(content))
			time.Sleep(reload.Pause)
			synctest.Wait()
			if !welcome(t, node, client).server.DidResume {
				t.Errorf("not resumed with %q", content)
			}
		}
	})
}

func TestTicketKeys(t *testing.T) {
	secrets := [][]byte{[]byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))}
	seen := map[string]int{}
	for at := range int64(3) {
		for _, k := range ticketKeys(secrets, at) {
			seen[fmt.Sprintf("%x", k)]++
		}
	}
	// Periods -1 to 3 of two secrets, the outer ones once, those next to them twice, the middle one three times.
	counts := map[int]int{}
	for _, n := range seen {
		counts[n]++
	}
	if len(seen) != 10 || counts[1] != 4 || counts[2] != 4 || counts[3] != 2 {
		t.Errorf("%d keys, seen so often: %v", len(seen), counts)
	}
	// Nodes of different versions of Sluice are to agree: this value must not change.
	if got := fmt.Sprintf("%x", ticketKey([]byte(strings.Repeat("a", 32)), 1)); got != wantKey {
		t.Errorf("the key is %s, want %s", got, wantKey)
	}
}

const wantKey = "c745e11ada4949fe2aeb5e4429e9d107c776a99d5c66d3a09d04318a9b14472e"
