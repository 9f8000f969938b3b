package sim

import (
	"time"

	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// will is the Will of one connection, and what is known of its fate.
type will struct {
	*record
	delay     time.Duration
	expiry    uint32    // of the session, in seconds
	dropped   bool      // released with the word that it is not to be published
	owed      bool      // released with the word that it is
	dueAt     time.Time // when owed
	cancelled bool      // the device was back before that
	ended     bool      // its session was ended by a clean start: it is due at once
	spoken    bool      // its owner has said what becomes of it, in time or too late; nobody else may but a sweep
	grace     time.Time // until when a device of a dead node cancels it by coming back; zero when its owner released it
}

// handed is a piece of work that a worker has.
type handed struct {
	at   time.Time
	done bool
}

// bequeaths: the device sends a Will with its CONNECT.
func (o *oracle) bequeaths(d *device, w *packet.Will) {
	key := string(w.Payload)
	r := &record{appMessage: &appMessage{key: key, topic: w.Topic, qos: w.QoS}, publisher: d}
	o.records[key] = r
	o.wills[key] = &will{record: r, delay: time.Duration(w.Properties.WillDelay) * time.Second}
	o.willOrder = append(o.willOrder, o.wills[key])
}

// released: the store has the word of an owner, in time.
func (o *oracle) released(sh *shell, fate sessionstore.WillFate) {
	w := o.wills[sh.will]
	if w == nil || w.owed || w.dropped {
		return
	}
	w.dropped = fate == sessionstore.WillDropped
	w.owed = !w.dropped
	w.dueAt = o.w.now.Add(w.delay)
}

// claimed: the Will of a CONNECT is with the store, and its connection owns the session.
func (o *oracle) claimed(req sessionstore.ClaimRequest) {
	delete(o.standing, req.Key)
	if req.Will != nil {
		w := o.wills[string(readWill(req.Will).Payload)]
		w.expiry = req.Expiry
		o.standing[req.Key] = w
	}
}

// speaks: the word of an owner has come to the store, whatever it is worth.
func (o *oracle) speaks(sh *shell) {
	if w := o.wills[sh.will]; w != nil {
		w.spoken = true
	}
}

// swept: the owner of a session is dead. Its Will has to be published, unless the device comes back within the grace, whether its session goes on
// or not, or before the Will's delay is over.
func (o *oracle) swept(key sessionstore.Key) {
	w := o.standing[key]
	delete(o.standing, key)
	if w == nil || w.owed || w.dropped {
		return
	}
	o.marks.sweptWills++
	w.owed, w.spoken, w.grace = true, true, o.w.now.Add(sessionstore.WillGrace)
	w.dueAt = sessionstore.Will{Delay: uint32(w.delay / time.Second)}.DueAt(o.w.now, w.expiry)
	if w.dueAt.Before(w.grace) {
		w.dueAt = w.grace
	}
}

// returns: a claim goes on with the session. Wills that were not due yet are never published [MQTT-3.1.3-9].
func (o *oracle) returns(d *device) {
	for _, w := range o.willOrder {
		if w.publisher == d && w.owed && !w.arrived && !w.ended && o.w.now.Before(w.dueAt) {
			w.cancelled = true
		}
	}
}

// ends: a claim ends the session, and its Will is due at once [MQTT-3.1.3-9].
func (o *oracle) ends(d *device) {
	for _, w := range o.willOrder {
		switch {
		case w.publisher != d || !w.owed || w.arrived:
		case o.w.now.Before(w.grace):
			w.cancelled = true
		default:
			w.ended = true
		}
	}
}

// willArrives: a Will comes to the bus.
func (o *oracle) willArrives(r *record) {
	w := o.wills[r.key]
	switch {
	case w == nil:
	case w.dropped:
		o.w.fail("wills: %s is published, and its owner said that it is not to be", r.key)
	case !w.spoken:
		o.w.fail("wills: %s is published, and nobody said that its connection is over", r.key)
	case w.cancelled:
		o.w.fail("wills: %s is published, and the device was back before its time", r.key)
	case w.owed && o.w.now.Before(w.dueAt) && r.publisher.persistent && !w.ended:
		o.w.fail("wills: %s is published before its time", r.key)
	}
}

// hands: the store gives a piece of work to a worker: to one at a time, and never again once it is done.
func (o *oracle) hands(w sessionstore.Work) {
	id := workName(w)
	if w.Again {
		o.marks.worksAgain++
	}
	h := o.handed[id]
	if h == nil {
		h = &handed{}
		o.handed[id] = h
	} else if h.done {
		o.w.fail("work: %s of %s/%d is done and comes again", id, w.Key.ClientID, w.Epoch)
	} else if o.w.now.Sub(h.at) < sessionstore.WorkLease {
		o.w.fail("work: %s of %s/%d is given to a second worker after %v", id, w.Key.ClientID, w.Epoch, o.w.now.Sub(h.at))
	}
	h.at = o.w.now
}

func (o *oracle) finished(w sessionstore.Work) { o.handed[workName(w)].done = true }

// workName is what a piece of work is, without who has it.
func workName(w sessionstore.Work) string {
	return messageIDPrefix(w.Key.ClientID, w.Incarnation, w.Epoch) + w.Token[:1]
}

// undone is a piece of work that nobody has done, empty when there is none.
func (o *oracle) undone() string {
	for _, w := range o.willOrder {
		if w.owed && w.qos > 0 && !w.cancelled && !w.arrived && !o.w.now.Before(w.dueAt.Add(time.Second)) {
			return "the will " + w.key + " is not published"
		}
	}
	return ""
}
