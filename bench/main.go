// Command bench measures Sluice beside RabbitMQ's own MQTT plugin, a bare AMQP publisher and mosquitto, and writes docs/performance.md.
//
// `make bench` runs it. It starts services of its own by scripts/services, builds cmd/sluice, and goes through the scenarios (bench/suite). Results are kept
// for each scenario, so that a run that is interrupted goes on where it ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice/bench/crowd"
	"sluice/bench/report"
	"sluice/bench/suite"
)

// intro is at the top of the page.
var intro = `Measured by ` + "`make bench`" + `, which wrote this page; the figures behind it are in [performance.json](performance.json). All parts and the load
generator run on the same machine at the same time, so absolute rates say little about yours. What is promised are the ratios between contenders, which
took turns on the same cores, the same RabbitMQ and the same queue (A B A B).

The generator checks every message: a lost, changed, doubled or misplaced one fails the run, so that a fast wrong answer is no answer (QoS 0 may lose; then it
stands in the table). Latency is measured on a timetable from the moment a message was due (HdrHistogram, no coordinated omission); a rate that was not held
has none. Processor time is that of the processes with all their children, read from /proc; the generator's is shown beside it. Small figures behind a comma
are noise: run it twice. ` + suite.CalmRule() + `

How to repeat it, as root on Debian 12 or with Docker: ` + "`make bench`" + ` (about 25 minutes; ` + "`BENCH_TIME=1h`" + ` measures longer, ` + "`BENCH_FULL=1`" + ` the whole grid,
` + "`BENCH_SCENARIOS='uplink idle'`" + ` some of it, and ` + "`BENCH_SCENARIOS='hold holdmany'`" + ` holds connections for ` + "`BENCH_HOLD=10m`" + ` each). What is not measured stays on this page as it
was; the line below each part says when and how that part was measured. Go benchmarks of single parts, one revision against another:
` + "`make bench-compare OLD=v1.2.3`" + `. That a PUBLISH of QoS 0 or 1 is decoded and encoded without an allocation is not measured here but held by a test
(` + "`go test -run WithoutAllocation ./mqtt/packet`" + `).`

// defaultHold is how long connections are held.
const defaultHold = 10 * time.Minute

type options struct {
	budget    time.Duration
	hold      time.Duration
	full      bool
	rounds    int
	scenarios string
	results   string
	docs      string
	fresh     bool
	shared    bool
	pageOnly  bool
	binary    string
}

func main() {
	if crowd.Asked() {
		os.Exit(crowd.Serve(os.Stdin, os.Stdout))
	}
	var o options
	flag.DurationVar(&o.budget, "time", 25*time.Minute, "about how long all scenarios together may take, but for hold and holdmany")
	flag.DurationVar(&o.hold, "hold", defaultHold, "how long connections are held in the scenarios hold and holdmany")
	flag.BoolVar(&o.full, "full", false, "measure the whole grid; it takes what it takes")
	flag.IntVar(&o.rounds, "rounds", 2, "how often the contenders of a case take turns")
	flag.StringVar(&o.scenarios, "scenarios", "", "names, separated by spaces: "+strings.Join(suite.Names(), " ")+"; empty: all but hold and holdmany")
	flag.StringVar(&o.results, "results", "dist/bench", "folder for the results of each scenario")
	flag.StringVar(&o.docs, "docs", "docs", "folder of performance.md; empty: only print")
	flag.BoolVar(&o.fresh, "fresh", false, "measure again what is in -results already")
	flag.BoolVar(&o.shared, "shared", false, "use the services that the environment names instead of a set of its own")
	flag.BoolVar(&o.pageOnly, "page", false, "measure nothing, write the page from -results")
	flag.StringVar(&o.binary, "sluice", "", "the sluice to measure; empty: build this one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.budget <= 0 || o.rounds <= 0 || o.hold <= 0 {
		return errors.New("-time, -rounds and -hold must be more than zero")
	}
	names, err := suite.Choose(strings.Fields(o.scenarios))
	if err != nil {
		return err
	}
	began, failed := true, error(nil)
	if !o.pageOnly {
		began, failed = measure(ctx, o, names)
	}
	// One scenario that fails does not take the page from the others. A run that was stopped goes on later.
	if !began || o.docs == "" || ctx.Err() != nil {
		return failed
	}
	return errors.Join(failed, writePage(o, names))
}

// measure runs the scenarios with these names. It has not begun if there was nothing to measure with.
func measure(ctx context.Context, o options, names []string) (began bool, err error) {
	folder, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if o.binary == "" {
		o.binary = filepath.Join(folder, "sluice")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", o.binary, "sluice/cmd/sluice")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return false, fmt.Errorf("building cmd/sluice: %w\n%s", err, out)
		}
	}
	var lab *suite.Lab
	if o.shared {
		lab, err = suite.Open(ctx, o.binary, folder, os.Stdout)
	} else {
		lab, err = suite.OpenOwn(ctx, o.binary, folder, "scripts/services", os.Stdout)
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	settings := suite.Selection(o.budget, o.rounds)
	if o.full {
		settings = suite.Grid(o.budget, o.rounds)
	}
	settings.Hold = o.hold
	return true, lab.Run(ctx, settings, names, o.results, command(o), o.fresh)
}

// command is the line that measures the same again.
func command(o options) string {
	line := "make bench BENCH_TIME=" + o.budget.String() + fmt.Sprintf(" BENCH_ROUNDS=%d", o.rounds)
	if o.full {
		line += " BENCH_FULL=1"
	}
	if o.hold != defaultHold {
		line += " BENCH_HOLD=" + o.hold.String()
	}
	if o.scenarios != "" {
		line += " BENCH_SCENARIOS='" + o.scenarios + "'"
	}
	return line
}

// writePage takes every scenario that has results. What has none in this folder stays on the page as it is.
func writePage(o options, chosen []string) error {
	old, err := report.LoadPage(o.docs)
	if err != nil {
		return err
	}
	var sections []*report.Section
	for _, name := range suite.Names() {
		s, err := sectionOf(o.results, name, old)
		if err != nil {
			return err
		}
		if s != nil {
			sections = append(sections, s)
		} else if slices.Contains(chosen, name) {
			fmt.Printf("no results of %s: it is not on the page\n", name)
		}
	}
	if len(sections) == 0 {
		return fmt.Errorf("no results in %s", o.results)
	}
	return report.WritePage(o.docs, intro, sections)
}

// sectionOf gives what is in the folder of results, or else on the page already, and says if the last run failed. It is nil if there is nothing.
func sectionOf(results, name string, page []*report.Section) (*report.Section, error) {
	s, err := report.Load(results, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if i := slices.IndexFunc(page, func(s *report.Section) bool { return s.Name == name }); s == nil && i >= 0 {
		s = page[i]
	}
	failure, err := report.LoadFailure(results, name)
	if failure != "" {
		if s == nil {
			s = &report.Section{Name: name, Title: name}
		}
		s.Failed = failure
	}
	return s, err
}
