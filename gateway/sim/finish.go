package sim

import (
	"errors"

	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

// finish carries out bridge.Finish as gateway/finish.go does: no event is handled after it; deliveries go back to the bus, then the session is
// released.
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
	sh.ops.wait(func() { sh.leaveLanes(func() { sh.release(e) }) })
}

func (sh *shell) leaveLanes(then func()) {
	sh.n.lane.remove(sh, sh.filters)
	if sh.lane == nil || sh.lane.receiver == nil {
		then()
		return
	}
	waiting := true
	goOn := func() {
		if waiting {
			waiting = false
			then()
		}
	}
	sh.n.after(closeWait, goOn)
	sh.lane.receiver.close(goOn)
}

// release ends the ownership. The Will to publish and the inbox to remove are with the store from here on, as work for any node.
func (sh *shell) release(e bridge.Finish) {
	if !e.Opened {
		sh.gone()
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
		switch {
		case errors.Is(err, sessionstore.ErrFenced):
			sh.removeStray()
		case err != nil:
			sh.w.log("release %s %s: %v", sh.n.id, sh.key.ClientID, err)
		}
		sh.gone()
	})
}

// removeStray removes an inbox that was made after its session had ended.
func (sh *shell) removeStray() {
	l, n := sh.lane, sh.n
	if l == nil || !l.made {
		return
	}
	n.store.get(sh.key, grace, func(s sessionstore.Session, err error) {
		if err == nil && s.Inbox == l.inbox || err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
			return
		}
		r := &retrying{n: n, until: n.w.now.Add(grace)}
		r.run(func(done func(error)) { n.bus.deleteInbox(l.inbox, done) }, func(error) {})
	})
}

func (sh *shell) gone() {
	sh.n.leave(sh)
}
