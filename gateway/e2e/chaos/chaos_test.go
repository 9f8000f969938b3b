package chaos

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
)

// TestChaos is the whole run; see doc.go.
func TestChaos(t *testing.T) {
	s := readSettings(t)
	schedule := plan(s.seed, s.storm, s.kills, s.failovers)
	t.Logf("%+v\nto repeat the weather: CHAOS_SEED=%d", s, s.seed)
	r := newRun(t, s)
	defer func() {
		if t.Failed() {
			r.logs()
			r.traces(t)
		}
	}()
	r.say("%d nodes serve %d devices", nodeCount, s.devices)
	r.load(true)
	r.storm(schedule)
	r.mend()
	r.serving(restartWait)
	r.say("the storm is over; rolling restart")
	r.rollingRestart()
	if s.restartBus {
		r.restartBus("restart")
		r.restartBus("kill", "start")
	}
	r.heal()
	dead := slices.Concat(r.bury(), r.mourn())
	r.fleet.endSessions(t, dead...)
	r.nothingLeft()
	f := r.book.judge(r.losses)
	c := judgeStints(r.book, r.fleet.all(), r.nodes, r.outages)
	serve := serveAgain(r.fleet.all(), r.nodes)
	takeovers := r.calmTakeovers(c)
	t.Logf("the run in figures\n%s", r.table(f, c, serve, takeovers))
	for _, slow := range c.takeovers {
		if slow.took > takeoverMax && !slow.during(r.outages) {
			t.Logf("slow takeover: %v", slow)
		}
	}
	for _, text := range r.book.violations() {
		t.Error(text)
	}
	r.enough(f, serve, takeovers)
}

// heal ends the load and waits until everything outstanding is done: progress, once the faults are over. Then each stream gets one more message.
// Since all queues on the way keep their order, whatever was to come again has come before that.
func (r *run) heal() {
	r.t.Helper()
	r.load(false)
	began := time.Now()
	rig.Within(r.t, healWait, "everything outstanding is done", r.settled)
	r.say("all is done %.1fs after the last message was sent", time.Since(began).Seconds())
	living := r.fleet.alive()
	r.fleet.tell(publishOnce, living...)
	for i := range r.fleet.devices {
		r.backend.send(i, 1)
		r.backend.send(i, 2)
	}
	rig.Within(r.t, healWait, "the last messages are there", func() error {
		for _, d := range living {
			if len(d.commands) > 0 {
				return errors.New("a device has not published its last messages")
			}
		}
		return r.settled()
	})
}

// settled gives nil when nothing is under way.
func (r *run) settled() error {
	if n := r.book.unanswered(); n > 0 {
		return fmt.Errorf("the bus owes %d outcomes", n)
	}
	if owed := r.book.outstanding(); len(owed) > 0 {
		return fmt.Errorf("%d messages that were acknowledged have not arrived, such as %v; %w", len(owed), slices.MinFunc(owed, compareIdentities), orWell(r.fleet.idle()))
	}
	return r.fleet.idle()
}

func orWell(err error) error {
	if err == nil {
		return errors.New("the devices are idle")
	}
	return err
}

// bury lets half of the devices with a Will die while their node lives, and waits for their Wills. Those who die with their node have done so in
// the storm: see mortal_test.go.
func (r *run) bury() (dead []*device) {
	r.t.Helper()
	for _, d := range r.fleet.devices {
		if _, has := d.willDelay(); has && d.number%3 != 0 {
			dead = append(dead, d)
		}
	}
	r.fleet.tell(die, dead...)
	rig.Within(r.t, willWait, "the wills of dead devices are there", func() error {
		for _, d := range dead {
			stints := d.history()
			if len(stints) == 0 || stints[len(stints)-1].how != byDeath {
				return fmt.Errorf("device %d has not died yet", d.number)
			}
			if r.book.willsOf(willID{d.number, stints[len(stints)-1].attempt}) == 0 {
				return fmt.Errorf("the will of device %d has not come", d.number)
			}
		}
		return nil
	})
	r.say("%d devices died, their wills are there", len(dead))
	return dead
}

// nothingLeft checks that the ended sessions have left no queue on the bus.
func (r *run) nothingLeft() {
	r.t.Helper()
	for _, d := range r.fleet.all() {
		rig.Eventually(r.t, "the inboxes of ended sessions are gone", func() error { return r.backend.nobody(rig.Context(r.t), d.number) })
	}
}

// enough fails a run that proved nothing, with too little traffic or faults that nobody noticed, and one that was too slow.
func (r *run) enough(f figures, serve, takeovers []time.Duration) {
	r.t.Helper()
	least := r.settings.rate * int(r.settings.storm/time.Second) / 8 // each way; half of it is intended, and nodes are missing
	if f.arrivedUp < least || f.arrivedDown < least {
		r.t.Errorf("only %d messages up and %d down arrived: that is no load", f.arrivedUp, f.arrivedDown)
	}
	if r.done[killNode] != r.settings.kills || (r.settings.kills > 0 && len(serve) == 0) {
		r.t.Errorf("%d of %d kills were carried out, %d devices noticed", r.done[killNode], r.settings.kills, len(serve))
	}
	if r.done[promoteStore] != r.settings.failovers {
		r.t.Errorf("%d of %d fail-overs were carried out", r.done[promoteStore], r.settings.failovers)
	}
	if fallen := len(afterDeath(r.book, r.fleet.mortals)); r.settings.kills > 1 && fallen == 0 {
		r.t.Error("no device died with its node")
	}
	limit := takeoverMax
	if !r.settings.alone {
		limit = crowdedMax
	}
	if half := quantile(serve, 0.5); half > limit {
		r.t.Errorf("half of the devices were without a node for more than %v after a kill", half)
	}
	if most := quantile(takeovers, 0.99); most > limit {
		r.t.Errorf("one takeover in a hundred took more than %v, longer than %v", most, limit)
	}
}
