package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/amqp"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// Of many lines of one kind a bounded number is logged, and of the others how many they are, also when nothing follows. One kind takes no lines from another.
func TestLinesAreLoggedInBoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		l := newLogLines(zap.New(core))
		took := func(n int, o *failure.Occurrence) (taken int) {
			for range n {
				if kind, most := linesOf(o); most == 0 || l.takes(time.Now(), kind, most) {
					taken++
				}
			}
			return taken
		}
		for _, c := range []struct {
			o    failure.Occurrence
			most int
			more string
		}{
			{failure.Occurrence{Failure: failure.Refused}, refusalLines, "more messages of QoS 0 were refused or dropped than are logged one by one"},
			{failure.Occurrence{Failure: failure.Refused, QoS: 1}, answeredLines, "more messages were refused than are logged one by one"},
			{failure.Occurrence{Failure: failure.DeliveryRefused, QoS: 1}, answeredLines, "more messages were not delivered than are logged one by one"},
			{failure.Occurrence{Failure: failure.FilterNotValid}, refusalLines, "more topic filters were refused than are logged one by one"},
			{failure.Occurrence{Failure: failure.BadCredentials}, refusalLines, "more connections were refused than are logged one by one"},
			{failure.Occurrence{Failure: failure.Revoked}, refusalLines, "more connections ended than are logged one by one"},
		} {
			if got := took(c.most+7, &c.o); got != c.most {
				t.Errorf("%s: %d lines, want %d", c.o.Failure.Name, got, c.most)
			}
			l.look(t.Context())
			if logs.Len() != 0 {
				t.Fatalf("%s: the count is told before the window is over", c.o.Failure.Name)
			}
			time.Sleep(linesWindow)
			l.look(t.Context())
			l.look(t.Context())
			l.end()
			if all := logs.TakeAll(); len(all) != 1 || all[0].Message != c.more || all[0].ContextMap()["count"] != uint64(7) {
				t.Errorf("%s: told is %v", c.o.Failure.Name, all)
			}
			if got := took(1, &c.o); got != 1 {
				t.Errorf("%s: the next window has no line", c.o.Failure.Name)
			}
		}
		if got := took(5*refusalLines, &failure.Occurrence{Failure: failure.TooManyConnections}); got != 5*refusalLines {
			t.Errorf("%d lines of what is bounded elsewhere", got)
		}
	})
}

// What comes after a full window, without a look in between, has the count before it.
func TestTheCountComesBeforeTheNextWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		lines := newLogLines(zap.New(core))
		log := newBoundedLog(zap.New(core), lines)
		for range refusalLines + 3 {
			log.Info("a")
			log.Debug("b")
		}
		log.Warn("c")
		time.Sleep(linesWindow)
		log.Info("a")
		all := logs.All()
		if len(all) != refusalLines+3 || all[refusalLines].Message != "c" || all[refusalLines+2].Message != "a" {
			t.Fatalf("%d lines, the last are %v", len(all), all[len(all)-3:])
		}
		told := all[refusalLines+1]
		if told.ContextMap()["line"] != "a" || told.ContextMap()["count"] != uint64(3) {
			t.Errorf("told is %v", told)
		}
		lines.end()
		if logs.Len() != refusalLines+3 {
			t.Errorf("a count of nothing is told: %v", logs.All()[refusalLines+3:])
		}
	})
}

func TestLongFieldsAreCut(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	log := newBoundedLog(zap.New(core), newLogLines(zap.New(core)))
	long := strings.Repeat("ä", fieldMax)
	short := long[:fieldMax]
	stack := strings.Repeat("s", 4*fieldMax)
	log = log.With(zap.String("of all", long)).WithLazy(zap.String("of some", long))
	log.Debug("x", zap.String("topic", long), zap.String("other", short), zap.Error(errors.New("y"+long)), zap.ByteString("stack", []byte(stack)))
	fields := logs.All()[0].ContextMap()
	cut := fmt.Sprintf("%s... (%d bytes)", short, len(long))
	for name, want := range map[string]string{
		"of all": cut, "of some": cut, "topic": cut, "other": short, "stack": stack, "error": fmt.Sprintf("y%s... (%d bytes)", long[:fieldMax-2], len(long)+1),
	} {
		if got := fields[name]; got != want {
			t.Errorf("%s is %.60q with %d bytes, want %.60q with %d", name, got, len(fmt.Sprint(got)), want, len(want))
		}
	}
}

// A part of a core that takes no lines for debugging gets none.
func TestLinesGoWhereTheirLevelIsTaken(t *testing.T) {
	debug, all := observer.New(zap.DebugLevel)
	info, some := observer.New(zap.InfoLevel)
	log := zap.New(zapcore.NewTee(debug, info))
	newBoundedLog(log, newLogLines(log)).Debug("x")
	if all.Len() != 1 || some.Len() != 0 {
		t.Errorf("%d lines where those for debugging are taken, %d where they are not; want 1 and 0", all.Len(), some.Len())
	}
}

// TestNobodyFillsTheLog: devices that are revoked and come back at once, break the protocol in their first packet, or subscribe without end to what the bus refuses, with
// the longest of names.
func TestNobodyFillsTheLog(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	count := 3 * refusalLines
	attack := map[string]func(w *failing){
		"malformed": func(w *failing) {
			for range count {
				w.dial().raw(0x10, 0)
			}
		},
		"revoked": func(w *failing) {
			for range count {
				w.dial().say(&packet.Connect{Version: packet.V5, ClientID: "dev"})
				w.pass(time.Millisecond)
				for _, d := range w.node.directory.connections() {
					d.post(revokedNow)
				}
			}
		},
		"subscribe": func(w *failing) {
			w.bus.set(func(b *faultyBus) { b.subscribe = fmt.Errorf("%w: %s", amqp.ErrRefused, long) })
			c := w.dial()
			c.connect(long[:1000])
			for i := range count {
				c.say(&packet.Subscribe{ID: packet.ID(i + 1), Subscriptions: []packet.Subscription{{Filter: fmt.Sprint(long, i), QoS: 1}}})
			}
		},
	}
	for name, run := range attack {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				w := &failing{bubble: b, v: packet.V5}
				w.begin(nil)
				begin := time.Now()
				run(w)
				w.pass(2 * linesWindow)
				windows := int(time.Since(begin)/linesWindow) + 1
				texts, told, size := map[string]int{}, 0, 0
				for _, e := range w.logs.All() {
					if e.Level == zapcore.DebugLevel {
						continue
					}
					texts[e.Message]++
					told += strings.Count(e.Message, "than are logged one by one")
					for _, value := range e.ContextMap() {
						size = max(size, len(fmt.Sprint(value)))
					}
				}
				for text, n := range texts {
					if n > windows*refusalLines {
						t.Errorf("%d lines in %d windows: %s", n, windows, text)
					}
				}
				if told == 0 || size > fieldMax+20 {
					t.Errorf("what is left out is told %d times; the longest field has %d bytes", told, size)
				}
			})
		})
	}
}
