package endpoint

import (
	"strings"
	"testing"

	"sluice/amqp/frame"
)

// TestViolations: each wrong step ends what the standard says, with its condition, and no more than that.
func TestViolations(t *testing.T) {
	ready := func(s *script) {
		s.open()
		s.begin(0)
		s.publisher(0, 0, "p", Accept{Window: 2})
		s.consumer(0, 1, "c")
	}
	for _, c := range []struct {
		name string
		cfg  Config
		run  func(*script)
		want string // the frame that tells it
	}{
		{"no open", Config{}, func(s *script) { s.begin(0) }, "< 0 Close{Error=Error{Condition=\"amqp:not-allowed\""},
		{"two opens", Config{}, func(s *script) { s.open(); s.open() }, "< 0 Close{Error=Error{Condition=\"amqp:not-allowed\""},
		{"tiny frames", Config{}, func(s *script) { s.in(0, &frame.Open{ContainerID: "x", MaxFrameSize: 511}) }, "< 0 Close{Error=Error{Condition=\"amqp:invalid-field\""},
		{"channel-max", Config{ChannelMax: 3}, func(s *script) { s.open(); s.begin(4) }, "< 0 Close{Error=Error{Condition=\"amqp:connection:framing-error\""},
		{"the peer's own channel-max", Config{}, func(s *script) { s.open(); s.begin(11) }, "< 0 Close{Error=Error{Condition=\"amqp:connection:framing-error\""},
		{"channel twice", Config{}, func(s *script) { s.open(); s.begin(1); s.begin(1) }, "< 0 Close{Error=Error{Condition=\"amqp:not-allowed\""},
		{"answer to no begin", Config{}, func(s *script) { s.open(); s.in(1, &frame.Begin{RemoteChannel: frame.Some(uint16(1))}) }, "< 0 Close{Error=Error{Condition=\"amqp:not-allowed\""},
		{"no session", Config{}, func(s *script) { s.open(); s.transfer(5, 0, 0, "x") }, "< 0 Close{Error=Error{Condition=\"amqp:not-allowed\""},
		{"handle-max", Config{HandleMax: 5}, func(s *script) { ready(s); s.in(0, &frame.Attach{Name: "x", Handle: 6, Role: frame.RoleReceiver}) }, "< 0 Close{Error=Error{Condition=\"amqp:connection:framing-error\""},
		{"handle twice", Config{}, func(s *script) { ready(s); s.in(0, &frame.Attach{Name: "x", Handle: 1, Role: frame.RoleReceiver}) }, "< 0 End{Error=Error{Condition=\"amqp:session:handle-in-use\""},
		{"transfer, no handle", Config{}, func(s *script) { ready(s); s.transfer(0, 9, 0, "x") }, "< 0 End{Error=Error{Condition=\"amqp:session:unattached-handle\""},
		{"flow, no handle", Config{}, func(s *script) { ready(s); s.credit(0, 9, 0, 1, 0, 10) }, "< 0 End{Error=Error{Condition=\"amqp:session:unattached-handle\""},
		{"detach, no handle", Config{}, func(s *script) { ready(s); s.in(0, &frame.Detach{Handle: 9}) }, "< 0 End{Error=Error{Condition=\"amqp:session:unattached-handle\""},
		{"transfer to a sender", Config{}, func(s *script) { ready(s); s.transfer(0, 1, 0, "x") }, "< 0 End{Error=Error{Condition=\"amqp:not-allowed\""},
		{"window", Config{IncomingWindow: 2}, func(s *script) {
			ready(s)
			s.do("hold", func() { s.c.HoldWindows(true) })
			for id := range uint32(3) {
				s.transfer(0, 0, id, "x", settled)
			}
		}, "< 0 End{Error=Error{Condition=\"amqp:session:window-violation\""},
		{"no credit", Config{}, func(s *script) {
			ready(s)
			for id := range uint32(5) {
				s.transfer(0, 0, id, "x")
			}
		}, "< 0 Detach{Closed=true Error=Error{Condition=\"amqp:link:transfer-limit-exceeded\""},
		{"no delivery-id", Config{}, func(s *script) { ready(s); s.in(0, &frame.Transfer{DeliveryTag: []byte("t")}, "x") }, "< 0 Detach{Closed=true Error=Error{Condition=\"amqp:invalid-field\""},
		{"no delivery-tag", Config{}, func(s *script) { ready(s); s.in(0, &frame.Transfer{DeliveryID: frame.Some(uint32(0))}, "x") }, "< 0 Detach{Closed=true Error=Error{Condition=\"amqp:invalid-field\""},
		{"delivery-id twice", Config{}, func(s *script) { ready(s); s.transfer(0, 0, 1, "x"); s.transfer(0, 0, 1, "x") }, "< 0 End{Error=Error{Condition=\"amqp:not-allowed\""},
		{"interleaved", Config{}, func(s *script) { ready(s); s.transfer(0, 0, 1, "x", more); s.transfer(0, 0, 2, "x") }, "< 0 Detach{Closed=true Error=Error{Condition=\"amqp:not-allowed\""},
		{"partial bytes", Config{MaxPartialBytes: 10}, func(s *script) { ready(s); s.transfer(0, 0, 1, strings.Repeat("x", 11), more) }, "< 0 Detach{Closed=true Error=Error{Condition=\"amqp:resource-limit-exceeded\""},
		{"undecodable", Config{}, func(s *script) {
			ready(s)
			s.do("bad bytes", func() { _, _, err := frame.Decode(frame.TypeAMQP, []byte{1, 2, 3}); s.c.Fail(err) })
		}, "< 0 Close{Error=Error{Condition=\"amqp:decode-error\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, c.cfg)
			c.run(s)
			trace := s.trace.String()
			if n := strings.Count(trace, c.want); n != 1 {
				t.Errorf("%d times %s in\n%s", n, c.want, trace)
			}
			if n := strings.Count(trace, "Condition="); n > 1+strings.Count(trace, "= LinkEnded{")+strings.Count(trace, "= Ended{") {
				t.Errorf("more than one error in\n%s", trace)
			}
		})
	}
}
