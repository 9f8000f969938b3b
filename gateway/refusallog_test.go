package gateway

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice/mapping/failure"
)

// Of many refused messages of QoS 0 a bounded number is logged, and of the others how many they are, also when nothing follows; those of QoS 1 are all. So it is with
// refused connections and filters.
func TestRefusalsAreLoggedInBoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		l := &refusalLog{gw: &Gateway{log: zap.New(core)}}
		took := func(n int, o *failure.Occurrence) (taken int) {
			for range n {
				if l.takes(time.Now(), o) {
					taken++
				}
			}
			return taken
		}
		if got := took(5*refusalLines, &failure.Occurrence{Failure: failure.Refused}); got != refusalLines {
			t.Errorf("%d lines, want %d", got, refusalLines)
		}
		if got := took(5*refusalLines, &failure.Occurrence{Failure: failure.Refused, QoS: 1}); got != 5*refusalLines {
			t.Errorf("QoS 1: %d lines", got)
		}
		l.look(t.Context())
		if logs.Len() != 0 {
			t.Error("the count is told before the window is over")
		}
		time.Sleep(refusalWindow)
		l.look(t.Context())
		l.look(t.Context())
		l.end()
		if all := logs.All(); len(all) != 1 || all[0].ContextMap()["count"] != uint64(4*refusalLines) {
			t.Errorf("%v", all)
		}
		if got := took(1, &failure.Occurrence{Failure: failure.Refused}); got != 1 {
			t.Error("the next window has no line")
		}
		if got := took(5*refusalLines, &failure.Occurrence{Failure: failure.BadCredentials}); got != refusalLines {
			t.Errorf("%d lines about connections, want %d", got, refusalLines)
		}
		l.end()
		if all := logs.All(); len(all) != 2 || all[1].Message != "more connections were refused than are logged one by one" || all[1].ContextMap()["count"] != uint64(4*refusalLines) {
			t.Errorf("%v", all)
		}
		if got := took(5*refusalLines, &failure.Occurrence{Failure: failure.FilterNotValid}); got != refusalLines {
			t.Errorf("%d lines about filters, want %d", got, refusalLines)
		}
		l.end()
		if all := logs.All(); len(all) != 3 || all[2].Message != "more topic filters were refused than are logged one by one" {
			t.Errorf("%v", all)
		}
	})
}
