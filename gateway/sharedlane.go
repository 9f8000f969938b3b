package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// sharedLane is a member's lane of a shared subscription (MQTT 5, 4.8.2): the group has one inbox on the bus, and each member connection a
// receiver of its own on it. The bus shares the messages out by credit.
type sharedLane struct {
	lane
	group       sessionstore.Group
	incarnation uint64 // of the group
	inbox       string
}

// joinShared makes the session a member of the group and attaches to the group's inbox. The store notes the membership in the session's record, so that
// a session that ends leaves its groups, whoever sees to that.
func (d *device) joinShared(ctx context.Context, s bridge.Shared) error {
	if s.Inbox {
		// Messages of QoS 2 are handed over to the session's own inbox.
		if err := d.joinSession(ctx, nil); err != nil {
			return err
		}
	}
	if d.lanes.sharedLane(s.Filter) != nil {
		return nil
	}
	g := sessionstore.Group{Tenant: d.fence.Key.Tenant, Filter: s.Filter}
	incarnation, err := d.gw.opt.Store.Join(ctx, g, d.fence)
	if err != nil {
		return err
	}
	l := &sharedLane{lane: lane{d: d, name: s.Filter}, group: g, incarnation: incarnation, inbox: groupInbox(g, incarnation)}
	if err := l.make(ctx); err != nil {
		return err
	}
	d.lanes.share(l)
	l.attach(l.inbox, l.prepare)
	return nil
}

func (l *sharedLane) make(ctx context.Context) error {
	gw := l.d.gw
	inbox := amqp.Inbox{Name: l.inbox, Expires: gw.opt.InboxExpires, MaxLength: gw.opt.InboxLength}
	if err := gw.opt.Bus.EnsureInbox(ctx, inbox); err != nil {
		return err
	}
	return gw.bind(ctx, l.inbox, gw.bindings([]string{l.topics()}))
}

// topics is the group's filter without its share name.
func (l *sharedLane) topics() string {
	_, filter, _ := topic.Shared(l.group.Filter)
	return filter
}

// prepare makes the group's inbox again, if it still is the group's: the bus has lost it, or the group ended with the last membership and this one
// is not there any more.
func (l *sharedLane) prepare(ctx context.Context) error {
	incarnation, err := l.d.gw.opt.Store.Join(ctx, l.group, l.d.fence)
	if err != nil {
		return err
	}
	if incarnation != l.incarnation {
		return errGroupOver
	}
	l.d.log().Warn("the bus had no inbox for this group; it is made again, what it held is gone", zap.String("inbox", l.inbox))
	return l.make(ctx)
}

// errGroupOver: the group has ended, and begun anew; its inbox is another one now.
var errGroupOver = errors.New("the group of the shared subscription has begun anew")

// groupOver ends a connection that would otherwise wait on an inbox that is no more. The next one joins the new group.
var groupOver = bridge.CloseFor(failure.GroupAnew)

// leaveShared ends the membership: what the device has not acknowledged goes back to the group; with the last member the group ends.
func (d *device) leaveShared(ctx context.Context, filter string) error {
	if l := d.lanes.sharedLane(filter); l != nil {
		closing, cancel := context.WithTimeout(ctx, closeWait)
		err := l.close(closing)
		cancel()
		if err != nil {
			d.log().Debug("shared lane not closed in time", zap.String("lane", filter), zap.Error(err))
		}
		d.lanes.unshare(filter)
		d.post(session.LaneDetached{Lane: filter})
	}
	g := sessionstore.Group{Tenant: d.fence.Key.Tenant, Filter: filter}
	work, err := d.gw.opt.Store.Leave(ctx, g, d.fence)
	if work {
		d.gw.upkeep.kick()
	}
	return err
}

// leaveOrphaned leaves groups that the session is a member of without a subscription: its last owner died between the two.
func (d *device) leaveOrphaned(groups []string, state session.State) {
	for _, filter := range groups {
		if slices.ContainsFunc(state.Subscriptions, func(s session.Subscription) bool { return s.Filter == filter }) {
			continue
		}
		d.laneOps.add(func() {
			if err := d.retry(func(ctx context.Context) error { return d.leaveShared(ctx, filter) }); err != nil {
				d.log().Warn("a group of a shared subscription was not left; the end of the session does", zap.String("filter", filter), zap.Error(err))
			}
		})
	}
}

// handOver moves a QoS 2 message of a group into the inbox of the member that has it for good [MQTT-4.8.2-4]: this session, unless the message has come
// before and another one took it. When that one's session has ended since, the message ends with it [MQTT-4.8.2-5].
//
// The note of who has it is there before the copy, and the copy before the settlement. So if a node dies anywhere in between, the message comes
// again, to whichever member, and goes to the same inbox; whoever has it there knows it by its message-id.
//
// When the lane is lost meanwhile, the group has the message back, and what becomes of it is the business of whoever gets it next. Trying on here would
// bring its taker copies late, perhaps after it has forgotten that it had the message.
func (d *device) handOver(e bridge.HandOver) {
	l := d.lanes.sharedLane(e.Lane)
	if l == nil {
		d.post(bridge.HandedOver{Delivery: e.Delivery})
		return
	}
	losses := l.losses.Load()
	go func() { // at most as many as the machine gave credit for
		ctx, cancel := d.within(d.gw.opt.Bridge.Grace)
		defer cancel()
		var elsewhere, again bool
		err := retryUntil(ctx, func(ctx context.Context) (err error) {
			if d.lanes.sharedLane(e.Lane) != l || l.losses.Load() != losses {
				return errLaneLost
			}
			elsewhere, err = d.tryHandOver(ctx, l, e, again)
			again = true
			return err
		})
		if err != nil && !d.ended() && !errors.Is(err, errLaneLost) {
			d.log().Warn("a message of a shared subscription could not be handed over; it goes back to the group", zap.String("filter", e.Lane), zap.Error(err))
		}
		d.post(bridge.HandedOver{Delivery: e.Delivery, OK: err == nil, Elsewhere: elsewhere})
	}()
}

// errLaneLost: the group has the message back.
var errLaneLost = errors.New("the lane was lost, or left, while a message of it was handed over")

func (d *device) tryHandOver(ctx context.Context, l *sharedLane, e bridge.HandOver, again bool) (elsewhere bool, err error) {
	self := sessionstore.Member{Key: d.fence.Key, Incarnation: d.incarnation}
	taker := self
	if mapping.Unique(e.Identity) {
		if taker, err = d.gw.opt.Store.Take(ctx, l.group, l.incarnation, e.Identity, self); err != nil {
			return false, err
		}
	}
	elsewhere = taker != self
	to := d.gw.opt.Bus.InboxAddress(inboxOf(taker.Key, taker.Incarnation))
	copied := mapping.HandOver(e.Message, d.gw.opt.Bridge.Dialect, e.Topic, to, e.Lane)
	if elsewhere || again {
		mapping.MarkPossibleDuplicate(copied)
	}
	o, err := d.gw.publishAndWait(ctx, d.shard, copied, false)
	switch {
	case err != nil:
		return elsewhere, err
	case o.Kind == message.Accepted:
		return elsewhere, nil
	case o.Kind == message.Released && elsewhere:
		return true, nil // its session is over, and so is the message
	}
	return elsewhere, errors.Join(amqp.ErrUnavailable, outcomeError(o))
}

// groupInbox names the inbox of one incarnation of a group. A later one has another inbox, so that removing the old one late takes nothing from
// it.
func groupInbox(g sessionstore.Group, incarnation uint64) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(g.Filter, "$share/"), "/")
	return "sluice.shared." + readable(name) + "." + fingerprint(sessionstore.Key{Tenant: g.Tenant, ClientID: g.Filter}) + "." + strconv.FormatUint(incarnation, 36)
}

// dissolve does what an ended session, or an ended group, leaves of shared subscriptions.
func (gw *Gateway) dissolve(ctx context.Context, w sessionstore.Work) error {
	for _, filter := range w.Groups {
		g := sessionstore.Group{Tenant: w.Key.Tenant, Filter: filter}
		work, err := gw.opt.Store.Leave(ctx, g, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch})
		if err != nil {
			return err
		}
		if work {
			gw.upkeep.kick()
		}
	}
	if w.Group == nil {
		return nil
	}
	inbox := groupInbox(*w.Group, w.Incarnation)
	return retryUntil(ctx, func(ctx context.Context) error { return gw.opt.Bus.DeleteInbox(ctx, inbox) })
}
