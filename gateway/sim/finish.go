package sim

import (
	"errors"

	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

// finish carries out bridge.Finish as gateway/finish.go does: no event is handled after it; deliveries go back to the bus, then the session is
// released.
//
// Wills and session timers will have their place here and in a file of their own beside it, once the store keeps them.
func (sh *shell) finish(e bridge.Finish) {
	if sh.finished {
		return
	}
	sh.finished = true
	sh.inbox, sh.rx = nil, nil
	sh.timer.cancel()
	sh.conn.closeByNode()
	sh.scope.end()
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

func (sh *shell) release(e bridge.Finish) {
	if !e.Opened {
		sh.gone()
		return
	}
	sh.n.store.release(sh.fence, e.End, func(err error) {
		switch {
		case errors.Is(err, sessionstore.ErrFenced):
		case err != nil:
			sh.w.log("release %s %s: %v", sh.n.id, sh.key.ClientID, err)
		case e.End && sh.lane != nil && sh.lane.made:
			sh.n.deleteInbox(sh.lane.inbox)
		}
		sh.gone()
	})
}

func (sh *shell) gone() {
	sh.n.leave(sh)
	sh.done = true
	for _, f := range sh.whenDone {
		f()
	}
	sh.whenDone = nil
}
