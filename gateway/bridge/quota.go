package bridge

import (
	"time"

	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// Quota meters what a device does, for it shares what there is with others. It is asked in the middle of a Step and answers at once.
type Quota interface {
	// Publish asks for room for a message of so many bytes.
	Publish(now time.Time, bytes int) Charge
	// Answered gives back n messages that were Counted: they are not under way any more.
	Answered(n int)
	// MoreSubscriptions asks for one more than the session has.
	MoreSubscriptions(have int) *Excess
	// Subscribed says how many subscriptions the session has now.
	Subscribed(n int)
}

// Charge is what a message costs.
type Charge struct {
	Pause   time.Duration // take nothing more from the device for so long
	Refused *Excess       // nil: it may go to the bus
	Counted bool          // it is to be given back with Answered
}

// Excess is what is too much.
type Excess struct {
	Failure *failure.Failure
	Text    string        // for the device: which quota it is, and its value
	Pause   time.Duration // of a subscription: take nothing more from the device for so long
}

// meter is what a bridge knows of its device's Quota.
type meter struct {
	quota         Quota   // nil: nothing is metered
	subscriptions int     // as told last
	excess        *Excess // of the last subscription that was asked for; nil: it was granted
}

// charge asks for room for a message. What is refused has had its answer: it never reaches the bus.
func (b *Bridge) charge(now time.Time, e session.Publish, out []Effect) (counted, refused bool, _ []Effect) {
	if b.meter.quota == nil {
		return false, false, out
	}
	c := b.meter.quota.Publish(now, published(e.Packet))
	if c.Pause > 0 {
		b.tell(session.SlowDown{Until: now.Add(c.Pause)})
	}
	if c.Refused == nil {
		return c.Counted, false, out
	}
	return false, true, b.refuseUnsent(now, e, unsent{failure: c.Refused.Failure, text: c.Refused.Text}, out)
}

// published is how much a message counts, in bytes: nearly all that it takes of memory and of the bus.
func published(p *packet.Publish) int {
	n := len(p.Topic) + len(p.Payload)
	for _, u := range p.Properties.User {
		n += len(u.Key) + len(u.Value)
	}
	return n
}

// moreSubscriptions is session.Hooks.MoreSubscriptions.
func (b *Bridge) moreSubscriptions(have int) (cause string) {
	if b.meter.quota == nil {
		return ""
	}
	if b.meter.excess = b.meter.quota.MoreSubscriptions(have); b.meter.excess == nil {
		return ""
	}
	if p := b.meter.excess.Pause; p > 0 {
		// Else whoever asks without end keeps the node busy with refusals.
		b.tell(session.SlowDown{Until: b.failures.now.Add(p)})
	}
	return b.meter.excess.Failure.Name
}

// settleQuota tells the quota what the step has changed.
func (b *Bridge) settleQuota() {
	m := &b.meter
	if m.quota == nil {
		return
	}
	if b.uplink.freed > 0 {
		m.quota.Answered(b.uplink.freed)
		b.uplink.freed = 0
	}
	if n, settled := b.machine.Subscriptions(); settled && n != m.subscriptions {
		m.subscriptions = n
		m.quota.Subscribed(n)
	}
}
