package chaos

import (
	"cmp"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// settings are what a run can be told by environment variables.
type settings struct {
	storm      time.Duration // CHAOS_SECONDS: how long random faults go on
	kills      int           // CHAOS_KILLS: SIGKILLs in that time
	devices    int           // CHAOS_DEVICES
	rate       int           // CHAOS_RATE: messages per second, both directions together
	seed       uint64        // CHAOS_SEED: of the fault schedule; random without
	profile    string        // CHAOS_PROFILE: durable or standard
	failovers  int           // CHAOS_FAILOVERS: fail-overs of Redis in that time
	restartBus bool          // CHAOS_RESTART_BUS=1: RabbitMQ is restarted, then killed. It is the run's own
	alone      bool          // CHAOS_SECONDS is set: no other tests share the machine, so that times say something
}

// The defaults are the short run, which must fit into the time and the two cores that it shares with all other tests.
func readSettings(t *testing.T) settings {
	t.Helper()
	s := settings{
		storm:      time.Duration(number(t, "CHAOS_SECONDS", 22)) * time.Second,
		kills:      number(t, "CHAOS_KILLS", 5),
		devices:    number(t, "CHAOS_DEVICES", 120),
		rate:       number(t, "CHAOS_RATE", 300),
		seed:       uint64(number(t, "CHAOS_SEED", 0)),
		profile:    cmp.Or(os.Getenv("CHAOS_PROFILE"), "durable"),
		restartBus: number(t, "CHAOS_RESTART_BUS", 0) != 0,
		alone:      os.Getenv("CHAOS_SECONDS") != "",
	}
	s.failovers = number(t, "CHAOS_FAILOVERS", map[string]int{"durable": 1}[s.profile])
	if s.seed == 0 {
		s.seed = uint64(rand.Uint32()) + 1
	}
	if s.storm < shortestStorm || s.devices < nodeCount || s.devices > devicesMax || s.rate < 1 {
		t.Fatalf("%+v cannot be run: CHAOS_SECONDS must be at least %v, CHAOS_DEVICES %d to %d, CHAOS_RATE at least 1", s, shortestStorm, nodeCount, devicesMax)
	}
	if most := int(s.storm / (time.Second * 2)); s.kills > most {
		t.Fatalf("%d kills in %v leave no time to serve; use CHAOS_KILLS up to %d, or more CHAOS_SECONDS", s.kills, s.storm, most)
	}
	if most := int(s.storm / failoverSlot); s.failovers > most {
		t.Fatalf("%d fail-overs in %v are too many; use CHAOS_FAILOVERS up to %d, or more CHAOS_SECONDS", s.failovers, s.storm, most)
	}
	if s.profile != "durable" && (s.profile != "standard" || s.failovers > 0) {
		t.Fatalf("CHAOS_PROFILE is %q with %d fail-overs; use durable, or standard with CHAOS_FAILOVERS=0: there a fail-over may lose something", s.profile, s.failovers)
	}
	return s
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q; use a whole number that is not negative", name, text)
	}
	return n
}
