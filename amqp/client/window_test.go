package client

import (
	"slices"
	"testing"

	"sluice/amqp/frame"
)

func encode(t *testing.T, channel uint16, p frame.Performative) []byte {
	t.Helper()
	b, err := frame.Append(nil, channel, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWindowsFollowTheBus(t *testing.T) {
	var w windows
	attach := func(channel uint16, handle uint32, name string) {
		w.observe(encode(t, channel, &frame.Attach{Name: name, Handle: handle, Role: frame.RoleReceiver, Source: &frame.Source{}, Target: &frame.Target{}}))
	}
	session := func(channel uint16, window uint32) {
		w.observe(encode(t, channel, &frame.Flow{IncomingWindow: window, OutgoingWindow: 1}))
	}
	link := func(channel uint16, handle, credit uint32) {
		w.observe(encode(t, channel, &frame.Flow{IncomingWindow: 100, OutgoingWindow: 1, Handle: frame.Some(handle),
			DeliveryCount: frame.Some(uint32(1)), LinkCredit: frame.Some(credit)}))
	}
	state := func(what string, open ...string) {
		t.Helper()
		for _, name := range []string{"a", "b", "c"} {
			if got := w.closed(name) == nil; got != slices.Contains(open, name) {
				t.Errorf("%s: link %s open is %v", what, name, got)
			}
		}
	}
	attach(1, 7, "a")
	attach(1, 8, "b")
	attach(2, 7, "c")
	state("at first", "a", "b", "c")
	session(1, 0)
	state("the window of session 1 is zero", "c")
	waiting := w.closed("a")
	session(1, 5)
	state("session 1 has one again", "a", "b", "c")
	select {
	case <-waiting:
	default:
		t.Error("who waited was not woken")
	}
	link(1, 7, 0)
	state("link a has no credit", "b", "c")
	link(1, 7, 1)
	state("link a has credit", "a", "b", "c")
	link(2, 7, 0)
	w.observe(encode(t, 2, &frame.Detach{Handle: 7, Closed: true}))
	state("link c is detached", "a", "b", "c")
	link(1, 8, 0)
	session(1, 0)
	w.observe(encode(t, 1, &frame.End{}))
	state("session 1 has ended", "a", "b", "c")
	if len(w.links)+len(w.shut) != 0 {
		t.Errorf("left over: %v, %v", w.links, w.shut)
	}
}
