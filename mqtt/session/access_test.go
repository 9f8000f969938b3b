package session

import (
	"slices"
	"testing"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// rights is an Access for scripts and walks: these filters are denied, all else has a QoS of at most most.
type rights struct {
	denied []string
	most   packet.QoS
}

func (r *rights) Subscribe(filter string) (packet.QoS, bool) {
	if _, plain, ok := topic.Shared(filter); ok {
		return r.most, !slices.ContainsFunc(r.denied, func(d string) bool { return topic.Overlap(d, plain) })
	}
	return r.most, !slices.Contains(r.denied, filter)
}

func (r *rights) Deliver(name string) (packet.QoS, bool) {
	return r.most, !slices.ContainsFunc(r.denied, func(d string) bool { return topic.Match(d, name) })
}

// heldBack reports whether the device may not hear this now.
func (w *watcher) heldBack(name string) bool {
	_, ok := w.m.hears(name, 0)
	return !ok
}

// Reviews do not pile up: one that has not begun sees everything.
func TestOneReviewWaits(t *testing.T) {
	s := &script{t: t, start: scriptStart, now: scriptStart, cfg: testConfig(), access: &rights{most: 2}}
	for _, line := range []string{"open", "connect id=c clean", "opened", "subscribe 1 a:1"} {
		if err := s.run(parseArgs(line)); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		s.m.Step(s.now, AccessChanged{}, nil)
	}
	if n := len(s.m.subs.requests); n != 2 {
		t.Errorf("%d requests, want the SUBSCRIBE and one review", n)
	}
}
