package sessionstore

import (
	"fmt"
	"time"
)

// Will is the Will Message of a connection [MQTT-3.1.2-7], kept by the store so that it outlives the node.
//
// What becomes of it:
//
//   - Release drops it (WillDropped), or keeps it: then it is due after its delay, or when the session ends if that is sooner
//     [MQTT-3.1.2-8].
//   - A Claim before it was due cancels it when the session goes on [MQTT-3.1.3-9]; when the claim ends the session it is due at once.
//   - A Claim that takes the session from an owner cannot know whether that one still lives. A delayed will of a session that goes on is
//     cancelled. Any other is put aside for Times.Lease, until the owner's own Release says what becomes of it (it gets ErrFenced all the
//     same). If it never says, it is dead and the device is back: nothing is published.
//   - Sweep keeps the wills of a dead node, due after their delay but not before Times.WillGrace: a device that comes back meanwhile cancels
//     its will, whether its session goes on or not. So the death of a node is no storm of wills.
//
// What is due is a piece of work (Store.Due). Then nothing cancels it any more.
type Will struct {
	Delay   uint32 // seconds: Will Delay Interval (MQTT 5, 3.1.3.2.2)
	Message []byte // opaque to the store, at most MaxWill bytes
}

// WillFate is what a Release says about the Will. The zero value keeps it, so that none is lost by omission.
type WillFate byte

// The fates.
const (
	// WillKept: the connection ended without a word, or with DISCONNECT 0x04.
	WillKept WillFate = iota
	// WillDropped: a DISCONNECT that removes the Will [MQTT-3.1.2-10], or a node that goes down in an orderly way.
	WillDropped
)

// ReleaseRequest says how an ownership ends.
type ReleaseRequest struct {
	Now  time.Time
	End  bool // the session ends, whatever its expiry
	Will WillFate
}

// Work is something left to do: for a session a Will to publish, an inbox to delete on the bus, groups to leave, or several of these; for a
// group its queue to delete. Do it, then Finish. All have to be safe to repeat: publish under a message-id made of Key, Incarnation and
// Epoch.
type Work struct {
	Key         Key
	Incarnation uint64 // of the session it is left of
	Epoch       uint64 // of the connection whose Will it is, or of the last that owned the session
	Will        *Will  // nil: none to publish
	Inbox       string // empty: none to delete
	Ended       bool   // the session, or the group, of this incarnation is over
	// Groups are the filters of the groups the session was a member of: leave them with Key and Epoch.
	Groups []string
	// Group is set when this is the work of a group that is over: remove the queue of its Incarnation. Key and Epoch are zero then.
	Group *Group
	// Again: somebody claimed this piece before and did not finish it. Its Will may have been published.
	Again bool
	Token string // names the piece and the claim of it, for Finish; opaque
}

// Times are the waits of leases and work. Zero fields get the defaults of this package.
type Times struct {
	Lease     time.Duration // how long KeepLease lasts, LeaseTTL
	DeadAfter time.Duration // how long a lease has to be seen missing before its node is dead, DeadAfter
	WillGrace time.Duration // what a dead node's devices have to come back before their wills, WillGrace
	WorkLease time.Duration // how long a piece of work is its claimer's, WorkLease
}

// OrDefault fills in what is zero.
func (t Times) OrDefault() Times {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{{&t.Lease, LeaseTTL}, {&t.DeadAfter, DeadAfter}, {&t.WillGrace, WillGrace}, {&t.WorkLease, WorkLease}} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return t
}

// DueAt gives when a Will that is kept at now is due, for a session that expires after expiry: at its end at the latest [MQTT-3.1.2-8].
func (w Will) DueAt(now time.Time, expiry uint32) time.Time {
	return now.Add(time.Duration(min(w.Delay, expiry)) * time.Second)
}

func (w *Will) validate() error {
	if w != nil && len(w.Message) > MaxWill {
		return fmt.Errorf("%w: claim: the will has %d bytes, at most %d are kept", ErrInvalid, len(w.Message), MaxWill)
	}
	return nil
}
