package suite

import (
	"fmt"
	"time"
)

// Settings say how much is measured.
type Settings struct {
	// Budget is about how long all scenarios together may take.
	Budget time.Duration
	// Full measures the whole grid instead of a selection.
	Full bool
	// Rounds is how often the contenders of a case take turns.
	Rounds int

	// The sizes. Tests make them tiny.
	Connections []int // of uplink and downlink at QoS 1
	Payloads    []int // in bytes, at QoS 1
	Fan         []int // devices of a fan-out
	Idle        []int // idle connections
	Growth      []int // connected devices
	Filters     []int // subscriptions on a node
	Active      int   // devices that send or receive while others idle
	Nodes       []int
	Recovery    int // devices of the node that is killed
	Storm       storm
	Held        [2]holding // on one node and on several
	// Hold is how long connections are held.
	Hold time.Duration

	warm, measure time.Duration // of one figure; zero: from the budget
	calm          time.Duration // how long memory has to stay as it is before it is read: a node gives memory back when it was calm for some seconds
	look          time.Duration // how long is looked whether processors have something to do
}

// Selection finishes in about the budget on two cores, if that is not less than 25 minutes; the whole grid does not.
func Selection(budget time.Duration, rounds int) Settings {
	return Settings{
		Budget: budget, Rounds: rounds, Connections: []int{1, 10, 100, 1000}, Payloads: []int{16, 1024, 64 << 10}, Fan: []int{1000},
		Idle: []int{1000, 5000, 15_000}, Growth: []int{100, 1000, 5000, 15_000}, Filters: []int{100, 1000, 10_000, 100_000}, Active: 50, Nodes: []int{1, 2, 4},
		Recovery: 5000, Storm: storm{2000, 6}, Held: [2]holding{{15_000, 1}, {60_000, 4}}, Hold: 10 * time.Minute, calm: 4 * time.Second, look: 400 * time.Millisecond,
	}
}

// Grid is everything.
func Grid(budget time.Duration, rounds int) Settings {
	s := Selection(budget, rounds)
	s.Full = true
	s.Payloads = []int{16, 128, 1024, 64 << 10}
	s.Fan = []int{10, 100, 1000}
	return s
}

// Tiny is for tests: it shows that all works and that nothing is lost, and its figures mean nothing.
func Tiny() Settings {
	return Settings{
		Rounds: 1, Connections: []int{3}, Payloads: []int{2000}, Fan: []int{5}, Idle: []int{3, 5}, Growth: []int{2, 4}, Filters: []int{2, 6}, Active: 3,
		Nodes: []int{1, 2}, Recovery: 8, Storm: storm{12, 2}, Held: [2]holding{{6, 1}, {8, 2}}, Hold: 300 * time.Millisecond,
		warm: 20 * time.Millisecond, measure: 100 * time.Millisecond, look: 20 * time.Millisecond,
	}
}

// key tells runs apart whose results must not be mixed.
func (s Settings) key() string {
	return fmt.Sprintf("budget %v, full %v, rounds %d", s.Budget, s.Full, s.Rounds)
}

// holdWarm is how long connections are under load before memory is looked at.
func (s Settings) holdWarm() time.Duration { return min(holdWarm, s.Hold/2) }

// pace divides a share of the budget among so many measured spans.
func (s Settings) pace(share float64, spans int) (warm, measure time.Duration) {
	if s.measure > 0 {
		return s.warm, s.measure
	}
	// A third of the time goes into connecting, draining and cleaning up.
	each := time.Duration(share * float64(s.Budget) * 0.65 / float64(max(1, spans)))
	measure = min(max(each*3/4, measureMin), measureMax)
	return measure / 3, measure
}
