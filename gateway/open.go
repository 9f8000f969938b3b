package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/gateway/events"
	"sluice/gateway/records"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// lowerBase32 writes binary as text that fits client identifiers, queue names and message-ids.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newClientID makes an identifier for a device that has none: 130 random bits.
func newClientID() string {
	var b [17]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "sluice-" + lowerBase32.EncodeToString(b[:])[:26]
}

// open answers session.OpenSession: it finds out who the device is, and makes this connection the owner of the session.
func (d *device) open(e session.OpenSession) {
	who, refused := d.identify(&e)
	if refused != nil {
		d.post(*refused)
		return
	}
	if refused = d.admitClient(who, &e); refused != nil {
		d.post(*refused)
		return
	}
	if refused = d.gw.rights.denyWill(who, &e); refused != nil {
		d.post(*refused)
		return
	}
	key := sessionstore.Key{Tenant: who.Tenant, Principal: who.Name, ClientID: e.ClientID}
	if refused := d.enter(key); refused != nil {
		d.post(*refused)
		return
	}
	will, err := storedWill(e.Connect.Will, who)
	if err != nil {
		d.log().Error("a bug: a will cannot be written", zap.Error(err))
		d.post(bridge.RefuseSession(failure.Internal, ""))
		return
	}
	ctx, cancel := d.within(claimWait)
	defer cancel()
	answer, err := d.gw.opt.Store.Claim(ctx, sessionstore.ClaimRequest{
		Key: key, Node: d.gw.opt.NodeID, Clean: e.Connect.CleanStart || d.offersNoSession(), Expiry: e.Expiry, Will: will, Now: time.Now(),
	})
	if err != nil {
		if !errors.Is(err, sessionstore.ErrFull) && !errors.Is(err, sessionstore.ErrInvalid) {
			d.gw.unanswered(d, key)
		}
		d.log().Warn("session not opened", zap.String("client", e.ClientID), zap.Error(err))
		d.post(bridge.RefuseSession(claimFailures(err), ""))
		return
	}
	s := &answer.Session
	if answer.Work {
		d.gw.upkeep.kick() // the end of the session that was there before
	}
	d.gw.tellClaim(key, &answer)
	fence := sessionstore.Fence{Key: key, Epoch: s.Epoch}
	d.post(claimed{
		fence:       fence,
		incarnation: s.Incarnation,
		inboxMade:   s.Inbox != "",
		groups:      s.Groups,
		opened: bridge.Opened{
			Present:         answer.Present,
			ClientID:        key.ClientID,
			State:           d.restrict(records.State(s)),
			MessageIDPrefix: messageIDPrefix(key, s.Incarnation, s.Epoch),
			Provenance:      mapping.NewProvenance(key.Tenant, key.Principal, key.ClientID, d.gw.opt.NodeID),
			Limits:          d.limits(),
			Quota:           meter{d.gw.quotas, d.place},
			Publisher:       mapping.Publisher{Tenant: key.Tenant, Principal: key.Principal, ClientID: key.ClientID, Node: d.gw.opt.NodeID},
			Access:          d.gw.rights.accessOf(d, key.ClientID),
		},
	})
	d.own(fence)
	d.endIfRevoked(d.gw.revocations.current.Load(), key.ClientID) // what came since we asked has not seen this connection
}

// restrict takes from a session what this bus cannot bring: it comes from a time when the store was used with another bus.
func (d *device) restrict(s session.State) session.State {
	if !d.listener.Session.NoInbox {
		return s
	}
	s.Subscriptions = slices.DeleteFunc(s.Subscriptions, func(sub session.Subscription) bool { return topic.IsShared(sub.Filter) })
	for i := range s.Subscriptions {
		s.Subscriptions[i].QoS = 0
	}
	s.Outbound = nil
	return s
}

// tellClaim tells the backend what a claim did to others.
func (gw *Gateway) tellClaim(key sessionstore.Key, c *sessionstore.Claimed) {
	if c.Previous != nil {
		e := about(events.SessionTakenOver, key)
		e.Previous = c.Previous.Node
		gw.events.tell(e)
	}
}

// claimFailures is what a device is told of a Claim that failed.
func claimFailures(err error) *failure.Failure {
	switch {
	case errors.Is(err, sessionstore.ErrFull):
		return failure.TooManySessions
	case errors.Is(err, sessionstore.ErrInvalid):
		return failure.Internal // the packet reader has let something pass
	}
	return failure.StoreUnavailable
}

// offersNoSession: where sessions end with their connection, one that the device has from elsewhere is not resumed only to end with this one.
func (d *device) offersNoSession() bool { return d.listener.Session.SessionExpiryMax == 0 }

// claimed is bridge.Opened with what the shell needs to know of the session.
type claimed struct {
	fence       sessionstore.Fence
	incarnation uint64
	inboxMade   bool     // the session has an inbox on the bus
	groups      []string // shared subscriptions that it is a member of, or may be
	opened      bridge.Opened
}

// displace takes the place of a connection that this node has for the session, and waits until that one handles nothing more. The epoch would
// fence it anyway; what it can still record saves the device a duplicate. Its writes are on their way to the store then, and our Claim goes
// behind them. One that waits for an answer to its own Claim is waited for as well: claims in the wrong order would give it the session.
//
// Its link to the inbox is not waited for: a bus that does not answer may keep it for long, and until it is gone the bus gives us
// nothing (amqp.Inbox.SingleActive). Nor is its Release: the store puts its Will aside until then (sessionstore.Will), as it does for one on
// another node.
func (d *device) displace(key sessionstore.Key) {
	old := d.gw.directory.enter(key, d)
	if old == nil {
		return
	}
	old.post(takenOver)
	ctx, leave := d.life.enter(d.gw.ctx)
	defer leave()
	t := time.NewTimer(takeoverWait)
	defer t.Stop()
	select {
	case <-old.quiet:
	case <-t.C:
	case <-ctx.Done():
	}
}

// own notes what we own. Word of a newer owner may have come before.
func (d *device) own(f sessionstore.Fence) {
	d.mu.Lock()
	d.owned = f
	taken := d.lostEpoch > f.Epoch
	d.mu.Unlock()
	if taken {
		d.post(takenOver)
	}
}

// fingerprint is a short name of a session that tells nothing about it.
func fingerprint(key sessionstore.Key) string {
	h := sha256.New()
	for _, part := range []string{key.Tenant, key.Principal, key.ClientID} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return lowerBase32.EncodeToString(h.Sum(nil)[:15])
}

// messageIDPrefix makes the message-ids of a connection unique: session, incarnation, epoch. A QoS 2 message keeps the id it was first given, so
// the epoch in it does no harm after a takeover.
func messageIDPrefix(key sessionstore.Key, incarnation, epoch uint64) string {
	return fingerprint(key) + "-" + strconv.FormatUint(incarnation, 36) + "-" + strconv.FormatUint(epoch, 36) + "-"
}

// inboxOf names the inbox of one incarnation of a session. A new incarnation has another inbox, so that removing the old one late takes
// nothing from the new.
func inboxOf(key sessionstore.Key, incarnation uint64) string {
	return "sluice.session." + readable(key.ClientID) + "." + fingerprint(key) + "." + strconv.FormatUint(incarnation, 36)
}

// readable keeps of a client id what a queue name may hold, for the operator's eye; the fingerprint beside it tells sessions apart.
func readable(id string) string {
	const most = 64
	if len(id) > most {
		id = id[:most]
	}
	return inboxName(id)
}

// inboxName replaces what amqp.Inbox.Name may not hold.
func inboxName(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7F && !strings.ContainsRune("/%?#\\\"'", r) {
			return r
		}
		return '_'
	}, s)
}

func shardOf(key sessionstore.Key) uint32 {
	sum := sha256.Sum256([]byte(key.Tenant + "\x00" + key.Principal + "\x00" + key.ClientID))
	return uint32(sum[0]) | uint32(sum[1])<<8 | uint32(sum[2])<<16 | uint32(sum[3])<<24
}

// sessionInbox is the inbox of a session as the bus is asked for it. Its arguments are the same for every session, since a bus
// cannot change them later: the session's own expiry is the store's business, this one is the safety net behind it.
func (gw *Gateway) sessionInbox(name string) amqp.Inbox {
	return amqp.Inbox{Name: name, Expires: gw.opt.InboxExpires, MaxLength: gw.opt.InboxLength, SingleActive: true}
}
