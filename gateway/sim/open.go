package sim

import (
	"strconv"

	"sluice/gateway/bridge"
	"sluice/gateway/records"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

func keyOf(clientID string) sessionstore.Key {
	return sessionstore.Key{Tenant: "default", Principal: "anonymous", ClientID: clientID}
}

// claimed is bridge.Opened with what the shell needs to know of the session.
type claimed struct {
	fence       sessionstore.Fence
	incarnation uint64
	lane        *sessionLane
	groups      []string
	opened      bridge.Opened
}

// open answers session.OpenSession as gateway/open.go does: displace, claim, own.
func (sh *shell) open(e session.OpenSession) {
	sh.key = keyOf(e.ClientID)
	old := sh.n.enter(sh.key, sh)
	if old == nil {
		sh.claim(e)
		return
	}
	waiting := true
	goOn := func() {
		if waiting {
			waiting = false
			sh.claim(e)
		}
	}
	if old.finished {
		goOn()
		return
	}
	old.whenQuiet = append(old.whenQuiet, goOn)
	sh.n.after(takeoverWait, goOn)
	old.post(takenOver)
}

func (sh *shell) claim(e session.OpenSession) {
	req := sessionstore.ClaimRequest{
		Key: sh.key, Node: sh.n.life, Clean: e.Connect.CleanStart, Expiry: e.Expiry, Will: storedWill(e.Connect.Will), Now: sh.w.now,
	}
	if w := e.Connect.Will; w != nil {
		sh.will = string(w.Payload)
	}
	late := func() bool { return sh.conn.d.persistent && sh.conn.d.conn != sh.conn }
	sh.n.store.claim(req, late, func(answer sessionstore.Claimed, err error) {
		if err != nil {
			sh.w.log("claim   %s %s: %v", sh.n.id, e.ClientID, err)
			sh.post(bridge.RefuseSession(failure.StoreUnavailable, ""))
			return
		}
		sh.w.log("claim   %s %s: epoch %d, incarnation %d, present %t", sh.n.id, e.ClientID, answer.Session.Epoch, answer.Session.Incarnation, answer.Present)
		sh.claimed(&answer)
	})
}

func (sh *shell) claimed(answer *sessionstore.Claimed) {
	s, key := &answer.Session, sh.key
	if answer.Work {
		sh.n.upkeep.kick()
	}
	sh.resumesFrom(s)
	sh.post(claimed{
		fence:       sessionstore.Fence{Key: key, Epoch: s.Epoch},
		incarnation: s.Incarnation,
		groups:      s.Groups,
		lane:        &sessionLane{sh: sh, inbox: inboxOf(key.ClientID, s.Incarnation), made: s.Inbox != ""},
		opened: bridge.Opened{
			Present:         answer.Present,
			State:           records.State(s),
			MessageIDPrefix: messageIDPrefix(key.ClientID, s.Incarnation, s.Epoch),
			Provenance:      mapping.NewProvenance(key.Tenant, key.Principal, key.ClientID, sh.n.id),
			Publisher:       mapping.Publisher{Tenant: key.Tenant, Principal: key.Principal, ClientID: key.ClientID, Node: sh.n.id},
		},
	})
	sh.epoch = s.Epoch
	if sh.lostEpoch > sh.epoch {
		sh.post(takenOver)
	}
}

func inboxOf(clientID string, incarnation uint64) string {
	return "session." + clientID + "." + strconv.FormatUint(incarnation, 36)
}
