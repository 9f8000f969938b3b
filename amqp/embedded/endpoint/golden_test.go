package endpoint

import (
	"strings"
	"testing"
	"time"

	"sluice/amqp/frame"
)

func TestGolden(t *testing.T) {
	golden(t, "open-close", Config{IdleTimeout: 10 * time.Second, ChannelMax: 7}, func(s *script) {
		s.in(0, &frame.Open{ContainerID: "there", Hostname: "bus", MaxFrameSize: 4096, ChannelMax: 100, IdleTimeout: 4000})
		s.pass(time.Second)
		s.pass(time.Second) // a heartbeat, at half of the peer's time
		s.pass(3 * time.Second)
		s.in(0, &frame.Close{})
	})
	golden(t, "idle", Config{IdleTimeout: 10 * time.Second}, func(s *script) {
		s.open()
		s.begin(0)
		s.publisher(0, 0, "p", Accept{Window: 10})
		s.pass(9 * time.Second)
		s.pass(time.Second)
	})
	golden(t, "publish", Config{}, publishScript)
	golden(t, "multi-frame", Config{}, multiFrameScript)
	golden(t, "stall", Config{}, stallScript)
	golden(t, "incoming-window", Config{IncomingWindow: 4}, func(s *script) {
		s.open()
		s.begin(0)
		s.publisher(0, 0, "p", Accept{Window: 100})
		for id := range uint32(4) {
			s.transfer(0, 0, id, "x", settled)
		}
		s.do("hold windows", func() { s.c.HoldWindows(true) })
		s.begin(1)
		// Three more are covered by the window that was told before.
		for id := uint32(4); id < 8; id++ {
			s.transfer(0, 0, id, "x", settled)
		}
		s.do("open windows", func() { s.c.HoldWindows(false) })
		s.transfer(0, 0, 8, "x", settled)
	})
	golden(t, "consume", Config{}, consumeScript)
	golden(t, "outgoing-window", Config{}, outgoingWindowScript)
	golden(t, "detach-waiting", Config{}, func(s *script) {
		s.open()
		s.in(0, &frame.Begin{IncomingWindow: 1, OutgoingWindow: 100, HandleMax: 100})
		s.consumer(0, 0, "c")
		s.consumer(0, 1, "d")
		s.credit(0, 0, 0, 10, 0, 1)
		s.credit(0, 1, 0, 10, 0, 1)
		s.deliver("c", 1, strings.Repeat("a", 1500)) // one frame of two goes
		s.deliver("d", 2, "of d")
		s.deliver("c", 3, "of c")
		s.credit(0, 0, 1, 9, 1, 0, func(f *frame.Flow) { f.Echo = true }) // one was begun, one waits
		s.in(0, &frame.Detach{Handle: 0, Closed: true})
		s.credit(0, 1, 0, 10, 1, 10) // only what is d's goes on
	})
	golden(t, "sender-flow", Config{}, func(s *script) {
		s.open()
		s.begin(0)
		s.publisher(0, 0, "p", Accept{Window: 10})
		s.credit(0, 0, 0, 10, 0, 100, func(f *frame.Flow) { f.Echo = true })
		s.credit(0, 0, 8, 2, 0, 100)   // the sender gives up most of its credit
		s.credit(0, 0, 100, 0, 0, 100) // and cannot give up more than it had
		s.transfer(0, 0, 0, "x")
	})
	golden(t, "settle-later", Config{}, func(s *script) {
		s.open()
		s.begin(0)
		s.consumer(0, 0, "c")
		s.credit(0, 0, 0, 10, 0, 100)
		for token := range uint64(4) {
			s.deliver("c", token, "x")
		}
		// A receiver that gives outcomes and waits to see them settled.
		s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 2, Settled: true, State: &frame.Accepted{}})
		s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 0, Last: frame.Some(uint32(3)), State: &frame.Accepted{}})
	})
	golden(t, "drain", Config{}, func(s *script) {
		s.open()
		s.begin(0)
		s.consumer(0, 0, "c")
		s.credit(0, 0, 0, 5, 0, 100)
		s.deliver("c", 1, "a")
		s.credit(0, 0, 1, 4, 1, 100, func(f *frame.Flow) { f.Drain = true })
		s.deliver("c", 2, "b")
		s.do("drained", func() { s.c.Drained(s.links["c"]) })
		s.deliver("c", 3, "c")
		s.credit(0, 0, 5, 1, 2, 100, func(f *frame.Flow) { f.Echo = true })
		s.deliver("c", 3, "c")
	})
	golden(t, "detach", Config{}, detachScript)
	golden(t, "refused", Config{}, func(s *script) {
		s.open()
		s.begin(0)
		s.in(0, &frame.Attach{Name: "r", Role: frame.RoleReceiver, Source: &frame.Source{Address: frame.Some("/queues/none")}, Target: &frame.Target{}})
		s.do("refuse r", func() { s.c.RefuseLink(s.links["r"], Errorf(NotFound, "no such queue")) })
		s.in(0, &frame.Flow{NextIncomingID: frame.Some(uint32(0)), IncomingWindow: 100, Handle: frame.Some(uint32(0)), LinkCredit: frame.Some(uint32(5))})
		s.in(0, &frame.Detach{Closed: true})
		s.in(0, &frame.Attach{Name: "t", Role: frame.RoleSender, Coordinator: &frame.Coordinator{}, InitialDeliveryCount: frame.Some(uint32(0))})
		s.in(0, &frame.Detach{Closed: true})
	})
	golden(t, "end", Config{}, func(s *script) {
		s.open()
		s.begin(3)
		s.publisher(3, 0, "p", Accept{Window: 10})
		s.consumer(3, 1, "c")
		s.transfer(3, 0, 0, "x")
		s.in(3, &frame.End{})
		s.settle("p", 0, &frame.Accepted{}) // too late
		s.begin(3)
		s.consumer(3, 1, "again")
		s.do("end", func() { s.c.Sessions()[0].End(Errorf(NotAllowed, "for a test")) })
		s.transfer(3, 9, 9, "discarded")
		s.in(3, &frame.End{})
		s.begin(3)
		s.in(0, &frame.Close{Error: Errorf(ConnectionForced, "bye")})
		s.begin(4)
	})
	golden(t, "lost", Config{}, func(s *script) {
		s.open()
		s.begin(0)
		s.publisher(0, 0, "p", Accept{Window: 10})
		s.consumer(0, 1, "c")
		s.do("lost", s.c.Lost)
		s.do("lost again", s.c.Lost)
	})
}

func settled(t *frame.Transfer) { t.Settled = true }
func more(t *frame.Transfer)    { t.More = true }

func publishScript(s *script) {
	s.open()
	s.begin(0)
	s.publisher(0, 0, "p", Accept{Window: 4, MaxMessageSize: 100})
	for id := range uint32(3) {
		s.transfer(0, 0, id, "x")
	}
	s.transfer(0, 0, 3, "settled", settled)
	s.do("settle all", func() {
		for id := range uint32(3) {
			s.c.Settle(s.links["p"], id, &frame.Accepted{})
		}
	})
	s.settle("p", 1, &frame.Accepted{}) // not owed any more
	s.transfer(0, 0, 4, "y")
	s.transfer(0, 0, 5, "z")
	s.do("mixed", func() {
		s.c.Settle(s.links["p"], 5, &frame.Released{})
		s.c.Settle(s.links["p"], 4, &frame.Rejected{Error: Errorf(NotFound, "nowhere")})
	})
	s.transfer(0, 0, 6, "v")
	s.in(0, &frame.Disposition{Role: frame.RoleSender, First: 0, Last: frame.Some(uint32(1 << 30)), Settled: true, State: &frame.Accepted{}})
	s.settle("p", 6, &frame.Accepted{}) // the peer has settled it already
}

func multiFrameScript(s *script) {
	s.open()
	s.begin(0)
	s.publisher(0, 0, "p", Accept{Window: 10, MaxMessageSize: 10})
	s.transfer(0, 0, 0, "abc", more)
	s.in(0, &frame.Transfer{Handle: 0, More: true}, "def")
	s.in(0, &frame.Transfer{Handle: 0, DeliveryID: frame.Some(uint32(0))}, "g")
	s.transfer(0, 0, 1, "lost", more)
	s.in(0, &frame.Transfer{Handle: 0, Aborted: true})
	s.transfer(0, 0, 2, "first", more)
	s.in(0, &frame.Transfer{Handle: 0, Settled: true}, "last")
	s.transfer(0, 0, 3, "12345", more)
	s.in(0, &frame.Transfer{Handle: 0}, "678901")
	s.in(0, &frame.Transfer{Handle: 0}, "discarded")
	s.in(0, &frame.Detach{Handle: 0, Closed: true})
	s.consumer(0, 0, "c")
	s.credit(0, 0, 0, 1, 0, 100)
	s.deliver("c", 1, strings.Repeat("z", 3000))
}

func stallScript(s *script) {
	s.open()
	s.begin(0)
	s.publisher(0, 0, "p", Accept{Window: 2, Stalled: true})
	s.do("go", func() { s.c.Stall(s.links["p"], false, false) })
	s.transfer(0, 0, 0, "x")
	s.do("stall", func() { s.c.Stall(s.links["p"], true, false) })
	s.do("stall and revoke", func() { s.c.Stall(s.links["p"], true, true) })
	s.transfer(0, 0, 1, "on credit from before")
	s.settle("p", 0, &frame.Accepted{})
	s.transfer(0, 0, 2, "likewise")
	s.transfer(0, 0, 3, "without credit")
}

func consumeScript(s *script) {
	s.open()
	s.begin(0)
	s.consumer(0, 0, "c")
	s.deliver("c", 1, "no credit yet")
	s.credit(0, 0, 0, 6, 0, 100)
	for token := range uint64(6) {
		s.deliver("c", 10+token, "x")
	}
	// A range that runs backwards holds nothing, though 0 to 2 would be "in" it.
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 7, Last: frame.Some(uint32(2)), Settled: true, State: &frame.Released{}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 1, Last: frame.Some(uint32(2)), Settled: true, State: &frame.Accepted{}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 1, Last: frame.Some(uint32(2)), Settled: true, State: &frame.Accepted{}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 0, State: &frame.Received{}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 0, State: &frame.Modified{DeliveryFailed: true}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 3, Settled: true})
	// A range without end costs no more than what is unsettled.
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 4, Last: frame.Some(uint32(1<<31 + 3)), Settled: true, State: &frame.Released{}})
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 4, Last: frame.Some(uint32(1<<32 - 1)), Settled: true, State: &frame.Released{}})
}

func outgoingWindowScript(s *script) {
	s.open()
	s.in(0, &frame.Begin{IncomingWindow: 2, OutgoingWindow: 100, HandleMax: 100})
	s.consumer(0, 0, "c")
	s.credit(0, 0, 0, 10, 0, 2)
	s.deliver("c", 1, strings.Repeat("a", 2500)) // three frames, two may go
	s.deliver("c", 2, "b")                       // waits behind them
	s.credit(0, 0, 0, 10, 2, 1)                  // and one more
	s.in(0, &frame.Flow{NextIncomingID: frame.Some(uint32(3)), IncomingWindow: 50, OutgoingWindow: 100, Echo: true})
	s.deliver("c", 3, "c")
}

func detachScript(s *script) {
	s.open()
	s.begin(0)
	s.publisher(0, 0, "p", Accept{Window: 10})
	s.consumer(0, 1, "c")
	s.credit(0, 1, 0, 10, 0, 100)
	s.deliver("c", 1, "x")
	s.transfer(0, 0, 0, "a")
	s.transfer(0, 0, 1, "b")
	s.note("! settle 0, and before it is written the peer detaches")
	s.c.Settle(s.links["p"], 0, &frame.Accepted{})
	s.in(0, &frame.Detach{Handle: 0, Closed: true})
	s.settle("p", 1, &frame.Accepted{}) // nobody waits for it
	s.in(0, &frame.Detach{Handle: 1})   // not closing
	s.in(0, &frame.Disposition{Role: frame.RoleReceiver, First: 0, Settled: true, State: &frame.Accepted{}})
	s.consumer(0, 1, "d")
	s.credit(0, 1, 0, 10, 1, 100)
	s.do("detach d", func() { s.c.DetachLink(s.links["d"], Errorf(ResourceDeleted, "queue gone")) })
	s.deliver("d", 1, "x")
	s.credit(0, 1, 0, 10, 1, 100)
	s.in(0, &frame.Detach{Handle: 1, Closed: true})
	s.credit(0, 1, 0, 10, 1, 100) // a flow that was overtaken by its link's detach
	s.consumer(0, 1, "e")
}
