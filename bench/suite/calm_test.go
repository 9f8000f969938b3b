package suite

import (
	"errors"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/load"
	"sluice/bench/report"
)

// measuring gives one share after the other.
func measuring(shares ...float64) (measure func() (int, float64, error), tries *int) {
	tries = new(int)
	return func() (int, float64, error) {
		*tries++
		return *tries, shares[*tries-1], nil
	}, tries
}

func TestASpanIsMeasuredAgainUntilItIsCalm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		shares []float64
		left   time.Duration
		want   int // the try that counts
		tries  int
		worst  float64
	}{
		{"calm at once", []float64{stolenMost}, time.Hour, 1, 1, stolenMost},
		{"calm at last", []float64{0.3, 0.1, 0.01}, time.Hour, 3, 3, 0.01},
		{"never calm", []float64{0.3, 0.1, 0.2, 0.4, 0}, time.Hour, 2, calmTries, 0.1},
		{"no time for it", []float64{0.3, 0}, 0, 1, 1, 0.3},
		{"time for one", []float64{0.3, 0.2, 0}, 1, 2, 2, 0.2},
	} {
		measure, tries := measuring(c.shares...)
		books := calmness{left: c.left}
		got, err := calmest(&books, measure)
		if err != nil || got != c.want || *tries != c.tries {
			t.Errorf("%s: try %d of %d counts (%v), want %d of %d", c.name, got, *tries, err, c.want, c.tries)
		}
		if books.spans != 1 || books.again != c.tries-1 || books.worst != c.worst {
			t.Errorf("%s: %+v", c.name, books)
		}
	}
	broken := errors.New("broken")
	books := calmness{left: time.Hour}
	if _, err := calmest(&books, func() (int, float64, error) { return 0, 0, broken }); !errors.Is(err, broken) || books.spans != 0 {
		t.Errorf("%v, %+v", err, books)
	}
}

// What a scenario does not need of the time for measuring again is there for the next one; what is told below the table is its own.
func TestTimeForMeasuringAgain(t *testing.T) {
	t.Parallel()
	c := calmness{spans: 3, again: 2, worst: 0.1, left: time.Second}
	c.begin(10 * time.Second)
	if want := (calmness{left: 3 * time.Second}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	c = calmness{left: -time.Minute}
	if c.begin(10 * time.Second); c.left != 2*time.Second {
		t.Errorf("%v are left", c.left)
	}
	c.note(0.01)
	c.note(0.005)
	var s report.Setup
	if c.tell(&s); s.Spans != 2 || s.Again != 0 || s.Stolen != 0.01 {
		t.Errorf("%+v", s)
	}
}

func TestHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		seconds int
		arrived int64 // of 1,000 a second
		fan     int
		want    bool
	}{
		{"all", 1, 1000, 1, true},
		{"a few on their way", 1, 900, 1, true},
		{"a backlog that grows", 1, 890, 1, false},
		{"a small one, seen in a long span", 30, 28_000, 1, false},
		{"what was behind has come", 1, 1200, 1, true},
		{"one message to many", 10, 9000, 500, true},
		{"nothing", 1, 0, 1, false},
	} {
		var tt timetable
		h := hdrhistogram.New(1, 1000, 1)
		tt.add(measured{Span: load.Span{Elapsed: time.Duration(c.seconds) * time.Second, Arrived: c.arrived, Latency: h, Late: h}}, 1000, c.fan)
		if got := tt.held(); got != c.want {
			t.Errorf("%s: %.1f %% arrived, held %v", c.name, tt.share(), got)
		}
	}
}

func TestByRounds(t *testing.T) {
	t.Parallel()
	minus := func(a, b float64) float64 { return a - b }
	if got := byRounds([]float64{3, 90, 4}, []float64{1, 1, 1}, minus); got != 3 {
		t.Errorf("one round of three was disturbed: %v", got)
	}
	if got := byRounds([]float64{3, 90}, []float64{1, 2}, minus); got != 45 {
		t.Errorf("two rounds: %v", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("nothing: %v", got)
	}
}

// The node's own figure cannot hide behind what the bus saves with more messages.
func TestNodesRatio(t *testing.T) {
	t.Parallel()
	parts := []string{"gateway", "bus"}
	few := map[string]float64{"gateway": 20, "bus": 80}
	for _, c := range []struct {
		gateway, bus, want float64
	}{{20, 80, 1}, {30, 40, 1.5}, {20, 130, 1.5}, {10, 40, 0.5}} {
		if got := nodesRatio(few, map[string]float64{"gateway": c.gateway, "bus": c.bus}, parts); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := nodesRatio(map[string]float64{}, few, parts); got != 0 {
		t.Errorf("nothing to compare with: %v", got)
	}
}

// A rate that was not held has no latency, and must not be left out of a goal for that.
func TestAGoalWithoutAFigureIsShort(t *testing.T) {
	t.Parallel()
	section := &report.Section{}
	promise(section, "none", "nothing is measured", 2, false, nil)
	promise(section, "slow", "latency", 2, false, []found{{1, "1 device"}, worseIfMissing(report.Row{}, "p99_added", "10 devices")})
	promise(section, "fast", "rate", 2, true, []found{{3, "1 device"}, {2.5, "10 devices"}})
	if len(section.Targets) != 2 {
		t.Fatalf("%+v", section.Targets)
	}
	if got := section.Targets[0]; got.Held || got.Got != "rate not held" || got.Where != "10 devices" {
		t.Errorf("%+v", got)
	}
	if got := section.Targets[1]; !got.Held || got.Got != "2.50" || got.Where != "10 devices" {
		t.Errorf("%+v", got)
	}
}
