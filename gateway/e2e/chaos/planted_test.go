package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// briefly writes packets for a comparison.
func briefly(packets []packet.Packet) (texts []string) {
	for _, p := range packets {
		switch p := p.(type) {
		case *packet.Publish:
			texts = append(texts, fmt.Sprint("PUBLISH ", p.ID, " ", p.Dup))
		case *packet.Ack:
			texts = append(texts, fmt.Sprint(p.Kind, " ", p.ID, " ", false))
		}
	}
	return texts
}

// Who ended a connection decides what its Will may do.
func TestWillsAreJudged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	killed := &node{lives: []*life{{killed: at}}}
	drained := &node{lives: []*life{{terminated: at}}}
	alive := &node{lives: []*life{{}}}
	nodes := []*node{killed, drained, alive}
	flagged, plain, late := arrival{flagged: true}, arrival{}, arrival{at: at.Add(time.Minute)}
	for _, c := range []struct {
		name  string
		stint stint
		back  time.Duration // when the device was back; zero: never
		wills []arrival
		want  []string
	}{
		{"death and a will", stint{how: byDeath, node: 2}, 0, []arrival{plain}, nil},
		{"death without a will", stint{how: byDeath, node: 2}, 0, nil, []string{"will missing"}},
		{"death with the node and a will", stint{how: byDeathWithNode, node: 0}, 0, []arrival{late}, nil},
		{"death with the node and no will", stint{how: byDeathWithNode, node: 0}, 0, nil, []string{"will missing"}},
		{"death with the node and a will at once", stint{how: byDeathWithNode, node: 0}, 0, []arrival{{at: at}}, []string{"will early"}},
		{"death with the node and two wills", stint{how: byDeathWithNode, node: 0}, 0, []arrival{late, late}, []string{"will twice"}},
		{"kill, away for very long, and no will", stint{how: byNode, node: 0}, time.Hour, nil, []string{"will missing"}},
		{"death and two wills", stint{how: byDeath, node: 2}, 0, []arrival{plain, plain}, []string{"will twice"}},
		{"two wills, one flagged", stint{how: byDeath, node: 2}, 0, []arrival{plain, flagged}, nil},
		{"drain", stint{how: byNode, node: 1}, time.Second, nil, nil},
		{"drain and a will", stint{how: byNode, node: 1}, time.Second, []arrival{plain}, []string{"will stray"}},
		{"drain in words and a will", stint{how: byNode, node: 2, reason: packet.ServerShuttingDown}, time.Second, []arrival{plain}, []string{"will stray"}},
		{"kill, back at once, and a will", stint{how: byNode, node: 0}, time.Second, []arrival{plain}, []string{"will stray"}},
		{"kill, away for long, and a will", stint{how: byNode, node: 0}, time.Minute, []arrival{plain}, nil},
		{"DISCONNECT and a will", stint{how: byDevice, node: 2}, time.Second, []arrival{plain}, []string{"will stray"}},
		{"half open and a will", stint{how: bySilence, node: 2}, time.Second, []arrival{plain}, nil},
		{"no reason at all", stint{how: byNode, node: 2}, time.Second, nil, []string{"disconnected"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			book := newLedger()
			d := newDevice(10, names{"x"}, book, &fleet{})
			c.stint.attempt, c.stint.established, c.stint.ended = 1, at.Add(-time.Minute), at
			d.stints = []stint{c.stint}
			if c.back > 0 {
				d.stints = append(d.stints, stint{attempt: 2, how: byRoaming, node: 2, dialled: at, established: at.Add(c.back), ended: at.Add(time.Hour)})
			}
			for _, a := range c.wills {
				book.willArrived(willID{10, 1}, a)
			}
			judgeStints(book, []*device{d}, nodes, nil)
			expectKinds(t, book, c.want)
		})
	}
}

// A device that reads the CONNACK of a process that has stopped meanwhile is not that of the process in its place.
func TestAConnectionIsOlderThanItsConnackIsRead(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	restarted := &node{lives: []*life{{terminated: at, ended: at.Add(time.Second)}, {}}}
	for _, c := range []struct {
		dialled time.Duration
		want    cause
	}{{-time.Second, causeDrain}, {500 * time.Millisecond, causeDrain}, {time.Second, causeNone}, {2 * time.Second, causeNone}} {
		s := stint{node: 0, how: byNode, dialled: at.Add(c.dialled), established: at.Add(3 * time.Second), ended: at.Add(4 * time.Second)}
		if why := explain(s, []*node{restarted}); why != c.want {
			t.Errorf("dialled %v after SIGTERM: cause %d, want %d", c.dialled, why, c.want)
		}
	}
}

// Who is taken over by nobody's fault must have given up a CONNECT, and a node must have had a reason to be late with it.
func TestTakeoversAreJudged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alive := &node{lives: []*life{{}}}
	for _, c := range []struct {
		name    string
		attempt int // of the connection that was taken over; it is the first that was established
		reason  packet.ReasonCode
		back    time.Duration // when the store was back, after it was taken over
		want    []string
	}{
		{"as the store was away", 2, packet.SessionTakenOver, time.Second, nil},
		{"just after the store was back", 2, packet.SessionTakenOver, -time.Second, nil},
		{"long after the store was back", 2, packet.SessionTakenOver, -time.Minute, []string{"disconnected"}},
		{"without a CONNECT given up", 1, packet.SessionTakenOver, time.Second, []string{"disconnected"}},
		{"for another reason", 2, packet.KeepAliveTimeout, time.Second, []string{"disconnected"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			book := newLedger()
			d := newDevice(11, names{"x"}, book, &fleet{})
			d.stints = []stint{{attempt: c.attempt, how: byNode, reason: c.reason, established: at.Add(-time.Second), ended: at}}
			judgeStints(book, []*device{d}, []*node{alive}, []span{{at.Add(-2 * time.Minute), at.Add(c.back)}})
			expectKinds(t, book, c.want)
		})
	}
}

// The schedule follows from the seed, keeps its bounds and ends what it begins.
func TestPlan(t *testing.T) {
	for seed := range uint64(300) {
		storm, kills := shortestStorm+time.Duration(seed)*time.Second, int(seed%20)
		failovers := int(seed) % int(1+storm/failoverSlot)
		faults := plan(seed, storm, kills, failovers)
		if !cmp.Equal(faults, plan(seed, storm, kills, failovers), cmp.AllowUnexported(fault{})) {
			t.Fatalf("seed %d makes two schedules", seed)
		}
		count := map[faultKind]int{}
		away := map[int]bool{}
		store := freeStore // the latest that was done to it
		for _, f := range faults {
			count[f.kind]++
			switch f.kind {
			case killNode, pauseNode:
				if away[f.node] {
					t.Errorf("seed %d: node %d is killed or paused and is away already", seed, f.node)
				}
				away[f.node] = true
			case startNode, resumeNode:
				delete(away, f.node)
			case downStore, holdStore, lagStore, killStore, freeStore, promoteStore, rejoinStore:
				begin := []faultKind{downStore, holdStore, lagStore}
				follows := map[faultKind][]faultKind{freeStore: begin, rejoinStore: begin, downStore: {freeStore}, holdStore: {freeStore},
					lagStore: {killStore, promoteStore}, killStore: {promoteStore, rejoinStore}, promoteStore: {killStore, rejoinStore}}
				if !slices.Contains(follows[store], f.kind) {
					t.Errorf("seed %d: %q at %v, after %q", seed, f.kind, f.at, store)
				}
				store = f.kind
			case moveStore:
				if store != promoteStore && (store != killStore || count[promoteStore] != count[killStore]) {
					t.Errorf("seed %d: node %d goes to a new primary at %v, after %q", seed, f.node, f.at, store)
				}
			}
			if len(away) > impairedMax {
				t.Errorf("seed %d: %d nodes are away at %v", seed, len(away), f.at)
			}
		}
		if count[killNode] != kills || count[startNode] != kills || count[pauseNode] == 0 || count[pauseNode] != count[resumeNode] ||
			count[downStore]+count[holdStore] != count[freeStore] || count[freeStore] == 0 || len(away) > 0 || count[rejoinStore] != failovers || count[moveStore] != failovers*nodeCount ||
			(store != freeStore && store != rejoinStore) {
			t.Errorf("seed %d: %v, away at the end %v", seed, count, away)
		}
		if !slices.IsSortedFunc(faults, func(a, b fault) int { return int(a.at - b.at) }) {
			t.Errorf("seed %d: not in the order of time", seed)
		}
	}
}

// What was held back for a peer that has reset the connection meanwhile is thrown away; for one that waits it goes on.
func TestHeldBytes(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	p := startProxy(t, server.Addr().String())
	for _, resets := range []bool{false, true} {
		t.Run(fmt.Sprint("reset ", resets), func(t *testing.T) {
			near, err := net.Dial("tcp", p.address)
			if err != nil {
				t.Fatal(err)
			}
			far, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = far.Close() }()
			_ = far.SetDeadline(time.Now().Add(rig.Patience))
			carry(t, near, far, "before ")
			p.hold(true)
			if _, err := near.Write([]byte("held")); err != nil {
				t.Fatal(err)
			}
			rig.Eventually(t, "the proxy holds something", func() error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.waiting == 0 {
					return errors.New("nothing yet")
				}
				return nil
			})
			if resets {
				_ = near.(*net.TCPConn).SetLinger(0)
			}
			if err := near.Close(); err != nil {
				t.Fatal(err)
			}
			p.hold(false)
			got, err := io.ReadAll(far)
			if want := map[bool]string{false: "held", true: ""}[resets]; string(got) != want {
				t.Errorf("%q got through (%v), want %q", got, err, want)
			}
		})
	}
}

// carry sends text and waits until it is there.
func carry(t *testing.T, from io.Writer, to io.Reader, text string) {
	t.Helper()
	if _, err := from.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, len(text))); err != nil {
		t.Fatal(err)
	}
}
