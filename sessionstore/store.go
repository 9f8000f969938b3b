package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store keeps what must outlive a node: session records, subscriptions, QoS 2 and in-flight records, wills, and who lives.
//
// Promises every implementation keeps (sessionstore/storetest proves them):
//
//   - Claim is atomic: two claims of one session get different epochs, and the greater one owns it.
//   - Write and Release with an epoch that is not the session's current one change nothing and give ErrFenced. One thing such a Write
//     may still say: AcceptInbound, what the bus has taken.
//   - Writes of one session are applied, and their done called, in the order of the Write calls. The ops of one Write apply
//     together or not at all.
//   - A write that was applied although its answer was lost is safe to repeat: every Op says what shall be, not what to add.
//   - What Claim returned or a done(nil) confirmed is there for the next Claim, on any node.
//   - Keys of one session share a Redis Cluster slot. So do those of one tenant's retained messages, those
//     of one group, those of one tenant's bindings, and all revocations.
//   - For a device time is the caller's: whether a session it claims has ended is decided by the now of the call, to the millisecond. What is
//     due, and who is dead, is decided by the store's own clock. Nodes whose clocks differ by seconds see a session end by as much earlier
//     or later, nothing else.
//   - A piece of work is claimed by one worker at a time, and done until somebody finishes it. Nothing that is left to do is forgotten
//     when a node dies, at whatever point.
//
// A fence is used through the store that claimed it. What breaks a rule of this package (Key.Validate, ValidateWrite) gives ErrInvalid.
type Store interface {
	// Claim makes req.Node the owner of the session and returns what the store holds of it. It creates the session when there is none, when
	// the one there has ended, or when req.Clean asks for a new one: then Present is false, the incarnation is new and nothing of
	// the old one remains but work. A session of expiry zero ends with its connection, so a claim that finds one still owned replaces it too
	// [3.1.1 MQTT-3.1.2-6]. req.Expiry becomes the session's expiry, req.Will its will; Will says what becomes of the old one. Whoever owned
	// it before is told (Watch). It waits for Writes of the session made here before. It fails with ErrUnavailable when the store does not answer within ctx and the grace, with ErrNotReplicated
	// when too few replicas confirm (then nothing is claimed), with ErrFull when there is no room for a new session.
	Claim(ctx context.Context, req ClaimRequest) (Claimed, error)

	// Write applies ops to a session. It does not block: done is called exactly once, from any goroutine and perhaps before Write returns,
	// with nil once they are stored, ErrFenced, ErrFull, or ErrUnavailable after the grace the store was opened with (it retries until
	// then). A Write for which there is no room to wait gets ErrUnavailable at once, ahead of those that wait. done must not block.
	//
	// Of a Write that gets ErrFenced its AcceptInbound ops are applied all the same: the bus took the message whoever owns the session by now,
	// and the new owner must not send it again. Another incarnation of the session has no record with that message-id.
	Write(f Fence, ops []Op, done func(error))

	// Release ends the ownership: the device is gone. With req.End, or when the session's expiry is zero, the session ends; otherwise it
	// expires its expiry interval after req.Now. What then is left to do, now or later, is kept as work; when nothing is, nothing remains.
	// work: something is due at once, for Due. It waits for earlier Writes of the session. The fence is spent then: a Write with it gives
	// ErrFenced. Repeating a Release is no error and changes neither the first now nor the first word on the will, but req.End still ends a
	// session that was kept. An owner that lost the session gets ErrFenced, and must release nevertheless: see Will; work can be true then.
	Release(ctx context.Context, f Fence, req ReleaseRequest) (work bool, err error)

	// Get reads a session without owning it. ErrNotFound when there is none or it has expired.
	Get(ctx context.Context, key Key, now time.Time) (Session, error)
	// Epochs gives the current epoch of each of these sessions, at most MaxEpochs, in the order asked: zero where there is no session. One that
	// was released has the epoch of its last owner until it is removed, one that was swept a greater one. It sees the Writes queued before it here.
	Epochs(ctx context.Context, keys []Key) ([]uint64, error)

	// Watch calls lost for each session that another Claim took from owners of this node, with the epoch of that Claim, until ctx ends. It
	// returns once the watch is live. Claims on the same node count too: an owner whose epoch is below the one told has lost. lost must
	// not block. Notices may be repeated, late or merged (the greatest epoch stays); a takeover can be missed while the store is out of
	// reach: the fence still holds. missed is called when the watch is live again after that: Epochs tells what there was. It must not block
	// either.
	Watch(ctx context.Context, node string, lost func(Key, uint64), missed func()) error

	// Due claims up to max pieces of work whose time has come, each for Times.WorkLease: nobody else gets it before, and anybody after. A
	// worker that dies between publishing a Will and Finish makes the next one publish it again; Work.Again says so.
	Due(ctx context.Context, max int) ([]Work, error)
	// Finish removes a piece of work. Repeating it is no error. ErrFenced: the claim was over and somebody else has the piece.
	Finish(ctx context.Context, w Work) error

	// KeepLease says that the node lives, for Times.Lease; call it every third of that, and once before the first Claim: what a node claims
	// without a lease is not swept. ErrFenced, once: the node was taken for dead and its sessions may be others' now. It drops all of its
	// connections; the lease is a new one.
	KeepLease(ctx context.Context, node string) error
	// Sweep looks for nodes that died (Absence), as an observer named node, and releases their sessions: a new epoch, no owner, the will
	// kept (see Will), expiry from now. It takes at most MaxSweep; call it again at once while taken is not zero, else about every second.
	// Any number of nodes may sweep at the same time.
	Sweep(ctx context.Context, node string) (taken int, err error)

	RetainedStore
	GroupStore
	BindingStore
	RevocationStore

	// Ready reports why the store cannot be used right now, nil when it can.
	Ready(ctx context.Context) error
	// Close stops everything. Writes not yet applied get ErrUnavailable.
	Close() error
}

var (
	// ErrFenced: the session has another owner by now, or is gone. The writer stops at once.
	ErrFenced = errors.New("sessionstore: fenced: another connection owns the session")
	// ErrUnavailable: the store did not answer in time; whether the change was made is not known.
	ErrUnavailable = errors.New("sessionstore: unavailable")
	// ErrNotReplicated: the change was made, but fewer replicas than asked for confirmed it in time. It is an ErrUnavailable.
	ErrNotReplicated = fmt.Errorf("%w: too few replicas confirm", ErrUnavailable)
	// ErrFull: the store or the session holds as much as it may; nothing was changed.
	ErrFull = errors.New("sessionstore: full")
	// ErrPrincipalFull: the principal has as many client identifiers as it may; nothing was changed.
	ErrPrincipalFull = errors.New("sessionstore: the principal has no room for another client identifier")
	// ErrNotFound: no such session or binding, or the group is over.
	ErrNotFound = errors.New("sessionstore: not found")
)
