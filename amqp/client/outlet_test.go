package client

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// A bus may tell the state first and settle only after we have [AMQP 2.6.12].
func TestABusThatSettlesSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		settled := make(chan *frame.Disposition, 1)
		b.onSender = func(p frame.Performative) { settled <- p.(*frame.Disposition) }
		b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {
			id := tr.DeliveryID.Value
			s.send(&frame.Disposition{Role: frame.RoleReceiver, First: id, State: &frame.Received{}}, nil) // no outcome yet
			s.send(&frame.Disposition{Role: frame.RoleReceiver, First: id, State: &frame.Released{}}, nil)
		}
		c := open(t, oneLane(b))
		if o := publish(t, c, 0, textMessage("x", "y")); o.Kind != message.Released {
			t.Errorf("%v (%v)", o.Kind, o.Error)
		}
		d := <-settled
		if _, released := d.State.(*frame.Released); !d.Settled || d.First != 0 || !released {
			t.Errorf("%+v", d)
		}
	})
}

func TestAnEchoIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		told := make(chan *frame.Flow, 1)
		b.onSender = func(p frame.Performative) { told <- p.(*frame.Flow) }
		b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {
			s.answer(tr.DeliveryID.Value, &frame.Accepted{})
			s.send(&frame.Flow{NextIncomingID: frame.Some(s.got.Load()), IncomingWindow: 50, OutgoingWindow: 1, Handle: frame.Some(tr.Handle),
				DeliveryCount: frame.Some(s.links[tr.Handle].count.Load()), LinkCredit: frame.Some(uint32(7)), Echo: true}, nil)
		}
		c := open(t, oneLane(b))
		mustAccept(t, c, textMessage("x", "y"))
		f := <-told
		if f.NextOutgoingID != 1 || f.DeliveryCount.Value != 1 || f.LinkCredit.Value != 7 || !f.NextIncomingID.Set {
			t.Errorf("%+v", f)
		}
	})
}

// Dispositions do not reach the library, whose idle time-out they are to put off nevertheless.
func TestOutcomesKeepTheConnectionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.quiet = true
		var conns []net.Conn
		b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {
			conns = append(conns, s.conn)
			s.answer(tr.DeliveryID.Value, &frame.Accepted{})
		}
		c := open(t, oneLane(b))
		for range 10 {
			time.Sleep(defaultIdleTimeout / 2) // virtual
			mustAccept(t, c, textMessage("x", "y"))
		}
		for _, conn := range conns {
			if conn != conns[0] {
				t.Fatal("the connection was made anew")
			}
		}
	})
}

// Everything is full at once: the buffer of a bus that does not read, window and credit. All of it comes, in order, also messages of several frames.
func TestMessagesOfSeveralFramesWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.window.Store(3)
		var got []int
		b.onTransfer = func(s *fakeSession, tr *frame.Transfer, payload []byte) {
			got = append(got, len(payload))
			s.answer(s.links[tr.Handle].count.Load()-1, &frame.Accepted{}) // the last frame has no delivery-id
		}
		c := open(t, oneLane(b))
		out := newOutcomes(t)
		const n = 40
		for i := range n {
			c.Publish(0, textMessage("x", string(make([]byte, 100_000+i))), false, out.done(i))
		}
		for range 2 * n { // two frames each, three fit the window
			synctest.Wait()
			b.grantAll(2)
		}
		if k := out.wait(n); k[message.Accepted] != n || len(got) != n {
			t.Fatalf("%v, %d came", k, len(got))
		}
		for i := 1; i < n; i++ {
			if got[i] < got[i-1] {
				t.Fatalf("out of order: %s", fmt.Sprint(got))
			}
		}
	})
}
