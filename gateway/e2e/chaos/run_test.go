package chaos

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
)

// run is one run of the whole.
type run struct {
	t        *testing.T
	settings settings
	book     *ledger
	nodes    []*node
	balancer *balancer
	backend  *backend
	fleet    *fleet
	store    *rig.RedisPair

	began    time.Time
	losses   []span               // of bus connections, for the oracle
	since    map[string]time.Time // faults under way that are such losses
	outages  []span               // of the store
	done     map[faultKind]int
	storm0   time.Time      // when the storm began
	busStops map[string]int // by command
}

func newRun(t *testing.T, s settings) *run {
	r := &run{t: t, settings: s, book: newLedger(), since: map[string]time.Time{}, done: map[faultKind]int{}, busStops: map[string]int{}, began: time.Now()}
	n := names{prefix: rig.Prefix(t)}
	var busURL string
	if s.restartBus {
		r.store = rig.StartRedisPair(t, rig.RabbitMQ)
		busURL = r.store.Services.URL(rig.RabbitMQ)
	} else {
		r.store = rig.StartRedisPair(t)
		busURL = rig.Env(t, rig.EnvRabbitMQ)
	}
	r.nodes = newNodes(t, build(t), n.prefix, busURL, "redis://"+r.store.Address(), s.profile, r.book)
	for _, n := range r.nodes {
		n.start(t)
	}
	r.balancer = startBalancer(t, r.nodes)
	r.backend = startBackend(t, busURL, n, r.book)
	r.serving(startWait)
	r.fleet = startFleet(t, s, n, r.book, r.balancer)
	rig.Within(t, startWait, "every device is connected and subscribed", r.fleet.subscribed)
	return r
}

// say prints a step with its time.
func (r *run) say(format string, args ...any) {
	r.t.Helper()
	r.t.Logf("%s %6.2fs "+format, append([]any{time.Now().Format("15:04:05.000"), time.Since(r.began).Seconds()}, args...)...)
}

// serving waits until the balancer uses all nodes.
func (r *run) serving(limit time.Duration) {
	r.t.Helper()
	rig.Within(r.t, limit, "all nodes serve", func() error {
		for _, n := range r.nodes {
			if !r.balancer.ready(n.index) {
				return fmt.Errorf("node %d is not ready", n.index)
			}
		}
		return nil
	})
}

func (r *run) load(on bool) {
	r.fleet.load(on)
	if on {
		r.backend.load(r.settings.devices, r.settings.rate)
	} else {
		r.backend.quiet()
	}
	r.book.load(on)
}

// storm carries out a schedule.
func (r *run) storm(faults []fault) {
	r.storm0 = time.Now()
	for _, f := range faults {
		r.until(r.storm0.Add(f.at))
		r.say("%s", f)
		r.done[f.kind]++
		r.note(f)
		r.carryOut(f)
	}
	r.until(r.storm0.Add(r.settings.storm))
}

// until lets time pass: the schedule is the one thing here that is about time and not about events.
func (r *run) until(when time.Time) {
	timer := time.NewTimer(time.Until(when))
	defer timer.Stop()
	<-timer.C
}

// note keeps the outages of the store. One with a fail-over is over when answers have a replica again to wait for.
func (r *run) note(f fault) {
	switch f.kind {
	case downStore, holdStore, lagStore:
		r.outages = append(r.outages, span{time.Now(), time.Now().Add(time.Hour)})
	}
}

func (r *run) carryOut(f fault) {
	nodes := r.nodes
	if f.node != everyNode {
		nodes = nodes[f.node : f.node+1]
	}
	switch f.kind {
	case lagStore:
		r.store.Lag()
		return
	case killStore:
		r.store.Kill()
		return
	case promoteStore:
		r.store.Promote()
		return
	case rejoinStore:
		r.store.Rejoin()
		r.outages[len(r.outages)-1].to = time.Now()
		return
	case freeStore:
		defer func() { r.outages[len(r.outages)-1].to = time.Now() }()
	}
	for _, n := range nodes {
		switch f.kind {
		case killNode:
			if time.Since(r.storm0) < r.settings.storm/2 { // later there is no time to wait for the Wills
				r.fleet.strike(n.index)
			}
			n.kill()
		case startNode:
			n.start(r.t)
		case pauseNode:
			r.open("pause", n)
			n.pause(r.balancer.ready(n.index))
		case resumeNode:
			n.resume()
			r.shut("pause", n)
		case cutBus:
			r.losses = append(r.losses, span{time.Now(), time.Now()})
			n.bus.cut()
		case holdBus:
			r.open("bus", n)
			n.bus.hold(true)
		case freeBus:
			n.bus.up()
			r.shut("bus", n)
		case downStore:
			n.store.down()
		case holdStore:
			n.store.hold(true)
		case freeStore:
			n.store.up()
		case moveStore:
			n.store.redirect(r.store.Address())
		}
	}
}

// open and shut note the span of a fault that may cost bus connections.
func (r *run) open(what string, n *node) {
	key := fmt.Sprint(what, n.index)
	if _, ok := r.since[key]; !ok {
		r.since[key] = time.Now()
	}
}

func (r *run) shut(what string, n *node) (was bool) {
	key := fmt.Sprint(what, n.index)
	from, was := r.since[key]
	if was {
		r.losses = append(r.losses, span{from, time.Now()})
		delete(r.since, key)
	}
	return was
}

// rollingRestart stops each node in good order and waits until its successor serves before it goes on, as a deployment does.
func (r *run) rollingRestart() {
	r.t.Helper()
	for _, n := range r.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), restartWait)
		err := n.terminate(ctx)
		cancel()
		if err != nil {
			r.t.Fatal(err)
		}
		r.balancer.forget(n.index)
		n.start(r.t)
		rig.Within(r.t, restartWait, "the successor serves", func() error {
			if !r.balancer.ready(n.index) {
				return fmt.Errorf("node %d is not ready", n.index)
			}
			return nil
		})
		r.say("SIGTERM node %d, its successor serves", n.index)
	}
}

// restartBus stops RabbitMQ itself and starts it, by these commands of scripts/services, and waits until all nodes serve again.
func (r *run) restartBus(commands ...string) {
	r.t.Helper()
	from := time.Now()
	for _, command := range commands {
		r.store.Services.Do(command, rig.RabbitMQ)
		r.busStops[command]++
	}
	r.losses = append(r.losses, span{from, time.Now()})
	r.say("RabbitMQ: %s, which took %.1fs", strings.Join(commands, " and "), time.Since(from).Seconds())
	r.serving(restartWait)
}

// mend ends all faults.
func (r *run) mend() {
	for _, n := range r.nodes {
		n.bus.up()
		n.store.up()
		r.shut("bus", n)
		if r.shut("pause", n) {
			n.resume()
		}
		if !n.running() {
			r.balancer.forget(n.index)
			n.start(r.t)
		}
	}
}

// logs prints what the nodes complained of last.
func (r *run) logs() {
	const most = 12
	for _, n := range r.nodes {
		n.mu.Lock()
		lives := slices.Clone(n.lives)
		n.mu.Unlock()
		for _, l := range lives {
			b, err := os.ReadFile(l.log)
			if err != nil {
				r.t.Error(err)
				continue
			}
			lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(line string) bool { return line == "" || strings.Contains(line, "\tINFO\t") })
			r.t.Logf("%s complained %d times (go test -artifacts keeps the whole log), at last:\n%s", l.id, len(lines), strings.Join(lines[max(0, len(lines)-most):], "\n"))
		}
	}
}
