package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/frame"
	"sluice/amqp/message"
)

func encodedText(t testing.TB, text string) []byte {
	return encodedSection(t, sectionData, []byte(text))
}

// oneReceiving is oneLane with one connection for receiving.
func oneReceiving(b *fakeBus) Options {
	o := oneLane(b)
	o.ReceiveConnections = 1
	return o
}

// While a handler does not come back, deliveries of other links on its session are handed out, and settled.
func TestASlowHandlerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		handles := map[uint32]*fakeSession{}
		b.onReceiver = func(s *fakeSession, handle uint32) {
			handles[handle] = s
			s.deliver(handle, handle, encodedText(t, fmt.Sprint(handle)), 100)
		}
		settled := make(chan uint32, 2)
		b.onSettled = func(d *frame.Disposition) { settled <- d.First }
		c := open(t, oneReceiving(b))
		release := make(chan struct{})
		slow, quick := &recorder{}, &recorder{}
		slow.onDelivery = func(amqp.Delivery) { <-release }
		one := c.Attach(amqp.Source{Inbox: "slow"}, slow)
		slow.waitAttached(t, 1)
		two := c.Attach(amqp.Source{Inbox: "quick"}, quick)
		quick.waitAttached(t, 1)
		one.IssueCredit(1)
		synctest.Wait()
		two.IssueCredit(1)
		d := quick.waitDeliveries(t, 1)[0]
		two.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
		if id := <-settled; id != 1 || len(handles) != 2 || handles[0] != handles[1] {
			t.Errorf("delivery %d was settled; %d links", id, len(handles))
		}
		close(release)
		closeReceiver(t, one)
		closeReceiver(t, two)
	})
}

// The credit of a node's inbox is renewed as the handler takes messages: one that hangs gets no more than that.
func TestCreditThatIsKeptUpFollowsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		var session *fakeSession
		b.onReceiver = func(s *fakeSession, _ uint32) { session = s }
		var credit []string
		b.onFlow = func(f *frame.Flow) {
			credit = append(credit, fmt.Sprintf("%d+%d", f.DeliveryCount.Value, f.LinkCredit.Value))
		}
		c := open(t, oneReceiving(b))
		r := &recorder{}
		hang := make(chan struct{})
		r.onDelivery = func(amqp.Delivery) { <-hang }
		rcv := c.Attach(amqp.Source{Inbox: "x", Settled: true, Credit: 4}, r)
		r.waitAttached(t, 1)
		synctest.Wait()
		for id := range uint32(4) {
			session.deliverSettled(0, id, encodedText(t, fmt.Sprint(id)))
		}
		synctest.Wait()
		if want := []string{"0+4"}; !slices.Equal(credit, want) {
			t.Errorf("with a handler that hangs, credit is %v, want %v", credit, want)
		}
		close(hang)
		r.waitDeliveries(t, 4)
		synctest.Wait()
		if last := credit[len(credit)-1]; last != "4+4" {
			t.Errorf("when it has taken all, credit is %v", credit)
		}
		closeReceiver(t, rcv)
	})
}

// What came settled before the link was lost is handed out, since the bus will not send it again, and then the loss is told.
func TestSettledDeliveriesOutliveTheirLink(t *testing.T) {
	for name, lose := range map[string]func(s *fakeSession){
		"detach":     func(s *fakeSession) { s.send(&frame.Detach{Handle: 0, Closed: true}, nil) },
		"end":        func(s *fakeSession) { s.send(&frame.End{}, nil) },
		"connection": func(s *fakeSession) { _ = s.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBus(t)
				b.onReceiver = func(s *fakeSession, handle uint32) {
					for id := range uint32(300) {
						s.deliverSettled(handle, id, encodedText(t, fmt.Sprint(id)))
					}
					lose(s)
				}
				c := open(t, oneReceiving(b))
				r := &recorder{}
				hang := make(chan struct{})
				r.onDelivery = func(d amqp.Delivery) { <-hang }
				rcv := c.Attach(amqp.Source{Inbox: "x", Settled: true, Credit: 300}, r)
				r.waitAttached(t, 1)
				synctest.Wait()
				close(hang)
				if got := texts(r.waitDeliveries(t, 300)); !slices.Equal(got, numbers(0, 300)) {
					t.Errorf("got %v", got)
				}
				synctest.Wait()
				if _, detached, _ := r.snapshot(); len(detached) != 1 || !errors.Is(detached[0], amqp.ErrUnavailable) {
					t.Errorf("detached %v", detached)
				}
				closeReceiver(t, rcv)
			})
		})
	}
}

// A detach of the bus's is answered, its reason told, and the handle free for the next link.
func TestADetachIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		answered := make(chan uint32, 10)
		b.onDetach = func(d *frame.Detach) { answered <- d.Handle }
		first := true
		b.onReceiver = func(s *fakeSession, handle uint32) {
			if first {
				s.send(&frame.Detach{Handle: handle, Closed: true, Error: &frame.Error{Condition: frame.Symbol(goamqp.ErrCondResourceDeleted)}}, nil)
			}
			first = false
		}
		c := open(t, oneReceiving(b))
		r := &recorder{again: true}
		rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
		r.waitAttached(t, 1)
		rcv.IssueCredit(1)
		if h := <-answered; h != 0 {
			t.Errorf("handle %d is detached", h)
		}
		r.waitAttached(t, 2)
		if _, detached, _ := r.snapshot(); len(detached) != 1 || !errors.Is(detached[0], amqp.ErrNotFound) {
			t.Errorf("detached %v", detached)
		}
		closeReceiver(t, rcv)
		if h := <-answered; h != 0 {
			t.Errorf("the second link had handle %d", h)
		}
	})
}

// A bus that does not answer an attach costs its connection, and the receiver finds another.
func TestAnAttachWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.muteAttach.Store(true)
		c := open(t, oneReceiving(b))
		r := &recorder{again: true}
		began := time.Now()
		rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
		for range 100 {
			if _, detached, _ := r.snapshot(); len(detached) > 0 {
				break
			}
			time.Sleep(time.Second) // virtual
		}
		b.muteAttach.Store(false)
		r.waitAttached(t, 1)
		if _, detached, _ := r.snapshot(); len(detached) == 0 || time.Since(began) < attachTimeout {
			t.Errorf("detached %v after %v", detached, time.Since(began))
		}
		closeReceiver(t, rcv)
	})
}

// A fault of the bus in one session ends the connection, with a reason that says what it was.
func TestAFaultOfTheBusIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.onReceiver = func(s *fakeSession, handle uint32) { s.send(&frame.Transfer{Handle: handle + 7}, nil) }
		c := open(t, oneReceiving(b))
		r := &recorder{}
		rcv := c.Attach(amqp.Source{Inbox: "x"}, r)
		r.waitAttached(t, 1)
		rcv.IssueCredit(1)
		synctest.Wait()
		if _, detached, _ := r.snapshot(); len(detached) != 1 || !errors.Is(detached[0], amqp.ErrUnavailable) {
			t.Errorf("detached %v", detached)
		}
		closeReceiver(t, rcv)
	})
}
