package endpoint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/amqp/frame"
	"sluice/amqp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden traces anew; then read the difference")

// script drives one connection and writes down all that goes in and comes out. What goes in is encoded and decoded on the way, so that
// the endpoint sees what a socket would have given it.
type script struct {
	t     *testing.T
	c     *Connection
	now   time.Time
	links map[string]*Link
	trace strings.Builder
	d     frame.Decoder
}

func newScript(t *testing.T, cfg Config) *script {
	if cfg.ContainerID == "" {
		cfg.ContainerID = "here"
	}
	cfg.OfferedCapabilities = []frame.Symbol{"ANONYMOUS-RELAY"}
	now := time.Unix(1_000_000, 0)
	return &script{t: t, c: New(cfg, now), now: now, links: map[string]*Link{}}
}

// in feeds a performative, with payload if any, and notes the reaction.
func (s *script) in(channel uint16, p frame.Performative, payload ...string) {
	s.t.Helper()
	body := strings.Join(payload, "")
	s.note("> %d %s%s", channel, describe(p), quoted(body))
	b, err := frame.Append(nil, channel, p, []byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := frame.ParseHeader(b, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	got, rest, err := s.d.Decode(h.Type, b[h.BodyOffset():])
	if err != nil {
		s.t.Fatal(err)
	}
	s.c.Handle(s.now, h.Channel, got, rest)
	s.out()
}

// do carries out a decision of the broker and notes the reaction.
func (s *script) do(what string, f func()) {
	s.t.Helper()
	s.note("! %s", what)
	f()
	s.out()
}

// pass lets time go by.
func (s *script) pass(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	s.do(d.String()+" later", func() { s.c.Tick(s.now) })
}

// out notes frames and effects.
func (s *script) out() {
	s.t.Helper()
	b := s.c.TakeOutput(s.now, nil)
	for len(b) > 0 {
		h, err := frame.ParseHeader(b, 1<<20)
		if err != nil {
			s.t.Fatal(err)
		}
		p, payload, err := frame.Decode(h.Type, b[h.BodyOffset():h.Size])
		if err != nil {
			s.t.Fatal(err)
		}
		s.note("< %d %s%s", h.Channel, describe(p), quoted(string(payload)))
		b = b[h.Size:]
	}
	for _, e := range s.c.TakeEffects(nil) {
		if r, ok := e.(LinkRequested); ok {
			s.links[r.Link.Name()] = r.Link
		}
		s.note("= %s", describe(e))
	}
}

func (s *script) note(format string, args ...any) { fmt.Fprintf(&s.trace, format+"\n", args...) }

func quoted(payload string) string {
	switch {
	case payload == "":
		return ""
	case len(payload) > 20:
		return fmt.Sprintf(" payload=%d bytes", len(payload))
	}
	return fmt.Sprintf(" payload=%q", payload)
}

// describe writes a value with its fields that are not zero.
func describe(v any) string {
	if v == nil || reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil() {
		return "nothing"
	}
	switch v := v.(type) {
	case *Link:
		return v.name
	case *Session:
		return fmt.Sprint("session ", v.channel)
	case frame.Role:
		return v.String()
	case []byte:
		return fmt.Sprintf("%q", v)
	case string, frame.Symbol:
		return fmt.Sprintf("%q", v)
	case wire.Map, []frame.Symbol:
		return fmt.Sprint(v)
	}
	r := reflect.Indirect(reflect.ValueOf(v))
	if r.Kind() != reflect.Struct {
		return fmt.Sprint(r.Interface())
	}
	name, _, _ := strings.Cut(r.Type().Name(), "[")
	if name == "Opt" {
		return describe(r.FieldByName("Value").Interface())
	}
	var fields []string
	for i := range r.NumField() {
		f := r.Field(i)
		if !f.IsZero() && r.Type().Field(i).Name != "Attach" {
			fields = append(fields, r.Type().Field(i).Name+"="+describe(f.Interface()))
		}
	}
	if len(fields) == 0 {
		return name
	}
	return name + "{" + strings.Join(fields, " ") + "}"
}

// golden runs a script twice, which must give the same trace, and compares it with testdata.
func golden(t *testing.T, name string, cfg Config, run func(*script)) {
	t.Run(name, func(t *testing.T) {
		var traces [2]string
		for i := range traces {
			s := newScript(t, cfg)
			run(s)
			traces[i] = s.trace.String()
		}
		if traces[0] != traces[1] {
			t.Fatalf("two runs differ:\n%s\n%s", traces[0], traces[1])
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(traces[0]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if traces[0] != string(want) {
			t.Errorf("the trace differs from %s:\n%s", path, difference(string(want), traces[0]))
		}
	})
}

// difference shows the first line that is not the same.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// The beginnings that most scripts share.

func (s *script) open() {
	s.t.Helper()
	s.in(0, &frame.Open{ContainerID: "there", MaxFrameSize: 1024, ChannelMax: 10})
}

func (s *script) begin(channel uint16) {
	s.t.Helper()
	s.in(channel, &frame.Begin{IncomingWindow: 100, OutgoingWindow: 100, HandleMax: 100})
}

// publisher attaches a link on which the peer sends.
func (s *script) publisher(channel uint16, handle uint32, name string, a Accept) {
	s.t.Helper()
	target := &frame.Target{Address: frame.Some("/queues/q")}
	s.in(channel, &frame.Attach{Name: name, Handle: handle, Role: frame.RoleSender, SenderSettleMode: frame.SenderMixed,
		Source: &frame.Source{}, Target: target, InitialDeliveryCount: frame.Some(uint32(0))})
	a.Source, a.Target = &frame.Source{}, target
	s.do("accept "+name, func() { s.c.AcceptLink(s.links[name], a) })
}

// consumer attaches a link on which the peer receives.
func (s *script) consumer(channel uint16, handle uint32, name string) {
	s.t.Helper()
	source := &frame.Source{Address: frame.Some("/queues/q")}
	s.in(channel, &frame.Attach{Name: name, Handle: handle, Role: frame.RoleReceiver, SenderSettleMode: frame.SenderUnsettled,
		Source: source, Target: &frame.Target{}})
	s.do("accept "+name, func() { s.c.AcceptLink(s.links[name], Accept{Source: source, Target: &frame.Target{}}) })
}

func (s *script) transfer(channel uint16, handle, id uint32, body string, change ...func(*frame.Transfer)) {
	s.t.Helper()
	t := &frame.Transfer{Handle: handle, DeliveryID: frame.Some(id), DeliveryTag: []byte{byte(id)}, MessageFormat: frame.Some(uint32(0))}
	for _, f := range change {
		f(t)
	}
	s.in(channel, t, body)
}

// credit is the peer's flow for a link on which it receives.
func (s *script) credit(channel uint16, handle, deliveryCount, credit, nextIncoming, window uint32, change ...func(*frame.Flow)) {
	s.t.Helper()
	f := &frame.Flow{NextIncomingID: frame.Some(nextIncoming), IncomingWindow: window, OutgoingWindow: 100,
		Handle: frame.Some(handle), DeliveryCount: frame.Some(deliveryCount), LinkCredit: frame.Some(credit)}
	for _, g := range change {
		g(f)
	}
	s.in(channel, f)
}

func (s *script) deliver(name string, token uint64, body string) {
	s.t.Helper()
	s.do(fmt.Sprintf("deliver %d on %s", token, name), func() {
		payload := []byte(body)
		if !s.c.Deliver(s.links[name], Message{Token: token, Payload: payload}) {
			s.note("  not taken")
		}
		copy(payload, strings.Repeat("!", len(payload))) // the buffer is the caller's again
	})
}

func (s *script) settle(name string, delivery uint32, state frame.DeliveryState) {
	s.t.Helper()
	s.do(fmt.Sprintf("settle %d on %s as %s", delivery, name, describe(state)), func() { s.c.Settle(s.links[name], delivery, state) })
}
