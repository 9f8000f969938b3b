package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// recordBox brings the records of a device's failures to its session's inbox, where they wait as any message does, and survive the connection whose
// end they explain. While the bus is away, or the device does not take what is there, they wait here; the oldest give way.
type recordBox struct {
	d *device

	mu      sync.Mutex
	waiting []waitingRecord
	bytes   int
	running bool
	last    uint64              // of the message-ids
	there   int                 // in the inbox, as far as this connection knows
	tags    map[uint64]struct{} // deliveries of the session lane that are records
	closed  bool                // the connection is over: what waits goes to the inbox in any case
}

type waitingRecord struct {
	json  []byte
	until time.Time
}

// keep takes a record. It never blocks.
func (b *recordBox) keep(o *failure.Occurrence) {
	r := waitingRecord{json: o.Record(), until: o.At.Add(b.d.gw.opt.Bridge.Grace)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, r)
	b.bytes += len(r.json)
	for len(b.waiting) > recordsWaiting || b.bytes > recordsBytes {
		b.drop()
	}
	b.start()
}

// drop gives up the oldest. The lock is held.
func (b *recordBox) drop() {
	b.bytes -= len(b.waiting[0].json)
	b.waiting[0] = waitingRecord{}
	b.waiting = b.waiting[1:]
	b.d.gw.metrics.recordsDropped.Inc()
}

// start sends what may be sent. The lock is held.
func (b *recordBox) start() {
	if b.running || len(b.waiting) == 0 || b.there >= recordsThere && !b.closed {
		return
	}
	b.running = true
	b.d.gw.recording.Go(b.run)
}

func (b *recordBox) run() {
	for {
		b.mu.Lock()
		if len(b.waiting) == 0 || b.there >= recordsThere && !b.closed {
			b.running = false
			b.mu.Unlock()
			return
		}
		r := b.waiting[0]
		b.last++
		id := messageIDPrefix(b.d.fence.Key, b.d.incarnation, b.d.fence.Epoch) + "error-" + strconv.FormatUint(b.last, 36)
		b.bytes -= len(r.json)
		b.waiting = b.waiting[1:]
		b.there++
		b.mu.Unlock()
		if !b.send(r, id) {
			b.d.gw.metrics.recordsDropped.Inc()
			b.settled()
		}
	}
}

// send tries until the bus has the record, or its time is over.
func (b *recordBox) send(r waitingRecord, id string) bool {
	ctx, cancel := context.WithDeadline(b.d.gw.ctx, r.until)
	defer cancel()
	err := b.d.gw.sendRecord(ctx, b.d.shard, r.json, id, b.d.lanes.session.inbox)
	if err != nil {
		b.d.log().Debug("record not kept", zap.Error(err))
	}
	return err == nil
}

// errNotKept: the inbox is full, or gone with its session.
var errNotKept = errors.New("the inbox does not take the record")

// sendRecord puts a record into an inbox. It tries until the bus answers or ctx ends.
func (gw *Gateway) sendRecord(ctx context.Context, shard uint32, json []byte, id, inbox string) error {
	m := gw.opt.Bridge.Dialect.Record(json, failure.ContentType, id, gw.opt.Bus.InboxAddress(inbox), session.ErrorTopic, recordLife)
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		o, err := gw.publishAndWait(ctx, shard, m, false)
		switch {
		case err != nil:
			return err
		case o.Kind == message.Accepted:
			return nil
		case o.Kind == message.Released, mapping.Classify(o, mapping.OutcomeRule{}).Class == mapping.Refused:
			return errors.Join(errNotKept, outcomeError(o))
		}
		if !sleep(ctx, jitter(pause)) {
			return ctx.Err()
		}
	}
}

// keepRecord keeps the record of a failure of a device that has no connection, if its session wants it.
func (gw *Gateway) keepRecord(ctx context.Context, key sessionstore.Key, o *failure.Occurrence) error {
	s, err := gw.opt.Store.Get(ctx, key, time.Now())
	if errors.Is(err, sessionstore.ErrNotFound) {
		return nil // it ended with the connection
	}
	if err != nil {
		return err
	}
	wanted := slices.ContainsFunc(s.Subscriptions, func(sub sessionstore.Subscription) bool {
		return sub.Filter == session.ErrorTopic && sub.QoS > 0
	})
	if !wanted || s.Inbox == "" {
		return nil
	}
	err = gw.sendRecord(ctx, shardOf(key), o.Record(), "error-"+o.Trace.String(), s.Inbox)
	if errors.Is(err, errNotKept) {
		gw.metrics.recordsDropped.Inc()
		return nil
	}
	return err
}

// delivered notes which delivery of the session lane is a record.
func (b *recordBox) delivered(tag uint64, m *message.Message) {
	if m == nil || !mapping.IsFor(m, session.ErrorTopic) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tags == nil {
		b.tags = map[uint64]struct{}{}
	}
	b.tags[tag] = struct{}{}
}

// answered notes that a delivery of the session lane is settled: if it was a record, there is room for another.
func (b *recordBox) answered(tag uint64) {
	b.mu.Lock()
	_, ours := b.tags[tag]
	delete(b.tags, tag)
	b.mu.Unlock()
	if ours {
		b.settled()
	}
}

func (b *recordBox) settled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there = max(b.there-1, 0) // a record of an earlier connection was not counted
	b.start()
}

// detached: what was delivered and not settled comes again.
func (b *recordBox) detached() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tags = nil
}

// close has everything that waits sent.
func (b *recordBox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.start()
}
