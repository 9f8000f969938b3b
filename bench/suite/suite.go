package suite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"sluice/bench/proc"
	"sluice/bench/report"
)

// scenario is one of the things that are measured.
type scenario struct {
	name  string
	share float64 // of the budget; 0: it takes its own time, and is measured only when it is named
	run   func(l *Lab, ctx context.Context, s Settings, share float64) (*report.Section, error)
}

var scenarios = []scenario{
	{"uplink", 0.25, (*Lab).uplinkScenario},
	{"downlink", 0.19, (*Lab).downlinkScenario},
	{"idle", 0.18, (*Lab).idleScenario},
	{"nodes", 0.05, (*Lab).nodesScenario},
	{"recovery", 0.03, (*Lab).recoveryScenario},
	{"storm", 0.03, (*Lab).stormScenario},
	{"neighbour", 0.1, (*Lab).neighbourScenario},
	{"growth", 0.17, (*Lab).growthScenario}, // the bus is busy for minutes with what it leaves behind
	{"hold", 0, (*Lab).holdScenario},
	{"holdmany", 0, (*Lab).holdManyScenario},
}

// Names are those of the scenarios, in their order.
func Names() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// Choose checks names of scenarios; none are all that have a share of the budget.
func Choose(names []string) ([]string, error) {
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", n, strings.Join(Names(), ", "))
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	for _, s := range scenarios {
		if s.share > 0 {
			names = append(names, s.name)
		}
	}
	return names, nil
}

// Run measures the scenarios with these names and saves each in folder. One that is there already, of the same revision and settings, is taken from there
// unless fresh. A scenario that fails does not keep the others from being measured.
func (l *Lab) Run(ctx context.Context, s Settings, names []string, folder, command string, fresh bool) error {
	var failed error
	for _, sc := range scenarios {
		if !slices.Contains(names, sc.name) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		setup := l.setup(s, command)
		if !fresh && l.done(folder, sc.name, setup) {
			continue
		}
		l.say("== %s", sc.name)
		if err := l.tidy(ctx); err != nil {
			return errors.Join(failed, err)
		}
		if setup.Idle = l.idleCores(s.look); setup.Idle < quiet {
			l.say("BUSY: other work uses %.0f %% of this machine's processor time; the figures will say little", 100*(1-setup.Idle))
		}
		l.calm.begin(time.Duration(sc.share * float64(s.Budget)))
		began := time.Now()
		section, err := sc.run(l, ctx, s, sc.share)
		if err != nil {
			l.say("FAILED: %s: %v", sc.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", sc.name, err), l.saveFailure(ctx, folder, sc.name, setup, err))
			continue
		}
		section.Name, section.Setup = sc.name, setup
		section.Setup.Seconds = int(time.Since(began).Seconds())
		l.calm.tell(&section.Setup)
		if err := section.Save(folder); err != nil {
			return err
		}
		fmt.Fprintln(l.out, section.Table())
	}
	if l.own != nil {
		return failed // what is left behind goes with the services
	}
	return errors.Join(failed, l.tidy(ctx))
}

// saveFailure has the page say that a scenario failed; the log has all of it. Who stops a run does not make it fail.
func (l *Lab) saveFailure(ctx context.Context, folder, name string, setup report.Setup, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // See above: that the run was stopped is told by who stopped it.
	}
	what, _, _ := strings.Cut(err.Error(), "\n")
	if len(what) > failureMax {
		what = what[:failureMax] + "..."
	}
	return report.SaveFailure(folder, name, fmt.Sprintf("The run of %s (revision %s) failed here: %s", setup.Date, setup.Revision, what))
}

// tidy waits until the bus is done with what the scenario left to it: after nodes with many subscriptions it removes bindings for a minute, and answers
// nobody else meanwhile.
func (l *Lab) tidy(ctx context.Context) error {
	return l.await(ctx, tidyMax, "the bus has cleaned up", func() error {
		name := l.name()
		_, remove, err := l.queue(ctx, name, name)
		if err != nil {
			return err
		}
		return remove()
	})
}

func (l *Lab) done(folder, name string, setup report.Setup) bool {
	old, err := report.Load(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		l.say("%v", err)
		return false
	}
	if failure, err := report.LoadFailure(folder, name); err != nil || failure != "" {
		return false
	}
	if old.Setup.Revision != setup.Revision || old.Setup.Settings != setup.Settings {
		return false
	}
	l.say("== %s is there already, of %s (BENCH_FRESH=1 measures it again)", name, old.Setup.Date)
	return true
}

func (l *Lab) setup(s Settings, command string) report.Setup {
	info := l.topology.Info()
	software := []string{runtime.Version(), info.Product + " " + info.Version}
	if l.own != nil {
		software = append(software, l.versions()...)
	}
	return report.Setup{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Revision: revision(), Command: command, Machine: processor(), Cores: runtime.NumCPU(),
		Software: strings.Join(software, ", "), Settings: s.key(),
	}
}

// idleCores looks how much of the machine is ours.
func (l *Lab) idleCores(look time.Duration) float64 {
	idle, err := proc.Idle(look)
	if err != nil {
		l.say("%v", err)
	}
	return idle
}

// versions of what the bus does not tell.
func (l *Lab) versions() (found []string) {
	text, err := l.services(context.Background(), "status")
	if err != nil && text == "" {
		return nil
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 5 && f[1] == "ready" && f[0] != "rabbitmq" {
			found = append(found, f[0]+" "+f[3])
		}
	}
	return found
}

// revision is the commit that is measured. Changes that are not committed show, but for docs, where the results go.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--tags").Output()
	if err != nil {
		return "unknown"
	}
	text := strings.TrimSpace(string(out))
	if changes, err := exec.Command("git", "status", "--porcelain", "--", ":/", ":(top,exclude)docs").Output(); err != nil || len(changes) > 0 {
		text += " with changes"
	}
	return text
}

func processor() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
