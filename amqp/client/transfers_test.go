package client

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
)

// peer is the other end of a link whose transfers are ours: it checks numbers and windows, and joins messages.
type peer struct {
	t                    *rapid.T
	window, credit       uint32 // granted, less what came
	nextTransfer, nextID uint32
	partial              []byte
	got                  []string
	unsettled            []uint32
	maxFrame             int
}

func (p *peer) take(b []byte) {
	if len(b) > p.maxFrame {
		p.t.Fatalf("a frame of %d bytes, %d are the most", len(b), p.maxFrame)
	}
	body, payload, err := frame.Decode(frame.TypeAMQP, b[frameHeaderSize:])
	if err != nil {
		p.t.Fatal(err)
	}
	tr := body.(*frame.Transfer)
	if p.window == 0 {
		p.t.Fatal("a transfer beyond the window")
	}
	p.window--
	p.nextTransfer++
	if p.partial == nil {
		if p.credit == 0 {
			p.t.Fatal("a delivery beyond the credit")
		}
		p.credit--
		if tr.DeliveryID.Value != p.nextID || len(tr.DeliveryTag) == 0 {
			p.t.Fatalf("delivery %d in place of %d, tag %x", tr.DeliveryID.Value, p.nextID, tr.DeliveryTag)
		}
		p.unsettled = append(p.unsettled, p.nextID)
		p.nextID++
		p.partial = []byte{}
	}
	p.partial = append(p.partial, payload...)
	if tr.More {
		return
	}
	m, err := section.DecodeMessage(p.partial)
	if err != nil {
		p.t.Fatal(err)
	}
	p.partial = nil
	name, _, _ := bytes.Cut(m.Data[0], []byte("|"))
	p.got = append(p.got, string(name))
}

// Whatever the peer grants and in whatever order it answers: transfers keep within its windows, and outcomes come once, in the order of sending, each the
// delivery's own.
func TestTransfersKeepToWindowAndCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint32{0, 1<<32 - 3}).Draw(t, "numbers start at")
		most := rapid.IntRange(1, 5).Draw(t, "most unanswered")
		tr := &transfers{most: most, limit: 1 << 33, maxFrame: 512, handle: 3, channel: 4, windowEnd: start, nextTransfer: start, creditEnd: start, nextDelivery: start}
		p := &peer{t: t, nextTransfer: start, nextID: start, maxFrame: 512}
		var queue []*message.Message
		sent, told := 0, 0
		want := map[uint32]message.OutcomeKind{}
		hear := func(answers []answer) {
			for _, a := range answers {
				a.done(a.outcome)
			}
		}
		drive := func() {
			for tr.ready() && (tr.cutting || len(queue) > 0) {
				var done func(message.Outcome)
				if !tr.cutting {
					id := tr.nextDelivery
					tr.next, queue = queue[0], queue[1:]
					order := int(id - start)
					done = func(o message.Outcome) {
						if o.Kind != want[id] || order != told {
							t.Fatalf("delivery %d: %v comes as answer %d, want %v", id, o.Kind, told, want[id])
						}
						told++
					}
				}
				b, err := tr.append(nil)
				if err != nil {
					t.Fatal(err)
				}
				p.take(b)
				hear(tr.sent(done, 1, nil))
			}
			if tr.waiting() > most {
				t.Fatalf("%d are unanswered, %d are the most", tr.waiting(), most)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"queue": func(t *rapid.T) {
				text := fmt.Sprintf("%d|%s", sent, bytes.Repeat([]byte("x"), rapid.SampledFrom([]int{0, 10, 400, 2000}).Draw(t, "size")))
				queue = append(queue, textMessage("to", text))
				sent++
				drive()
			},
			"flow": func(t *rapid.T) {
				p.window, p.credit = rapid.Uint32Range(0, 5).Draw(t, "window"), rapid.Uint32Range(0, 5).Draw(t, "credit")
				// What came since is in the peer's numbers.
				tr.flow(&frame.Flow{NextIncomingID: frame.Some(p.nextTransfer), IncomingWindow: p.window, Handle: frame.Some(uint32(0)),
					DeliveryCount: frame.Some(p.nextID), LinkCredit: frame.Some(p.credit)})
				drive()
			},
			"answer": func(t *rapid.T) {
				if len(p.unsettled) == 0 || p.partial != nil {
					return
				}
				from := rapid.IntRange(0, len(p.unsettled)-1).Draw(t, "from")
				to := rapid.IntRange(from, len(p.unsettled)-1).Draw(t, "to")
				kind := rapid.SampledFrom([]message.OutcomeKind{message.Accepted, message.Rejected}).Draw(t, "kind")
				first, last := p.unsettled[from], p.unsettled[to]
				for _, id := range p.unsettled[from : to+1] {
					if _, again := want[id]; !again {
						want[id] = kind
					}
				}
				if from == 0 {
					p.unsettled = p.unsettled[to+1:]
				}
				hear(tr.disposition(first, last, message.Outcome{Kind: kind}, nil))
				drive()
			},
			"": func(t *rapid.T) {
				for i, name := range p.got {
					if name != fmt.Sprint(i) {
						t.Fatalf("%v came", p.got)
					}
				}
			},
		})
	})
}

func TestALostLinkAnswersAll(t *testing.T) {
	t.Parallel()
	for _, settled := range []bool{false, true} {
		tr := &transfers{settled: settled, most: 10, limit: 10, maxFrame: 512, windowEnd: 3, creditEnd: 10}
		var got []message.OutcomeKind
		done := func(o message.Outcome) { got = append(got, o.Kind) }
		var answers []answer
		for _, size := range []int{1, 1, 1000} {
			tr.next = textMessage("to", string(make([]byte, size)))
			if _, err := tr.append(nil); err != nil {
				t.Fatal(err)
			}
			answers = tr.sent(done, 1, answers)
		}
		if !tr.cutting || tr.ready() {
			t.Error("the third one has frames to come, and the window is used up")
		}
		answers = tr.disposition(1, 1, message.Outcome{Kind: message.Released}, answers)
		tell(append(answers, tr.lose(message.Outcome{Kind: message.Lost})...))
		want := "[lost released lost]"
		if settled {
			want = "[accepted accepted lost]"
		}
		if fmt.Sprint(got) != want || tr.waiting() != 0 {
			t.Errorf("settled %t: %v, want %s", settled, got, want)
		}
	}
}

// A flow that was on its way while we sent takes more back than there is left: nothing is sent then, where unsigned numbers would allow 2^32 transfers.
func TestCreditThatIsTakenBack(t *testing.T) {
	t.Parallel()
	tr := &transfers{most: 10, limit: 10, maxFrame: 512, windowEnd: 10, creditEnd: 10, nextTransfer: 5, nextDelivery: 5}
	for _, f := range []*frame.Flow{
		{NextIncomingID: frame.Some(uint32(3)), IncomingWindow: 1, Handle: frame.Some(uint32(0)), DeliveryCount: frame.Some(uint32(3)), LinkCredit: frame.Some(uint32(9))},
		{NextIncomingID: frame.Some(uint32(3)), IncomingWindow: 9, Handle: frame.Some(uint32(0)), DeliveryCount: frame.Some(uint32(3)), LinkCredit: frame.Some(uint32(1))},
	} {
		tr.flow(f)
		if tr.ready() {
			t.Errorf("after %+v", f)
		}
		if e := tr.echo(f); e.LinkCredit.Value > 7 || e.NextOutgoingID != 5 || e.DeliveryCount.Value != 5 {
			t.Errorf("told %+v", e)
		}
	}
	tr.flow(&frame.Flow{NextIncomingID: frame.Some(uint32(5)), IncomingWindow: 1, Handle: frame.Some(uint32(0)), DeliveryCount: frame.Some(uint32(5)), LinkCredit: frame.Some(uint32(1))})
	if !tr.ready() {
		t.Error("what is granted again is not used")
	}
}

// oneByOne gives a function that sends a small message, as the gateway makes them, and has it answered.
func oneByOne(t testing.TB) func() {
	tr := &transfers{most: 1, limit: 1 << 62, maxFrame: 1 << 16}
	m := textMessage("/exchanges/amq.topic/a.b", string(make([]byte, 128)))
	m.ApplicationProperties = map[string]any{"x-opt-mqtt-topic": "a/b", "x-opt-mqtt-qos": uint8(1), "x-opt-sluice-client": "dev"}
	buf := make([]byte, 0, 1024)
	done := func(message.Outcome) {}
	var answers []answer
	return func() {
		tr.windowEnd, tr.creditEnd = tr.nextTransfer+1, tr.nextDelivery+1
		tr.next = m
		if _, err := tr.append(buf); err != nil {
			t.Fatal(err)
		}
		answers = tr.sent(done, 1, answers[:0])
		answers = tr.disposition(tr.nextDelivery-1, tr.nextDelivery-1, message.Outcome{Kind: message.Accepted}, answers)
		if len(answers) != 1 {
			t.Fatal("the outcome does not come")
		}
		tell(answers)
	}
}

// Not parallel, because AllocsPerRun counts for the whole process.
func TestTransfersTakeNoMemory(t *testing.T) {
	if n := testing.AllocsPerRun(100, oneByOne(t)); n != 0 {
		t.Errorf("a message takes memory %v times", n)
	}
}

// BenchmarkTransfer is what a message costs here, from its encoding to its answer.
func BenchmarkTransfer(b *testing.B) {
	send := oneByOne(b)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}
