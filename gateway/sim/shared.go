package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// sharedLane is a member's receiver on the inbox of its group (gateway/sharedlane.go).
type sharedLane struct {
	sh          *shell
	group       sessionstore.Group
	incarnation uint64 // of the group
	inbox       string
	receiver    *receiver
	losses      int // of the link
}

// receiver gives the lane's link by its name, nil when there is none.
func (sh *shell) receiver(lane string) *receiver {
	if lane == "" {
		if sh.lane == nil {
			return nil
		}
		return sh.lane.receiver
	}
	if l := sh.sharedLane(lane); l != nil {
		return l.receiver
	}
	return nil
}

func (sh *shell) receivers() (all []*receiver) {
	if sh.lane != nil && sh.lane.receiver != nil {
		all = append(all, sh.lane.receiver)
	}
	for _, l := range sh.shared {
		all = append(all, l.receiver)
	}
	return all
}

func (sh *shell) sharedLane(filter string) *sharedLane {
	for _, l := range sh.shared {
		if l.group.Filter == filter {
			return l
		}
	}
	return nil
}

func (sh *shell) groupOf(filter string) sessionstore.Group {
	return sessionstore.Group{Tenant: sh.key.Tenant, Filter: filter}
}

// groupInbox names the inbox of one incarnation of a group.
func groupInbox(filter string, incarnation uint64) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(filter, "$share/"), "/")
	return fmt.Sprintf("shared.%s.%d", name, incarnation)
}

// joinGroups joins one group after the other; the worst result counts.
func (sh *shell) joinGroups(groups []bridge.Shared, result *bridge.LanesChanged, then func()) {
	if len(groups) == 0 {
		then()
		return
	}
	sh.retry(func(done func(error)) { sh.joinShared(groups[0], done) }, func(err error) {
		result.Shared = max(result.Shared, laneResult(err))
		sh.joinGroups(groups[1:], result, then)
	})
}

func (sh *shell) leaveGroups(filters []string, result *bridge.LanesChanged, then func()) {
	if len(filters) == 0 {
		then()
		return
	}
	sh.retry(func(done func(error)) { sh.leaveShared(filters[0], done) }, func(err error) {
		result.Shared = max(result.Shared, laneResult(err))
		sh.leaveGroups(filters[1:], result, then)
	})
}

// joinShared makes the session a member, makes the group's inbox and attaches to it.
func (sh *shell) joinShared(s bridge.Shared, done func(error)) {
	join := func(err error) {
		if err != nil || sh.scope.ended || sh.sharedLane(s.Filter) != nil {
			done(err)
			return
		}
		g := sh.groupOf(s.Filter)
		sh.n.store.join(g, sh.fence, func(incarnation uint64, err error) {
			if err != nil || sh.scope.ended {
				done(err)
				return
			}
			l := &sharedLane{sh: sh, group: g, incarnation: incarnation, inbox: groupInbox(g.Filter, incarnation)}
			l.make(func(err error) {
				if err == nil && !sh.scope.ended {
					sh.shared = append(sh.shared, l)
					l.receiver = sh.n.bus.attach(l.inbox, 0, l.prepare, l)
				}
				done(err)
			})
		})
	}
	if s.Inbox {
		sh.joinSession(nil, join)
		return
	}
	join(nil)
}

func (l *sharedLane) make(done func(error)) {
	bus := l.sh.n.bus
	bus.ensureInbox(amqp.Inbox{Name: l.inbox}, func(err error) {
		if err != nil {
			done(err)
			return
		}
		_, filter, _ := topic.Shared(l.group.Filter)
		bus.subscribe(l.inbox, []string{mapping.RabbitMQ.Pattern(filter)}, done)
	})
}

// prepare makes the inbox again if the group is still the one that was joined.
func (l *sharedLane) prepare(done func(error)) {
	l.sh.n.store.join(l.group, l.sh.fence, func(incarnation uint64, err error) {
		switch {
		case err != nil:
			done(err)
		case incarnation != l.incarnation:
			done(errGroupOver)
		default:
			l.make(done)
		}
	})
}

var (
	errGroupOver = errors.New("the group has begun anew")
	groupOver    = bridge.CloseFor(failure.GroupAnew)
)

func (l *sharedLane) attached() {
	l.sh.watch.refused = nil
	l.sh.post(session.LaneAttached{Lane: l.group.Filter})
}

func (l *sharedLane) detached(err error) bool {
	l.losses++
	l.sh.post(session.LaneDetached{Lane: l.group.Filter})
	switch {
	case errors.Is(err, sessionstore.ErrFenced):
		l.sh.post(takenOver)
		return false
	case errors.Is(err, errGroupOver):
		l.sh.post(groupOver)
		return false
	}
	return true
}

func (l *sharedLane) delivered(tag uint64, m *message.Message, redelivered bool) {
	l.sh.post(bridge.DeliveryArrived{Lane: l.group.Filter, Tag: tag, Message: m, Redelivered: redelivered})
}

// leaveShared closes the lane, for as long as the bus takes up to closeWait, and ends the membership.
func (sh *shell) leaveShared(filter string, done func(error)) {
	leave := func() {
		sh.n.store.leave(sh.groupOf(filter), sh.fence, func(work bool, err error) {
			if work {
				sh.n.upkeep.kick()
			}
			done(err)
		})
	}
	l := sh.sharedLane(filter)
	if l == nil {
		leave()
		return
	}
	waiting := true
	closed := func() {
		if !waiting {
			return
		}
		waiting = false
		sh.shared = slices.DeleteFunc(sh.shared, func(other *sharedLane) bool { return other == l })
		sh.post(session.LaneDetached{Lane: filter})
		leave()
	}
	sh.n.after(closeWait, closed)
	l.receiver.close(closed)
}

// leaveOrphaned leaves groups that the session is a member of without a subscription.
func (sh *shell) leaveOrphaned(groups []string, state session.State) {
	for _, filter := range groups {
		if slices.ContainsFunc(state.Subscriptions, func(s session.Subscription) bool { return s.Filter == filter }) {
			continue
		}
		sh.ops.add(func(done func()) {
			sh.retry(func(done func(error)) { sh.leaveShared(filter, done) }, func(error) { done() })
		})
	}
}

// handOver moves a QoS 2 message of a group into the inbox of the session that has begun with it.
func (sh *shell) handOver(e bridge.HandOver) {
	l := sh.sharedLane(e.Lane)
	if l == nil {
		sh.post(bridge.HandedOver{Delivery: e.Delivery})
		return
	}
	losses, elsewhere := l.losses, false
	sh.retry(func(done func(error)) {
		if sh.sharedLane(e.Lane) != l || l.losses != losses {
			done(errLaneLost)
			return
		}
		sh.tryHandOver(l, e, func(another bool, err error) {
			elsewhere = another
			done(err)
		})
	}, func(err error) {
		sh.post(bridge.HandedOver{Delivery: e.Delivery, OK: err == nil, Elsewhere: elsewhere})
	})
}

var errLaneLost = errors.New("the lane was lost")

func (sh *shell) tryHandOver(l *sharedLane, e bridge.HandOver, done func(elsewhere bool, err error)) {
	self := sessionstore.Member{Key: sh.key, Incarnation: sh.incarnation}
	if !mapping.Unique(e.Identity) {
		sh.sendCopy(e, self, false, done)
		return
	}
	sh.n.store.take(l.group, l.incarnation, e.Identity, self, func(taker sessionstore.Member, err error) {
		if err != nil {
			done(false, err)
			return
		}
		if taker != self {
			sh.w.oracle.marks.elsewhere++
		}
		sh.sendCopy(e, taker, taker != self, done)
	})
}

func (sh *shell) sendCopy(e bridge.HandOver, taker sessionstore.Member, elsewhere bool, done func(bool, error)) {
	to := mapping.RabbitMQ.ToQueue(inboxOf(taker.Key.ClientID, taker.Incarnation))
	sh.n.bus.publish(mapping.HandOver(e.Message, mapping.RabbitMQ, e.Topic, to, e.Lane), false, func(o message.Outcome) {
		switch {
		case o.Kind == message.Accepted, o.Kind == message.Released && elsewhere:
			done(elsewhere, nil)
		default:
			done(elsewhere, amqp.ErrUnavailable)
		}
	})
}

// dissolve does what an ended session, or an ended group, leaves of shared subscriptions.
func (n *node) dissolve(w sessionstore.Work, until time.Time, then func()) {
	if len(w.Groups) > 0 {
		g := sessionstore.Group{Tenant: w.Key.Tenant, Filter: w.Groups[0]}
		n.store.leave(g, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}, func(work bool, err error) {
			if err != nil {
				return // the piece comes again
			}
			if work {
				n.upkeep.kick()
			}
			w.Groups = w.Groups[1:]
			n.dissolve(w, until, then)
		})
		return
	}
	if w.Group == nil {
		then()
		return
	}
	r := &retrying{n: n, until: until}
	r.run(func(done func(error)) { n.bus.deleteInbox(groupInbox(w.Group.Filter, w.Incarnation), done) }, func(err error) {
		if err == nil {
			then()
		}
	})
}
