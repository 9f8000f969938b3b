package client

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	goamqp "github.com/Azure/go-amqp"
	"pgregory.net/rapid"

	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// sender is the peer of an incoming: it sends as far as window and credit allow, reads what comes back, and knows what has to be.
type sender struct {
	t        *rapid.T
	in       *incoming
	next     uint32 // transfer-id
	window   int32
	id       uint32 // delivery-id
	links    []*sending
	byHandle map[uint32]*sending // ours
	started  int                 // links
}

// sending is a link of sender.
type sending struct {
	sender        *sender
	l             *incomingLink
	count, end    uint32
	unsettled     []uint32
	want          map[uint32]message.OutcomeKind // settled by the receiver, and not yet told
	expect, given []string                       // texts
	tags          map[uint64]uint32
	midway        bool
	text          string
	first         bool
	gone          bool
}

func (p *sender) frame(tr *frame.Transfer, payload []byte) {
	p.window--
	p.next++
	if _, err := p.in.transfer(tr, payload); err != nil {
		p.t.Fatal(err)
	}
}

// send sends a frame, of a new delivery or of the one that has begun.
func (s *sending) send(t *rapid.T) {
	p := s.sender
	if s.gone || p.window <= 0 {
		return
	}
	tr := &frame.Transfer{Handle: s.l.handle + 100}
	if !s.midway {
		if frame.SerialDiff(s.end, s.count) <= 0 {
			return
		}
		s.first, s.text = true, ""
		s.count++
	}
	if s.first {
		tr.DeliveryID, tr.DeliveryTag = frame.Some(p.id), []byte{1}
		p.id++
	}
	tr.More = rapid.Bool().Draw(t, "more")
	tr.Settled = s.l.settled && (!tr.More || rapid.Bool().Draw(t, "settled")) // on any frame
	tr.Aborted = !tr.More && s.midway && rapid.IntRange(0, 3).Draw(t, "aborted") == 0
	part := fmt.Sprintf("%d,", p.next)
	s.text += part
	id := p.id - 1
	if s.midway && !s.first {
		id = s.unsettled[len(s.unsettled)-1]
	} else {
		s.unsettled = append(s.unsettled, id)
	}
	s.first, s.midway = false, tr.More
	p.frame(tr, []byte(part))
	switch {
	case tr.Aborted:
		s.unsettled = s.unsettled[:len(s.unsettled)-1]
	case !tr.More:
		s.expect = append(s.expect, s.text)
		if s.l.settled {
			s.unsettled = s.unsettled[:len(s.unsettled)-1]
		} else {
			s.tags[s.l.tag] = id
		}
	}
}

// read takes all that incoming has to say.
func (p *sender) read() {
	var b []byte
	for p.in.due() {
		var err error
		if b, err = p.in.append(b); err != nil {
			p.t.Fatal(err)
		}
	}
	for len(b) > 0 {
		n := int(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
		body, _, err := frame.Decode(frame.TypeAMQP, b[frameHeaderSize:n])
		if err != nil {
			p.t.Fatal(err)
		}
		p.hear(body)
		b = b[n:]
	}
}

func (p *sender) hear(body frame.Performative) {
	switch f := body.(type) {
	case *frame.Attach:
		s := p.links[len(p.links)-1]
		p.byHandle[f.Handle] = s
		mode := frame.SenderUnsettled
		if s.l.settled {
			mode = frame.SenderSettled
		}
		if _, err := p.in.attached(&frame.Attach{Name: f.Name, Handle: f.Handle + 100, Role: frame.RoleSender, SenderSettleMode: mode,
			Source: &frame.Source{}, InitialDeliveryCount: frame.Some(s.count)}); err != nil {
			p.t.Fatal(err)
		}
	case *frame.Flow:
		p.window = int32(f.NextIncomingID.Value + f.IncomingWindow - p.next)
		if f.NextIncomingID.Value != p.next || p.window != sessionWindow {
			p.t.Fatalf("transfer %d is to come, they expect %d", p.next, f.NextIncomingID.Value)
		}
		if s := p.byHandle[f.Handle.Value]; f.Handle.Set && s != nil {
			if end := f.DeliveryCount.Value + f.LinkCredit.Value; frame.SerialLess(end, s.end) {
				p.t.Fatalf("credit is taken back: %d, was %d", end, s.end)
			} else {
				s.end = end
			}
		}
	case *frame.Disposition:
		p.settled(f)
	case *frame.Detach:
		s := p.byHandle[f.Handle]
		if !s.midway && len(s.unsettled) > 0 || s.midway && len(s.unsettled) > 1 {
			p.t.Fatalf("detached with %v unsettled", s.unsettled)
		}
		s.gone = true
		if _, err := p.in.detached(&frame.Detach{Handle: f.Handle + 100, Closed: true}); err != nil {
			p.t.Fatal(err)
		}
	default:
		p.t.Fatalf("unexpected %T", f)
	}
}

// settled checks that each delivery of the range was unsettled, was to have this outcome, and that what is released comes in order at the end.
func (p *sender) settled(d *frame.Disposition) {
	kind := outcomeOfState(d.State).Kind
	if !d.Settled || d.Role != frame.RoleReceiver || kind != message.Accepted && d.Last.Set {
		p.t.Fatalf("told %+v", d)
	}
	for id := d.First; ; id++ {
		found := false
		for _, s := range p.links {
			at := slices.Index(s.unsettled, id)
			if at < 0 {
				continue
			}
			found = true
			if want, told := s.want[id]; told && want != kind || !told && (s.l.state != linkDetaching || kind != message.Released || at != 0) {
				p.t.Fatalf("delivery %d is told to be %v", id, kind)
			}
			s.unsettled = slices.Delete(s.unsettled, at, at+1)
			delete(s.want, id)
		}
		if !found {
			p.t.Fatalf("delivery %d is settled, and is not unsettled", id)
		}
		if id == d.Last.Or(d.First) {
			return
		}
	}
}

func (p *sender) attach(settled bool, top uint32) *sending {
	s := &sending{sender: p, count: 1<<32 - 2, end: 1<<32 - 2, want: map[uint32]message.OutcomeKind{}, tags: map[uint64]uint32{},
		l: &incomingLink{name: fmt.Sprint(p.started), settled: settled, top: top, wake: make(chan struct{}, 1)}}
	p.started++
	p.links = append(p.links, s)
	if err := p.in.attach(s.l, "source"); err != nil {
		p.t.Fatal(err)
	}
	p.read()
	return s
}

// Whatever comes in whatever pieces and is settled in whatever order: the peer keeps to window and credit and is never left without, each delivery is handed out
// once, in order, and settled once with its own outcome, and detaching gives the rest back in order.
func TestIncomingKeepsItsBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint32{0, 1<<32 - 3}).Draw(t, "numbers start at")
		in := &incoming{maxFrame: 512}
		p := &sender{t: t, in: in, next: start, id: start, window: sessionWindow, byHandle: map[uint32]*sending{}}
		in.begun(&frame.Begin{NextOutgoingID: start})
		some := func(t *rapid.T) *sending {
			if len(p.links) == 0 || len(p.links) < 3 && rapid.IntRange(0, 9).Draw(t, "attach") == 0 {
				return p.attach(rapid.Bool().Draw(t, "settled"), rapid.SampledFrom([]uint32{0, 1, 4}).Draw(t, "top"))
			}
			return p.links[rapid.IntRange(0, len(p.links)-1).Draw(t, "link")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(t *rapid.T) { in.grant(some(t).l, rapid.Uint32Range(0, 5).Draw(t, "n")) },
			"send":  func(t *rapid.T) { some(t).send(t) },
			"send more": func(t *rapid.T) {
				for s := some(t); ; {
					if s.send(t); rapid.IntRange(0, 5).Draw(t, "end") == 0 {
						return
					}
				}
			},
			"take": func(t *rapid.T) {
				s := some(t)
				for _, a := range in.take(s.l, nil) {
					s.given = append(s.given, string(a.raw))
				}
				if !s.gone && !slices.Equal(s.given, s.expect) {
					t.Fatalf("handed out %q of %q", s.given, s.expect)
				}
			},
			"settle": func(t *rapid.T) {
				s := some(t)
				if len(s.tags) == 0 || s.gone {
					return
				}
				tag := rapid.SampledFrom(slices.Sorted(maps.Keys(s.tags))).Draw(t, "tag")
				kind := rapid.SampledFrom([]message.OutcomeKind{message.Accepted, message.Accepted, message.Rejected, message.Released}).Draw(t, "kind")
				s.want[s.tags[tag]] = kind
				in.settle(s.l, tag, message.Outcome{Kind: kind})
				in.settle(s.l, tag, message.Outcome{Kind: message.Modified}) // the second one counts for nothing
				delete(s.tags, tag)
			},
			"detach": func(t *rapid.T) {
				if s := some(t); !s.gone && rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					in.detach(s.l, message.Outcome{Kind: message.Released})
					p.read()
					p.links = slices.DeleteFunc(p.links, func(other *sending) bool { return other == s })
				}
			},
			"read": func(*rapid.T) { p.read() },
			"": func(t *rapid.T) {
				if p.window <= 0 {
					t.Fatal("the window is used up")
				}
				for _, s := range p.links {
					if left := frame.SerialDiff(s.l.creditEnd, s.l.count); left < 0 || left > maxCredit || s.l.top > 0 && uint32(left) > s.l.top {
						t.Fatalf("%d credits", left)
					}
					if s.l.top > 0 && !in.due() && len(s.l.arrived) == 0 && s.l.out == 0 && len(s.unsettled) == 0 && s.l.creditEnd == s.l.count {
						t.Fatal("nobody would grant credit again")
					}
				}
			},
		})
	})
}

// attachedLink gives a session with a link that the peer calls 100.
func attachedLink(t testing.TB, l *incomingLink) *incoming {
	s := &incoming{maxFrame: 512}
	s.begun(&frame.Begin{})
	if err := s.attach(l, "source"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.attached(&frame.Attach{Name: l.name, Handle: 100, Role: frame.RoleSender, SenderSettleMode: wantedMode(l.settled), Source: &frame.Source{}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// said gives what s has to say, decoded.
func said(t testing.TB, s *incoming) (all []frame.Performative) {
	t.Helper()
	b, err := s.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := int(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
		p, _, err := frame.Decode(frame.TypeAMQP, b[frameHeaderSize:n])
		if err != nil {
			t.Fatal(err)
		}
		all, b = append(all, p), b[n:]
	}
	return all
}

func transferOf(id uint32) *frame.Transfer {
	return &frame.Transfer{Handle: 100, DeliveryID: frame.Some(id), DeliveryTag: []byte{1}}
}

// Deliveries that are accepted one after the other take one frame, a released one has its own, and credit comes behind them.
func TestSettlementsShareFrames(t *testing.T) {
	t.Parallel()
	l := &incomingLink{}
	s := attachedLink(t, l)
	s.grant(l, 10)
	for id := range uint32(6) {
		if _, err := s.transfer(transferOf(id), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	said(t, s)
	for tag, kind := range []message.OutcomeKind{1: message.Accepted, 2: message.Accepted, 3: message.Accepted, 4: message.Released, 6: message.Accepted} {
		if kind == message.Accepted {
			s.grant(l, 1)
		}
		if kind != 0 {
			s.settle(l, uint64(tag), message.Outcome{Kind: kind})
		}
	}
	var got []string
	for _, p := range said(t, s) {
		switch p := p.(type) {
		case *frame.Disposition:
			got = append(got, fmt.Sprintf("%T %d-%d", p.State, p.First, p.Last.Or(p.First)))
		case *frame.Flow:
			got = append(got, fmt.Sprintf("credit %d", p.LinkCredit.Value))
		}
	}
	if want := "[*frame.Accepted 0-2 *frame.Released 3-3 *frame.Accepted 5-5 credit 8]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// What breaks the protocol ends the connection, or the link where the standard says so; nothing of it is a panic, or a delivery.
func TestFaultsOfThePeer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		frames []*frame.Transfer
		link   bool // the link alone ends
	}{
		"no such link":         {frames: []*frame.Transfer{{Handle: 7, DeliveryID: frame.Some(uint32(0))}}},
		"no delivery-id":       {frames: []*frame.Transfer{{Handle: 100}}},
		"another within":       {frames: []*frame.Transfer{{Handle: 100, DeliveryID: frame.Some(uint32(0)), More: true}, transferOf(1)}},
		"more than the credit": {frames: []*frame.Transfer{transferOf(0), transferOf(1), transferOf(2)}, link: true},
	} {
		l := &incomingLink{}
		s := attachedLink(t, l)
		s.grant(l, 2)
		said(t, s)
		var err error
		for _, f := range tt.frames {
			if err == nil {
				_, err = s.transfer(f, []byte("x"))
			}
		}
		if !tt.link {
			if err == nil {
				t.Errorf("%s is taken", name)
			}
			continue
		}
		out := said(t, s)
		d, ok := out[len(out)-1].(*frame.Detach)
		if err != nil || !ok || d.Error == nil || d.Error.Condition != frame.Symbol(goamqp.ErrCondTransferLimitExceeded) || l.err == nil {
			t.Errorf("%s: %v, told %+v, the receiver hears %v", name, err, out, l.err)
		}
	}
	s := attachedLink(t, &incomingLink{})
	s.next = s.windowEnd
	if _, err := s.transfer(transferOf(0), nil); err == nil {
		t.Error("a transfer beyond the window is taken")
	}
}

// The window is told anew long before it is used up, so that a bus never waits for it; without need nothing is told.
func TestTheWindowIsRenewed(t *testing.T) {
	t.Parallel()
	l := &incomingLink{}
	s := attachedLink(t, l)
	s.grant(l, 1)
	said(t, s)
	tr := transferOf(0)
	tr.More = true
	flows := 0
	for range 10 * sessionWindow {
		if _, err := s.transfer(tr, nil); err != nil {
			t.Fatal(err)
		}
		if s.due() {
			out := said(t, s)
			if f, ok := out[0].(*frame.Flow); !ok || len(out) != 1 || f.Handle.Set || f.IncomingWindow != sessionWindow || f.NextIncomingID.Value != s.next {
				t.Fatalf("told %+v", out)
			}
			flows++
		}
	}
	if flows < 15 || flows > 25 {
		t.Errorf("%d flows, one for about half a window is wanted", flows)
	}
}

// A message that is larger than any PUBLISH is told as one that cannot be read, and not kept; it can be settled.
func TestAMessageTooLarge(t *testing.T) {
	t.Parallel()
	l := &incomingLink{}
	s := attachedLink(t, l)
	s.grant(l, 2)
	tr := transferOf(0)
	tr.More = true
	if _, err := s.transfer(tr, []byte("x")); err != nil {
		t.Fatal(err)
	}
	l.part.size = maxIncoming // without having all of it in memory
	tr.DeliveryID = frame.Opt[uint32]{}
	if _, err := s.transfer(tr, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if len(l.part.raw) > 0 {
		t.Error("it is kept")
	}
	tr.More = false
	if _, err := s.transfer(tr, nil); err != nil {
		t.Fatal(err)
	}
	said(t, s)
	got := s.take(l, nil)
	if len(got) != 1 || got[0].err == nil || len(got[0].raw) != 0 {
		t.Fatalf("%d came", len(got))
	}
	s.settle(l, got[0].tag, message.Outcome{Kind: message.Rejected})
	if out := said(t, s); len(out) != 1 {
		t.Errorf("told %v", out)
	}
}

// An outcome reaches the bus whatever its words are: those that cannot be encoded, or do not fit a frame, are left out.
func TestOutcomesThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		e         message.Error
		condition frame.Symbol
		info      int
	}{
		"as it is":   {message.Error{Condition: "a:b", Description: "d", Info: map[string]any{"k": "v", "n": uint8(1)}}, "a:b", 2},
		"no type":    {message.Error{Condition: "a:b", Info: map[string]any{"k": "v", "n": struct{}{}}}, "a:b", 1},
		"too large":  {message.Error{Condition: "a:b", Info: map[string]any{"k": string(make([]byte, 1000))}}, "a:b", 0},
		"no symbol":  {message.Error{Condition: "é"}, "", 0},
		"no UTF-8":   {message.Error{Condition: "a:b", Description: "\xff"}, "a:b", 0},
		"very large": {message.Error{Condition: string(bytes.Repeat([]byte("x"), 600))}, "", 0},
	} {
		l := &incomingLink{}
		s := attachedLink(t, l)
		s.grant(l, 1)
		if _, err := s.transfer(transferOf(0), nil); err != nil {
			t.Fatal(err)
		}
		said(t, s)
		s.settle(l, 1, message.Outcome{Kind: message.Rejected, Error: &tt.e})
		out := said(t, s)
		r, ok := out[0].(*frame.Disposition).State.(*frame.Rejected)
		if !ok || (r.Error == nil) != (tt.condition == "") || r.Error != nil && (r.Error.Condition != tt.condition || len(r.Error.Info) != tt.info) {
			t.Errorf("%s: told %+v", name, out[0])
		}
	}
}

// A bus may settle a delivery itself, when nobody has for long. It is no longer ours then, and others are.
func TestTheBusSettlesItself(t *testing.T) {
	t.Parallel()
	l := &incomingLink{}
	s := attachedLink(t, l)
	s.grant(l, 5)
	for id := range uint32(3) {
		if _, err := s.transfer(transferOf(id), nil); err != nil {
			t.Fatal(err)
		}
	}
	said(t, s)
	s.disposition(&frame.Disposition{Role: frame.RoleSender, First: 0, Last: frame.Some(uint32(1)), Settled: true, State: &frame.Released{}})
	for tag := range uint64(4) {
		s.settle(l, tag, message.Outcome{Kind: message.Accepted})
	}
	out := said(t, s)
	if d, ok := out[0].(*frame.Disposition); len(out) != 1 || !ok || d.First != 2 || d.Last.Set {
		t.Errorf("told %+v", out)
	}
}

// BenchmarkIncoming is what a delivery costs here, from its frame to its settlement and the credit for another.
func BenchmarkIncoming(b *testing.B) {
	l := &incomingLink{}
	s := attachedLink(b, l)
	payload := make([]byte, 200)
	var taken []arrival
	var out []byte
	b.ReportAllocs()
	tr := transferOf(0)
	for b.Loop() {
		s.grant(l, 1)
		if _, err := s.transfer(tr, payload); err != nil {
			b.Fatal(err)
		}
		taken = s.take(l, taken[:0])
		s.settle(l, taken[0].tag, message.Outcome{Kind: message.Accepted})
		if tr.DeliveryID.Value++; tr.DeliveryID.Value%10 == 0 {
			out, _ = s.append(out[:0])
		}
	}
}
