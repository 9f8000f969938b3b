package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
)

// transfers is the sending end of a link, and of its session, that has no other link: it numbers deliveries, keeps within the link's credit and the session's
// window, and finds out which deliveries a disposition is about. It does no I/O; lane.mu guards it.
//
// The library could do that. But it takes each message through four goroutines and encodes it three times over, half of what a message cost the gateway; and
// it computes credit and window without sign (see windows).
type transfers struct {
	settled    bool
	most       int    // unanswered deliveries
	limit      uint64 // deliveries, see sessionRotation
	maxMessage uint64 // in bytes, zero: no limit

	channel  uint16 // ours
	handle   uint32 // ours
	maxFrame uint32 // the peer's

	// windowEnd is the first transfer-id that the session's window does not allow, creditEnd the first delivery that the link's credit does not
	// [AMQP 2.5.6, 2.6.7]. The initial values of our own counters are zero in begin and attach.
	windowEnd, nextTransfer uint32
	creditEnd, nextDelivery uint32

	transfer frame.Transfer
	tag      [4]byte
	next     *message.Message // to be appended
	cut      frame.Splitter   // what is left of a message of several frames
	cutting  bool
	cutDone  func(message.Outcome) // of a settled message of several frames

	unanswered fifo[delivery] // the oldest one's delivery-id is nextDelivery less their number
	ended      bool
}

// delivery is a transfer that waits for its outcome.
type delivery struct {
	done     func(message.Outcome)
	written  int64 // unix nanoseconds
	answered bool
	outcome  message.Outcome
}

// answer is an outcome to be told.
type answer struct {
	done    func(message.Outcome)
	outcome message.Outcome
}

// waiting is the number of unanswered deliveries.
func (t *transfers) waiting() int { return t.unanswered.len() }

// oldest is when the oldest unanswered delivery was written, zero without one.
func (t *transfers) oldest() int64 {
	if t.waiting() == 0 {
		return 0
	}
	return t.unanswered.at(0).written
}

// spent: the session has to be replaced before its numbers run out.
func (t *transfers) spent() bool { return uint64(t.nextDelivery) >= t.limit }

// ready: a frame may be sent now, the next one of the message that is being cut or the first of another.
func (t *transfers) ready() bool {
	if t.ended || frame.SerialDiff(t.windowEnd, t.nextTransfer) <= 0 {
		return false
	}
	return t.cutting || !t.spent() && frame.SerialDiff(t.creditEnd, t.nextDelivery) > 0 && t.waiting() < t.most
}

// attached notes what begin and attach have said.
func (t *transfers) attached(a attachment) {
	t.channel, t.handle, t.maxFrame, t.windowEnd = a.channel, a.handle, a.maxFrame, a.window
}

// flow takes the peer's word about window and credit. Both may be behind what was sent since; then nothing is left of them.
func (t *transfers) flow(f *frame.Flow) {
	t.windowEnd = f.NextIncomingID.Value + f.IncomingWindow
	if f.Handle.Set {
		t.creditEnd = f.DeliveryCount.Value + f.LinkCredit.Value
	}
}

// echo is the flow that answers one which asks for it.
func (t *transfers) echo(f *frame.Flow) *frame.Flow {
	out := &frame.Flow{NextIncomingID: frame.Some(f.NextOutgoingID), IncomingWindow: sessionWindow, NextOutgoingID: t.nextTransfer, OutgoingWindow: sessionWindow}
	if f.Handle.Set {
		out.Handle, out.DeliveryCount = frame.Some(t.handle), frame.Some(t.nextDelivery)
		out.LinkCredit = frame.Some(uint32(max(0, frame.SerialDiff(t.creditEnd, t.nextDelivery))))
	}
	return out
}

// errTooLarge: the message is larger than the link takes.
type errTooLarge struct{ size, most uint64 }

func (e *errTooLarge) Error() string {
	return fmt.Sprintf("the message has %d bytes when it is encoded; the bus takes %d", e.size, e.most)
}

// unsendable is the outcome of a message that cannot be encoded, or is too large for the link.
func unsendable(err error) message.Outcome {
	var large *errTooLarge
	if errors.As(err, &large) {
		return message.Outcome{Kind: message.Rejected, Error: ourError(string(goamqp.ErrCondMessageSizeExceeded), "%v", err)}
	}
	return message.Outcome{Kind: message.Rejected, Error: ourError(condEncode, "%v", err)}
}

// append implements appender: the next frame, of the message that is being cut or of next.
func (t *transfers) append(dst []byte) ([]byte, error) {
	if t.cutting {
		return t.cut.Append(dst, t.channel)
	}
	binary.BigEndian.PutUint32(t.tag[:], t.nextDelivery)
	t.transfer = frame.Transfer{Handle: t.handle, DeliveryID: frame.Some(t.nextDelivery), DeliveryTag: t.tag[:], MessageFormat: frame.Some(uint32(0)), Settled: t.settled}
	out, err := frame.Append(dst, t.channel, &t.transfer, nil)
	if err != nil {
		return dst, err
	}
	payload := len(out)
	if out, err = section.AppendMessage(out, t.next); err != nil {
		return dst, err
	}
	if size := uint64(len(out) - payload); t.maxMessage > 0 && size > t.maxMessage {
		return dst, &errTooLarge{size, t.maxMessage}
	}
	if len(out)-len(dst) <= int(t.maxFrame) {
		binary.BigEndian.PutUint32(out[len(dst):], uint32(len(out)-len(dst)))
		return out, nil
	}
	t.cut, t.cutting = frame.NewSplitter(t.transfer, bytes.Clone(out[payload:]), t.maxFrame), true
	return t.cut.Append(dst, t.channel) // cannot fail: the smallest frame there may be has room for these fields
}

// sent counts a frame that append has given. With the first one of a message its delivery has a number, and is unanswered from then on; a settled one is
// answered with its last frame. done is nil for the further frames of a message.
func (t *transfers) sent(done func(message.Outcome), now int64, dst []answer) []answer {
	t.nextTransfer++
	if done != nil {
		t.nextDelivery++
		t.next = nil
		if t.settled {
			t.cutDone = done
		} else {
			t.unanswered.push(delivery{done: done, written: now})
		}
	}
	if t.cutting && !t.cut.Done() {
		return dst
	}
	t.cut, t.cutting = frame.Splitter{}, false
	if t.cutDone != nil {
		dst = append(dst, answer{t.cutDone, message.Outcome{Kind: message.Accepted}})
		t.cutDone = nil
	}
	return dst
}

// disposition notes the outcome of the deliveries first to last, and appends to dst those that are answered now: an outcome waits for the ones before it, by at
// most the window.
func (t *transfers) disposition(first, last uint32, o message.Outcome, dst []answer) []answer {
	count := uint32(t.waiting())
	oldest := t.nextDelivery - count
	start, n := frame.Overlap(first, last, oldest, count)
	for i := range n {
		if d := t.unanswered.at(int(start - oldest + i)); !d.answered {
			d.answered, d.outcome = true, o
		}
	}
	for t.waiting() > 0 && t.unanswered.at(0).answered {
		d := t.unanswered.pop()
		dst = append(dst, answer{d.done, d.outcome})
	}
	return dst
}

// lose ends the link and gives all that is unanswered the outcome o; a delivery that has had its own gets that.
func (t *transfers) lose(o message.Outcome) []answer {
	t.ended = true
	var out []answer
	for _, d := range t.unanswered.drain() {
		if !d.answered {
			d.outcome = o
		}
		out = append(out, answer{d.done, d.outcome})
	}
	if t.cutDone != nil {
		out = append(out, answer{t.cutDone, o})
	}
	t.cutDone = nil
	return out
}

// outcomeOfState is outcomeOf for a state as our own codec gives it. Nothing of it is a view of the frame.
func outcomeOfState(state frame.DeliveryState) message.Outcome {
	switch s := state.(type) {
	case *frame.Accepted:
		return message.Outcome{Kind: message.Accepted}
	case *frame.Released:
		return message.Outcome{Kind: message.Released}
	case *frame.Rejected:
		o := message.Outcome{Kind: message.Rejected}
		if s.Error != nil {
			o.Error = &message.Error{Condition: string(s.Error.Condition), Description: s.Error.Description, Info: asTexts(section.PlainMap(s.Error.Info))}
		}
		return o
	case *frame.Modified:
		return message.Outcome{Kind: message.Modified, DeliveryFailed: s.DeliveryFailed, UndeliverableHere: s.UndeliverableHere,
			Annotations: asTexts(section.PlainMap(s.MessageAnnotations))}
	}
	return message.Outcome{Kind: message.Lost, Error: ourError(condNoOutcome, "the bus settled without an outcome (%T)", state)}
}

// asTexts makes strings of the symbols in m, as the library does: in an error's info buses use the one or the other.
func asTexts(m map[string]any) map[string]any {
	for k, v := range m {
		m[k] = asText(v)
	}
	return m
}

func asText(v any) any {
	switch v := v.(type) {
	case message.Symbol:
		return string(v)
	case map[string]any:
		return asTexts(v)
	case []any:
		for i := range v {
			v[i] = asText(v[i])
		}
	}
	return v
}
