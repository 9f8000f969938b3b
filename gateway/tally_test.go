package gateway

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/events"
)

// A tally lives as long as its account has a connection here, or had a refusal lately: a device that is disconnected by each refusal is still seen.
func TestTalliesOutliveConnectionsOnlyWhileTheyAreWatched(t *testing.T) {
	gw := &Gateway{log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
	s := newTallies(gw)
	good, bad := events.Account{Client: "good"}, events.Account{Client: "bad"}
	first, second := s.enter(good), s.enter(good)
	if first != second {
		t.Error("two connections of an account are counted apart")
	}
	s.leave(first)
	if s.of[good] == nil {
		t.Error("the account is forgotten while it has a connection")
	}
	s.leave(second)
	for range 10 {
		broken := s.enter(bad)
		s.refused(broken)
		s.leave(broken)
	}
	if len(s.of) != 1 || s.of[bad].refused.Load() != 10 || s.wedges.Wedged() != 1 {
		t.Errorf("kept are %v, %d are wedged", s.of, s.wedges.Wedged())
	}
	s.look(t.Context())
	if s.of[bad] == nil {
		t.Error("an account that is watched is forgotten")
	}
	s.leave(nil) // a connection without a session
	s.refused(nil)
}
