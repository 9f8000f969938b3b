package gateway

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// deaf is a store whose notices of takeovers never arrive. interrupted, when there is one, says that some were missed.
type deaf struct {
	sessionstore.Store
	interrupted chan struct{}
}

func (s deaf) Watch(ctx context.Context, _ string, _ func(sessionstore.Key, uint64), missed func()) error {
	go func() {
		for {
			select {
			case <-s.interrupted:
				missed()
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// A connection that lost its session to another node and was not told ends within a round. Until then it keeps the inbox's one receiver, so
// what it holds comes to the new owner only then.
func TestUnnoticedTakeoverEndsWithinARound(t *testing.T) {
	for _, c := range []struct {
		name   string
		missed bool // the watch says that notices were missed
		within time.Duration
	}{
		{"silent watch", false, epochsRound},
		{"interrupted watch", true, epochsHurry},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				store := deaf{b.store, make(chan struct{})}
				first, second := b.start("first", store), b.start("second", b.store)
				old, _ := first.connect("d", packet.V5)
				old.Subscribe("t", 2)
				b.send(second, "t", "held")
				id := mqtttest.Expect[*packet.Publish](old).ID
				next, connack := second.connect("d", packet.V5)
				if !connack.SessionPresent {
					b.t.Error("the session is not present")
				}
				took := time.Now()
				if c.missed {
					store.interrupted <- struct{}{}
				}
				old.SetTimeout(2 * epochsRound)
				if reason := mqtttest.Expect[*packet.Disconnect](old).Reason; reason != packet.SessionTakenOver {
					b.t.Errorf("the old connection gets %v", reason)
				}
				old.ExpectClosed()
				if lived := time.Since(took); lived > c.within {
					b.t.Errorf("the old connection lived on for %v", lived)
				}
				if p := mqtttest.Expect[*packet.Publish](next); p.ID != id || !p.Dup {
					b.t.Errorf("the new connection gets identifier %d, DUP %t; it was begun as %d", p.ID, p.Dup, id)
				}
			})
		})
	}
}

// asked records the calls of Epochs. Sessions called "spent" have another owner.
type asked struct {
	sessionstore.Store
	calls []int
	times []time.Time
	err   error
}

func (s *asked) Epochs(_ context.Context, keys []sessionstore.Key) ([]uint64, error) {
	s.calls, s.times = append(s.calls, len(keys)), append(s.times, time.Now())
	out := make([]uint64, len(keys))
	for i, k := range keys {
		out[i] = 7
		if k.Principal == "spent" {
			out[i] = 8
		}
	}
	return out, s.err
}

// crowd is a gateway with n connections of which nothing is real but what they own: it handles no events. One in a hundred has lost its
// session, and as many have none yet.
func crowd(n int, store sessionstore.Store) (gw *Gateway, all, spent []*device) {
	gw = &Gateway{opt: Options{Store: store}, directory: newDirectory(), log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
	gw.ctx, gw.cancel = context.WithCancel(context.Background())
	gw.upkeep = newUpkeep(gw)
	for i := range n {
		d := &device{gw: gw, running: true, owned: sessionstore.Fence{Key: sessionstore.Key{ClientID: fmt.Sprint(i)}, Epoch: 7}}
		switch i % 100 {
		case 0:
			d.owned.Key.Principal = "spent"
			spent = append(spent, d)
		case 1:
			d.owned = sessionstore.Fence{}
		}
		gw.directory.admit(nil, d)
		all = append(all, d)
	}
	return gw, all, spent
}

// Many connections are asked for in parts, evenly over the round, and those and only those that lost their sessions are told.
func TestEpochsAreComparedInParts(t *testing.T) {
	const n = 5*sessionstore.MaxEpochs - 10
	synctest.Test(t, func(t *testing.T) {
		store := &asked{}
		gw, all, spent := crowd(n, store)
		began := time.Now()
		if gw.upkeep.epochsRound(epochsRound) {
			t.Error("the round was broken off")
		}
		if took := time.Since(began); took > epochsRound {
			t.Errorf("the round took %v", took)
		}
		sum := 0
		for i, keys := range store.calls {
			if sum += keys; keys > sessionstore.MaxEpochs {
				t.Errorf("call %d asks for %d sessions", i, keys)
			}
			if at, want := store.times[i].Sub(began), time.Duration(i)*epochsRound/5; at != want {
				t.Errorf("call %d comes at %v, want %v", i, at, want)
			}
		}
		if want := n - (n+98)/100; sum != want {
			t.Errorf("asked for %d sessions, want %d", sum, want)
		}
		told := 0
		for _, d := range all {
			told += len(d.inbox)
		}
		for _, d := range spent {
			if len(d.inbox) != 1 || d.inbox[0] != takenOver {
				t.Errorf("%s lost its session and is told %v", d.owned.Key.ClientID, d.inbox)
			}
		}
		if told != len(spent) {
			t.Errorf("%d are told, %d have lost their sessions", told, len(spent))
		}
	})
}

// A store that does not answer says nothing about anybody, and a round is broken off when notices were missed.
func TestEpochsRoundIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, all, _ := crowd(1000, &asked{err: sessionstore.ErrUnavailable})
		gw.upkeep.noticesMissed()
		gw.upkeep.noticesMissed()
		began := time.Now()
		if !gw.upkeep.epochsRound(epochsRound) || time.Since(began) > 0 {
			t.Error("the round was not broken off at once")
		}
		if gw.upkeep.epochsRound(epochsHurry) {
			t.Error("one interruption broke off two rounds")
		}
		for _, d := range all {
			if len(d.inbox) > 0 {
				t.Fatal("somebody was told something by a store that did not answer")
			}
		}
	})
}

func BenchmarkEpochsRound(b *testing.B) {
	gw, _, _ := crowd(100_000, &asked{})
	for b.Loop() {
		devices := gw.directory.connections()
		for len(devices) > 0 {
			part := devices[:min(len(devices), sessionstore.MaxEpochs)]
			devices = devices[len(part):]
			gw.upkeep.endSpent(part)
		}
	}
}
