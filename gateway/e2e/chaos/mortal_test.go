package chaos

import (
	"errors"
	"fmt"
	"time"

	"sluice/gateway/e2e/rig"
)

// Mortals are devices with a Will that die in the same moment as their node: neither a DISCONNECT nor the end of a connection tells anybody. Nobody
// sends to them, so that nothing is owed to the dead.

// strike lets the mortals that a node serves die with it: the end of the connection they have now is their own. To be called just before the kill.
func (f *fleet) strike(node int) (struck int) {
	for _, d := range f.mortals {
		if s := d.state.Load(); s.connected && s.node == node {
			d.last.Store(int64(s.attempt))
			struck++
		}
	}
	return struck
}

// fallen gives the mortals that are dead.
func (f *fleet) fallen() (dead []*device) {
	for _, d := range f.mortals {
		if d.dead() {
			dead = append(dead, d)
		}
	}
	return dead
}

// dead reports whether the device's last connection was the one that it died with.
func (d *device) dead() bool {
	stints := d.history()
	return len(stints) > 0 && stints[len(stints)-1].how == byDeathWithNode
}

// mourn waits until the Wills of those who died with their node are there, published by somebody else. Then each second of them comes back and must
// find its session.
func (r *run) mourn() (dead []*device) {
	r.t.Helper()
	fallen := r.fleet.fallen()
	rig.Within(r.t, mournWait, "the wills of devices that died with their node are there", func() error {
		for _, d := range fallen {
			stints := d.history()
			if r.book.willsOf(willID{d.number, stints[len(stints)-1].attempt}) == 0 {
				return fmt.Errorf("the will of device %d, which died at %s, has not come", d.number, stints[len(stints)-1].ended.Format("15:04:05.000"))
			}
		}
		return nil
	})
	var back []*device
	for i, d := range fallen {
		if i%2 == 0 {
			back = append(back, d)
		} else {
			dead = append(dead, d)
		}
	}
	r.fleet.revive(back)
	rig.Within(r.t, healWait, "who was dead is back", func() error {
		for _, d := range back {
			if s := d.state.Load(); !s.connected || s.open > 0 {
				return errors.New("somebody is not")
			}
		}
		return nil
	})
	r.say("the wills of %d devices that died with their node are there; %d are back", len(fallen), len(back))
	return dead
}

// afterDeath gives, for each device that died with its node, how long its Will took.
func afterDeath(book *ledger, mortals []*device) (took []time.Duration) {
	book.mu.Lock()
	defer book.mu.Unlock()
	for _, d := range mortals {
		for _, s := range d.history() {
			if came := book.wills[willID{d.number, s.attempt}]; s.how == byDeathWithNode && len(came) > 0 {
				took = append(took, came[0].at.Sub(s.ended))
			}
		}
	}
	return took
}
