package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sluice/amqp"
	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// One poisoned message must reach the caller as a Delivery that it can reject, and harm nothing else: not the process, not the link, not the
// messages around it.
func TestPoisonedMessagesAreDeliveries(t *testing.T) {
	b := newFakeBus(t)
	plain := encodedSection(t, sectionData, []byte("fine"))
	unhashable := append(encodedSection(t, sectionMessageAnnotations, wire.Map{{Key: []any{}, Value: "v"}, {Key: message.Symbol("x-k"), Value: "v"}}), plain...)
	char := append(encodedSection(t, sectionApplicationProperties, wire.Map{{Key: "c", Value: wire.Char('c')}}), plain...)
	large := append(encodedSection(t, sectionMessageAnnotations, wire.Map{{Key: []byte("k"), Value: strings.Repeat("v", 1000)}}), plain...)
	broken := []byte{0x00, 0x53, 0x70, 0xc0, 0xff}
	b.onReceiver = func(s *fakeSession, handle uint32) {
		s.deliver(handle, 0, plain, 1000)
		s.deliver(handle, 1, unhashable, 1000)
		s.deliver(handle, 2, char, 1000)
		s.deliver(handle, 3, large, 100)
		s.deliver(handle, 4, broken, 1000)
		s.deliver(handle, 5, broken, 2)
		s.deliver(handle, 6, plain, 3)
	}
	c := open(t, oneLane(b))
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(10)
	ds := r.waitDeliveries(t, 7)
	for i, d := range ds {
		if bad := i == 4 || i == 5; bad != (d.Malformed != nil) || bad != (d.Message == nil) {
			t.Errorf("delivery %d: message %v, malformed %v", i, d.Message, d.Malformed)
		} else if !bad && text(d) != "fine" {
			t.Errorf("delivery %d is %q", i, text(d))
		}
		rcv.Settle(d.Tag, message.Outcome{Kind: message.Rejected})
	}
	if ds[1].Message.Annotations["x-k"] != "v" || len(ds[1].Message.Annotations) != 1 {
		t.Errorf("annotations %v", ds[1].Message.Annotations)
	}
	if _, detached, _ := r.snapshot(); len(detached) > 0 {
		t.Errorf("detached %v", detached)
	}
	closeReceiver(t, rcv)
}

func TestSessionEndReattachesAllItsLinks(t *testing.T) {
	b := newFakeBus(t)
	c := open(t, oneLane(b))
	recorders := make([]*recorder, 5)
	for i := range recorders {
		recorders[i] = &recorder{again: true}
		c.Attach(amqp.Source{Inbox: "x"}, recorders[i])
		recorders[i].waitAttached(t, 1)
	}
	ended := map[*fakeSession]bool{}
	b.mu.Lock()
	for _, l := range b.links {
		if l.receiver && !strings.HasPrefix(l.name, "management") {
			ended[l.session] = true
		}
	}
	b.mu.Unlock()
	for s := range ended {
		s.send(&frame.End{Error: &frame.Error{Condition: "amqp:internal-error"}}, nil)
	}
	for _, r := range recorders {
		r.waitAttached(t, 2)
		if _, detached, _ := r.snapshot(); len(detached) != 1 || !errors.Is(detached[0], amqp.ErrUnavailable) {
			t.Errorf("detached %v", detached)
		}
	}
	for _, pc := range c.pool.conns {
		c.pool.mu.Lock()
		for _, s := range pc.slots {
			if s.retired {
				t.Error("an ended session is still counted")
			}
		}
		c.pool.mu.Unlock()
	}
}

func TestPreparedErrorIsTold(t *testing.T) {
	refuse := errors.New("not now")
	b := newFakeBus(t)
	b.refuseAttach.Store(true)
	c := open(t, oneLane(b))
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: "x", Prepare: func(context.Context) error { return refuse }}, r)
	eventually(t, "Detached is told", func() error {
		if _, detached, _ := r.snapshot(); len(detached) == 0 {
			return errors.New("not yet")
		} else if !errors.Is(detached[0], refuse) {
			t.Errorf("detached %v", detached)
		}
		return nil
	})
	closeReceiver(t, rcv)
}

func TestCreditIsBounded(t *testing.T) {
	b := newFakeBus(t)
	granted := make(chan uint32, 10)
	b.onCredit = func(credit uint32) { granted <- credit }
	c := open(t, oneLane(b))
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
	rcv.IssueCredit(5) // ignored unless attached
	r.waitAttached(t, 1)
	rcv.IssueCredit(1 << 31)
	eventually(t, "all credit is granted", func() error {
		select {
		case n := <-granted:
			if n > maxCredit {
				t.Errorf("%d credits", n)
			}
			if n >= maxCredit-5 {
				return nil
			}
		default:
		}
		return errors.New("not yet")
	})
	closeReceiver(t, rcv)
}

func TestTagsAscend(t *testing.T) {
	b := newFakeBus(t)
	b.onReceiver = func(s *fakeSession, handle uint32) {
		for i := range uint32(50) {
			s.deliver(handle, i, encodedSection(t, sectionData, []byte("x")), 100)
		}
	}
	c := open(t, oneLane(b))
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(100)
	var tags []uint64
	for _, d := range r.waitDeliveries(t, 50) {
		tags = append(tags, d.Tag)
	}
	if !slices.IsSorted(tags) || len(slices.Compact(tags)) != 50 {
		t.Errorf("tags %v", tags)
	}
	closeReceiver(t, rcv)
}
