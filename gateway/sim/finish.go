package sim

import (
	"errors"

	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

// finish carries out bridge.Finish as gateway/finish.go does: no event is handled after it; the session is released while deliveries go back to the
// bus.
func (sh *shell) finish(e bridge.Finish) {
	if sh.finished {
		return
	}
	sh.finished = true
	sh.inbox, sh.rx = nil, nil
	sh.timer.cancel()
	sh.conn.closeByNode()
	sh.scope.end()
	for _, f := range sh.whenQuiet {
		f()
	}
	sh.whenQuiet = nil
	late := sh.ops.running
	taken := false
	both := 2
	then := func() {
		if both--; both > 0 {
			return
		}
		if e.Opened && (taken || e.End && late) {
			sh.removeStray()
		}
		sh.n.leave(sh)
	}
	sh.release(e, func(ours bool) {
		taken = !ours
		then()
	})
	sh.ops.wait(func() { sh.feeds.wait(func() { sh.leaveLanes(then) }) })
}

func (sh *shell) leaveLanes(then func()) {
	sh.n.lane.remove(sh, sh.filters)
	links := sh.receivers()
	waiting := len(links)
	if waiting == 0 {
		then()
		return
	}
	closed := func() {
		if waiting--; waiting == 0 {
			then()
		}
	}
	sh.n.after(closeWait, func() {
		if waiting > 0 {
			waiting = 0
			then()
		}
	})
	for _, r := range links {
		r.close(closed)
	}
}

// release ends the ownership. The Will to publish and the inbox to remove are with the store from here on, as work for any node.
func (sh *shell) release(e bridge.Finish, then func(ours bool)) {
	if !e.Opened {
		then(true)
		return
	}
	fate := sessionstore.WillDropped
	if e.KeepWill {
		fate = sessionstore.WillKept
	}
	sh.n.store.release(sh, e.End, fate, func(work bool, err error) {
		if work {
			sh.n.upkeep.kick()
		}
		if err != nil && !errors.Is(err, sessionstore.ErrFenced) {
			sh.w.log("release %s %s: %v", sh.n.id, sh.key.ClientID, err)
		}
		then(!errors.Is(err, sessionstore.ErrFenced))
	})
}

// removeStray removes an inbox that was made after its session had ended.
func (sh *shell) removeStray() {
	l, n := sh.lane, sh.n
	if l == nil || !l.made {
		return
	}
	n.store.get(sh.key, grace, func(s sessionstore.Session, err error) {
		if err == nil && s.Incarnation == sh.incarnation || err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
			return
		}
		r := &retrying{n: n, until: n.w.now.Add(grace)}
		r.run(func(done func(error)) { n.bus.deleteInbox(l.inbox, done) }, func(error) {})
	})
}
