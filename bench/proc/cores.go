package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Cores is where the time of all cores of this machine went, in ticks since it began.
type Cores struct {
	All, Idle int64
	// Stolen is the time in which a core had something to do and the machine's host ran something else on it. It is always 0 on a machine of its own.
	Stolen int64
}

// ReadCores reads the first line of /proc/stat.
func ReadCores() (Cores, error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Cores{}, err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return parseCores(line)
}

// parseCores takes user, nice, system, idle, iowait, irq, softirq and steal. The guest times behind them are in user already.
func parseCores(line string) (c Cores, err error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return c, fmt.Errorf("the first line of /proc/stat is %q", line)
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return c, fmt.Errorf("the first line of /proc/stat is %q: %w", line, err)
		}
		c.All += n
		switch i {
		case 3, 4:
			c.Idle += n
		case 7:
			c.Stolen = n
		}
	}
	return c, nil
}

// Minus is the time between two looks.
func (c Cores) Minus(before Cores) Cores {
	return Cores{All: c.All - before.All, Idle: c.Idle - before.Idle, Stolen: c.Stolen - before.Stolen}
}

// Plus adds the times of two spans up.
func (c Cores) Plus(o Cores) Cores {
	return Cores{All: c.All + o.All, Idle: c.Idle + o.Idle, Stolen: c.Stolen + o.Stolen}
}

// StolenShare is the share of the cores' time, 0 to 1, that the host took away; 0 if no time has passed.
func (c Cores) StolenShare() float64 { return c.share(c.Stolen) }

func (c Cores) share(part int64) float64 {
	if c.All <= 0 {
		return 0
	}
	return float64(part) / float64(c.All)
}

// Idle is the share of all cores' time, 0 to 1, that nobody used in the next moment of length d.
func Idle(d time.Duration) (float64, error) {
	before, err := ReadCores()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	after, err := ReadCores()
	if err != nil {
		return 0, err
	}
	passed := after.Minus(before)
	return passed.share(passed.Idle), nil
}
