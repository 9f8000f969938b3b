package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// provocation makes a failure happen. It returns the connection that is told, and the one on which the record is read: the same, or one that came
// back; nil: there is no session to keep a record.
type provocation struct {
	failure *failure.Failure
	name    string // of several ways to provoke the same
	only    packet.Version
	change  func(*Options)
	provoke func(w *failing) (told, back *caller)
}

func (p provocation) named(name string) provocation {
	p.name = name
	return p
}

// Every row of the catalogue, in MQTT 5 and in 3.1.1: what the device sees, the record on its error topic, the event, the line in the log and the metric, all
// with one trace id.
func TestEveryFailureIsTold(t *testing.T) {
	type case1 struct {
		f *failure.Failure
		v packet.Version
	}
	provoked := map[case1]bool{}
	for _, p := range slices.Concat(connections(), clientRefusals(), endings(), refusedPublishes(), otherPublishes(), filters(), deliveries(), quotaRefusals(), denials()) {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			if p.only != 0 && p.only != v {
				continue
			}
			provoked[case1{p.failure, v}] = true
			t.Run(fmt.Sprintf("%s%s/%s", p.failure.Name, p.name, versionName(v)), func(t *testing.T) {
				inBubble(t, func(b *bubble) {
					w := &failing{bubble: b, v: v}
					w.begin(p.change)
					told, back := p.provoke(w)
					w.check(p.failure, told, back)
				})
			})
		}
	}
	for _, f := range failure.All() {
		if !f.Only311 && !provoked[case1{f, packet.V5}] {
			t.Errorf("nothing provokes %s in MQTT 5", f.Name)
		}
		if f.V311 != failure.Never && !provoked[case1{f, packet.V311}] {
			t.Errorf("nothing provokes %s in MQTT 3.1.1", f.Name)
		}
	}
}

func versionName(v packet.Version) string {
	if v == packet.V5 {
		return "v5"
	}
	return "v311"
}

// check demands everything that tells a failure.
func (w *failing) check(f *failure.Failure, told, back *caller) {
	w.t.Helper()
	w.pass(2 * time.Second)
	trace := w.seenBy(f, told)
	if back != nil {
		records := slices.DeleteFunc(back.records(), func(r found) bool { return r.Name != f.Name })
		if len(records) != 1 {
			w.t.Fatalf("%d records of it on the error topic: %+v", len(records), back.records())
		}
		if trace == "" {
			trace = records[0].Trace
		}
		if records[0].Trace != trace {
			w.t.Errorf("the record has trace %s, the device was told %s", records[0].Trace, trace)
		}
	}
	for _, c := range []*caller{told, back} {
		if c != nil && c.hears("secret") {
			w.t.Error("the bus's own words reach the device")
		}
	}
	logs, events := w.logged(f.Name), w.bus.told(f.Name)
	if len(logs) != 1 || len(events) != 1 {
		w.t.Fatalf("%d lines in the log, %d events; want one of each", len(logs), len(events))
	}
	if trace == "" {
		trace = logs[0].Trace
	}
	if len(trace) != 32 || logs[0].Trace != trace || events[0].Trace != trace {
		w.t.Errorf("the device has trace %q, the log %q, the event %q", trace, logs[0].Trace, events[0].Trace)
	}
	if n := w.counted(f.Name); n != "1" {
		w.t.Errorf("the metric is %s", n)
	}
}

// seenBy checks what the connection has seen, and gives the trace id that it was told; empty: none.
func (w *failing) seenBy(f *failure.Failure, c *caller) (trace string) {
	w.t.Helper()
	if c.isClosed() != (f.Fatal() || w.v == packet.V311 && f.V311 == failure.ByRule) {
		w.t.Errorf("closed: %t", c.isClosed())
	}
	if w.v == packet.V311 {
		w.seen311(f, c)
		return ""
	}
	if len(f.Codes) == 0 {
		return ""
	}
	_, user, ok := c.told(f)
	if !ok {
		w.t.Fatalf("no packet tells it: %v", c.packets())
	}
	for _, u := range user {
		switch u.Key {
		case failure.PropertyError:
			if u.Value != f.Condition {
				w.t.Errorf("%s is %s, want %s", u.Key, u.Value, f.Condition)
			}
		case failure.PropertyTrace:
			trace = u.Value
		}
	}
	if trace == "" && f != failure.AnswerTooLarge { // there is no room for it
		w.t.Errorf("the device is told no trace: %v", user)
	}
	return trace
}

func (w *failing) seen311(f *failure.Failure, c *caller) {
	w.t.Helper()
	for _, p := range c.packets() {
		switch p := p.(type) {
		case *packet.Connack:
			if want := f.Reason().ConnackReturnCode(); f.V311 == failure.ReturnCode && p.Reason.ConnackReturnCode() != want {
				w.t.Errorf("CONNACK %d, want %d", p.Reason.ConnackReturnCode(), want)
			} else if f.V311 == failure.ReturnCode {
				return
			}
		case *packet.Suback:
			if f.V311 == failure.Suback && slices.Contains(p.Reasons, packet.UnspecifiedError) {
				return
			}
		}
	}
	if f.V311 == failure.ReturnCode || f.V311 == failure.Suback && f != failure.FilterNotValid {
		w.t.Errorf("no packet tells it: %v", c.packets())
	}
}

// comes back on the same session.
func (w *failing) back() *caller {
	c := w.dial()
	c.connect("dev")
	return c
}

// same is for a failure after which the connection goes on in MQTT 5, and ends in 3.1.1 if the rule's policy has it so.
func (w *failing) same(c *caller, closes bool) (told, back *caller) {
	if closes && w.v == packet.V311 {
		return c, w.back()
	}
	return c, c
}
