package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bench/crowd"
	"sluice/bench/load"
	"sluice/bench/report"
)

// binary is the sluice that the tests run.
var binary string

func TestMain(m *testing.M) {
	if crowd.Asked() {
		os.Exit(crowd.Serve(os.Stdin, os.Stdout))
	}
	folder, err := os.MkdirTemp("", "sluice-bench-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building cmd/sluice: %v\n%s", err, out))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// openLab uses the services that all tests use. Without them the test fails.
func openLab(t *testing.T) *Lab {
	t.Helper()
	l, err := Open(t.Context(), binary, t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return l
}

// Every scenario runs in small, against the real services, and every message of every contender arrives. The figures mean nothing here.
func TestScenarios(t *testing.T) {
	l, results, names := openLab(t), t.TempDir(), Names()
	if err := l.Run(t.Context(), Tiny(), names, results, "go test", false); err != nil {
		t.Fatal(err)
	}
	var sections []*report.Section
	for _, name := range names {
		s, err := report.Load(results, name)
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections, s)
		checkSection(t, s)
	}
	if rows := sections[0].Rows; !slices.ContainsFunc(rows, func(r report.Row) bool { return r.Peer == peerPlugin && r.Values["p50"] > 0 }) {
		t.Errorf("the plugin is not in the uplink table: %+v", rows)
	}
	if err := report.WritePage(t.TempDir(), "", sections); err != nil {
		t.Error(err)
	}
	// What is there is not measured again.
	var said strings.Builder
	l.out = &said
	if err := l.Run(t.Context(), Tiny(), names, results, "go test", false); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), "is there already"); n != len(names) {
		t.Errorf("%d of %d scenarios were taken from the results:\n%s", n, len(names), &said)
	}
}

// checkSection demands that each row has a figure that is more than nothing, and that somebody looked how calm the machine was meanwhile.
func checkSection(t *testing.T, s *report.Section) {
	t.Helper()
	if len(s.Rows) == 0 {
		t.Errorf("%s has no rows", s.Name)
	}
	if s.Setup.Spans == 0 || s.Setup.Stolen < 0 || s.Setup.Stolen > 1 {
		t.Errorf("%s: %.2f of the cores' time is stolen in %d spans", s.Name, s.Setup.Stolen, s.Setup.Spans)
	}
	for _, r := range s.Rows {
		positive := 0
		for _, c := range s.Columns {
			if r.Values[c.Key] > 0 {
				positive++
			}
		}
		if positive == 0 {
			t.Errorf("%s: %s, %s has no figures: %v", s.Name, r.Case, r.Peer, r.Values)
		}
	}
}

// stutter sends one message twice.
type stutter struct{ load.Sender }

func (s stutter) Send(stream int, seq uint32, due int64) error {
	if seq == 3 {
		if err := s.Sender.Send(stream, seq, due); err != nil {
			return err
		}
	}
	return s.Sender.Send(stream, seq, due)
}

// A contender that is fast and wrong has no figures.
func TestAWrongAnswerFails(t *testing.T) {
	l := openLab(t)
	sh := shape{devices: 1, size: 20}
	wrong := contender{name: "wrong", open: func(ctx context.Context) (*setup, error) {
		s, err := l.bare(sh)(ctx)
		if err == nil {
			s.drive.Sender = stutter{s.drive.Sender}
		}
		return s, err
	}}
	rows, err := l.run(t.Context(), 1, trial{name: sh.String(), window: 10, warm: 10 * time.Millisecond, measure: 50 * time.Millisecond, contenders: []contender{wrong}})
	if err == nil || !strings.Contains(err.Error(), "1 messages came twice") || rows != nil {
		t.Errorf("%v, rows %v", err, rows)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	if _, err := Choose([]string{"uplink", "upside"}); err == nil || !strings.Contains(err.Error(), `"upside"`) {
		t.Errorf("%v", err)
	}
	if names, err := Choose([]string{"idle"}); err != nil || !slices.Equal(names, []string{"idle"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// The default selection fits into its 25 minutes as far as it can be known beforehand, and the grid has what the issue asks for.
func TestPlan(t *testing.T) {
	t.Parallel()
	s := Selection(25*time.Minute, 2)
	_, measure := s.pace(scenarios[0].share, uplinkSpans(s))
	if spent := measure * time.Duration(uplinkSpans(s)); spent > 6*time.Minute {
		t.Errorf("%d uplink cases are measured for %v", len(uplinkShapes(s)), spent)
	}
	shares := 0.0
	for _, sc := range scenarios {
		shares += sc.share
	}
	if shares > 1+1e-9 {
		t.Errorf("all scenarios together have %v of the budget", shares)
	}
	grid := Grid(time.Hour, 2)
	for _, devices := range []int{1, 10, 100, 1000} {
		for _, size := range []int{16, 128, 1024, 65536} {
			if !slices.Contains(uplinkShapes(grid), shape{devices: devices, size: size, qos: 1}) {
				t.Errorf("the grid lacks %s with %d bytes", count(devices, "device"), size)
			}
		}
	}
}
