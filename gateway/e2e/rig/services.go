package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Names of services as scripts/services has them.
const (
	RabbitMQ        = "rabbitmq"
	RedisReplicated = "redis-replicated"
	RedisReplica    = "redis-replica" // a copy of RedisReplicated, until somebody changes that
	RedisSentinel   = "redis-sentinel"
)

// Services are real services of a test's own: other tests do not notice what is done to them.
type Services struct {
	t      testing.TB
	script string
	set    []string // the environment that makes it this set
	env    map[string]string
}

// OwnServices starts the named services, in that order, beside those that everybody uses. They end with the test and leave nothing.
func OwnServices(t testing.TB, names ...string) *Services {
	t.Helper()
	s := &Services{t: t, script: Env(t, EnvServices)}
	for _, v := range os.Environ() {
		// The addresses in our environment are those of the shared set: the script would take them for services from elsewhere.
		if !strings.HasPrefix(v, "SLUICE_TEST_") && !strings.HasPrefix(v, "SLUICE_PORT_OFFSET=") {
			s.set = append(s.set, v)
		}
	}
	s.set = append(s.set, fmt.Sprint("SLUICE_PORT_OFFSET=", leaseSet(t)))
	s.Do("down") // of a run that was killed
	t.Cleanup(func() { s.Do("down") })
	for _, name := range names {
		s.Do("start", name)
	}
	s.env = map[string]string{}
	for line := range strings.Lines(s.output("env")) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			s.env[name] = value
		}
	}
	return s
}

// leaseSet finds a set that no other test has and returns its port offset.
func leaseSet(t testing.TB) int {
	t.Helper()
	base := 0
	if text := os.Getenv("SLUICE_PORT_OFFSET"); text != "" {
		var err error
		if base, err = strconv.Atoi(text); err != nil {
			t.Fatalf("SLUICE_PORT_OFFSET is %q; use a whole number", text)
		}
	}
	for n := 1; n <= setsMax; n++ {
		offset := base + n*setStride
		if lease(t, fmt.Sprintf("sluice-services-%d.lock", offset)) {
			return offset
		}
	}
	t.Fatalf("%d tests have services of their own already; wait for one to end", setsMax)
	return 0
}

// URL is where a service of the set is.
func (s *Services) URL(name string) string {
	s.t.Helper()
	key := "SLUICE_TEST_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_URL"
	if s.env[key] == "" {
		s.t.Fatalf("scripts/services does not tell %s", key)
	}
	return s.env[key]
}

// Do runs a command of scripts/services on the set: start, stop, kill or restart with a name, or replicaof with two.
func (s *Services) Do(command ...string) {
	s.t.Helper()
	s.output(command...)
}

func (s *Services) output(command ...string) string {
	s.t.Helper()
	cmd := exec.Command(s.script, command...)
	cmd.Env = s.set
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("scripts/services %s: %v\n%s", strings.Join(command, " "), err, clip(errs.String()))
	}
	return string(out)
}
