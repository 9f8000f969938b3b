package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// upkeep is a node's share of what no connection is there for (gateway/upkeep.go): its lease, the sessions of dead nodes, and due work.
type upkeep struct {
	n     *node
	timer *event // of the next look for work
}

func (n *node) startUpkeep() {
	u := &upkeep{n: n}
	n.upkeep = u
	n.store.keepLease(func(err error) {
		if err != nil && !errors.Is(err, sessionstore.ErrFenced) {
			n.after(time.Second, n.startUpkeep)
			return
		}
		n.started = true
		n.after(leasePause, u.keepLease)
		n.after(sweepPause, u.sweep)
		u.timer = n.after(duePause, u.work)
		n.after(epochsRound, u.compareEpochs)
	})
}

// compareEpochs ends connections whose notice was lost (gateway/epochs.go). That the watch says when notices were missed is not simulated: it makes a
// round come sooner.
func (u *upkeep) compareEpochs() {
	var owners []*shell
	var fences []sessionstore.Fence
	for _, sh := range u.n.shells {
		if sh.epoch != 0 && !sh.finished {
			owners, fences = append(owners, sh), append(fences, sessionstore.Fence{Key: sh.key, Epoch: sh.epoch})
		}
	}
	u.n.store.epochsOf(fences, func(epochs []uint64, err error) {
		if err == nil {
			for _, i := range sessionstore.Spent(fences, epochs) {
				u.n.w.log("node    %s finds that %s is another's", u.n.id, owners[i].key.ClientID)
				u.n.w.oracle.marks.spent++
				owners[i].post(takenOver)
			}
		}
		u.n.after(epochsRound, u.compareEpochs)
	})
}

func (u *upkeep) keepLease() {
	u.n.store.keepLease(func(err error) {
		if errors.Is(err, sessionstore.ErrFenced) {
			u.n.w.log("node    %s was swept", u.n.id)
			for _, sh := range append([]*shell(nil), u.n.shells...) {
				sh.post(swept)
			}
		}
		u.n.after(leasePause, u.keepLease)
	})
}

func (u *upkeep) sweep() {
	u.n.store.sweep(func(taken int, err error) {
		if err == nil && taken > 0 {
			u.kick()
			u.sweep()
			return
		}
		u.n.after(sweepPause, u.sweep)
	})
}

// kick has due work looked for at once.
func (u *upkeep) kick() {
	if u.n.started {
		u.timer.cancel()
		u.timer = u.n.after(0, u.work)
	}
}

func (u *upkeep) work() {
	u.n.store.due(func(pieces []sessionstore.Work) {
		for _, w := range pieces {
			u.do(w)
		}
		u.timer.cancel()
		u.timer = u.n.after(duePause, u.work)
	})
}

// do publishes the Will, removes the inbox, and says that it is done. What fails comes again when the worker's claim is over.
func (u *upkeep) do(w sessionstore.Work) {
	n := u.n
	until := n.w.now.Add(workWait)
	finish := func() { n.store.finish(w) }
	dissolve := func() { n.dissolve(w, until, finish) }
	removeInbox := func() {
		if w.Inbox == "" {
			dissolve()
			return
		}
		r := &retrying{n: n, until: until}
		r.run(func(done func(error)) { n.bus.deleteInbox(w.Inbox, done) }, func(err error) {
			if err == nil {
				dissolve()
			}
		})
	}
	if w.Will == nil {
		removeInbox()
		return
	}
	n.publishWill(w, until, removeInbox)
}

// publishWill publishes under a message-id that is the same whoever does it (gateway/will.go).
func (n *node) publishWill(w sessionstore.Work, until time.Time, then func()) {
	p := readWill(w.Will)
	m, _ := mapping.Uplink(mapping.UplinkMessage{
		Publish: p, From: mapping.NewProvenance(w.Key.Tenant, w.Key.Principal, w.Key.ClientID, n.id),
		MessageID: messageIDPrefix(w.Key.ClientID, w.Incarnation, w.Epoch) + "will", Received: n.w.now, PossibleDuplicate: w.Again,
	})
	pause := retryFirst
	var attempt func()
	attempt = func() {
		if n.w.now.After(until) {
			return
		}
		n.bus.publish(m, p.QoS == 0, func(o message.Outcome) {
			switch mapping.Classify(o, mapping.OutcomeRule{}).Class {
			case mapping.Success, mapping.Refused:
				then()
				return
			}
			if o.Kind == message.Lost {
				mapping.MarkPossibleDuplicate(m)
			}
			n.after(pause, attempt)
			pause = min(2*pause, retryMax)
		})
	}
	attempt()
}

func messageIDPrefix(clientID string, incarnation, epoch uint64) string {
	return fmt.Sprintf("%s-%s-%s-", clientID, strconv.FormatUint(incarnation, 36), strconv.FormatUint(epoch, 36))
}

// storedWill is the Will as the store keeps it. Its form is the gateway's business, and not simulated.
func storedWill(w *packet.Will) *sessionstore.Will {
	if w == nil {
		return nil
	}
	return &sessionstore.Will{Delay: w.Properties.WillDelay, Message: fmt.Appendf(nil, "%d %s %s", w.QoS, w.Topic, w.Payload)}
}

func readWill(w *sessionstore.Will) *packet.Publish {
	p := &packet.Publish{}
	var key string
	if _, err := fmt.Sscanf(string(w.Message), "%d %s %s", &p.QoS, &p.Topic, &key); err != nil {
		panic(err)
	}
	p.Payload = []byte(key)
	return p
}
