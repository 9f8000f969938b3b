package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/sessionstore"
	"sluice/sessionstore/storetest"
)

// openDurable opens a store on the pair of servers, with the replica in reach.
func openDurable(t *testing.T, opts Options) (s *Store, replica *goredis.Client) {
	t.Helper()
	url := serverURL(t, "SLUICE_TEST_REDIS_REPLICATED_URL")
	replica = adminOf(t, serverURL(t, "SLUICE_TEST_REDIS_REPLICA_URL"))
	if opts.Prefix == "" {
		opts.Prefix = newPrefix(t, url)
	}
	opts.Replicas = 1
	s = open(t, url, opts)
	awaitReplica(t, s)
	return s, replica
}

func awaitReplica(t *testing.T, s *Store) {
	t.Helper()
	every(t, func() bool {
		n, err := s.client.Do(context.Background(), "WAIT", 1, 1000).Int() // also from a cleanup
		if err != nil {
			t.Fatalf("WAIT: %v", err)
		}
		return n >= 1
	})
}

// stall makes the replica do nothing for so long: its connection stays. It returns once that has begun.
func stall(t *testing.T, s *Store, replica *goredis.Client, d time.Duration) (over time.Time) {
	t.Helper()
	asleep := make(chan error, 1)
	// The answer comes at the end of it: a client that gave up before would send it to sleep again.
	o := *replica.Options()
	o.ReadTimeout, o.MaxRetries = d+patience, -1
	sleeper := goredis.NewClient(&o)
	t.Cleanup(func() { _ = sleeper.Close() })
	over = time.Now().Add(d)
	go func() { asleep <- sleeper.Do(context.Background(), "DEBUG", "SLEEP", d.Seconds()).Err() }()
	t.Cleanup(func() {
		if err := await(t, asleep); err != nil {
			t.Errorf("DEBUG SLEEP: %v", err)
		}
		awaitReplica(t, s)
	})
	// On one connection, since that is what WAIT looks at.
	c := goredis.NewClient(s.client.(*goredis.Client).Options()).Conn()
	defer func() { _ = c.Close() }()
	every(t, func() bool {
		if err := c.Set(t.Context(), s.prefix+"stalled", "x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		n, err := c.Wait(t.Context(), 1, 50*time.Millisecond).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	return over
}

func TestConfirmedIsOnTheReplica(t *testing.T) {
	for _, aof := range []bool{false, true} {
		t.Run(fmt.Sprintf("aof %v", aof), func(t *testing.T) {
			s, replica := openDurable(t, Options{AOF: aof})
			if s.replication.aof.Load() != aof {
				t.Fatal("Redis 8 knows WAITAOF")
			}
			_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
			meta := s.keys(testKey)[0]
			has := func(field, want string) {
				t.Helper()
				if got, err := replica.HGet(t.Context(), meta, field).Result(); err != nil || got != want {
					t.Fatalf("confirmed, and the replica has %s %q, %v; want %q", field, got, err, want)
				}
			}
			has("owner", "node-a")
			writes := 300
			if aof {
				writes = 3 // each waits for the disk
			}
			for i := range writes {
				if err := await(t, send(s, f, sessionstore.SetInbox{Name: fmt.Sprint(i)})); err != nil {
					t.Fatal(err)
				}
				has("inbox", fmt.Sprint(i))
			}
			if err := release(t, s, f, time.Now(), false); err != nil {
				t.Fatal(err)
			}
			has("owner", "")
		})
	}
}

func TestDurableKeepsTheContract(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_REPLICATED_URL")
	subject := func(t *testing.T) func() sessionstore.Store {
		prefix := newPrefix(t, url)
		return func() sessionstore.Store {
			s, _ := openDurable(t, Options{Prefix: prefix, Times: storetest.Quick, Retained: storetest.Quota})
			return s
		}
	}
	storetest.Compare(t, inMemory, subject)
	storetest.CompareRetained(t, inMemory, subject)
}

// A replica that is slow for a while delays answers, and nothing else.
func TestStalledReplicaDelays(t *testing.T) {
	s, replica := openDurable(t, Options{ReplicaTimeout: 200 * time.Millisecond})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	over := stall(t, s, replica, 2*time.Second)
	finished, want := inOrder(t, s, f, 50)
	checkInOrder(t, s, finished, want)
	if early := time.Until(over); early > 100*time.Millisecond {
		t.Fatalf("confirmed %v before the replica woke up", early)
	}
}

// The answer of a write is lost; the repeat goes over a new connection and changes nothing. WAIT would be content with that.
func TestRepeatWaitsForWhatItsFirstCopyWrote(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_REPLICATED_URL")
	direct, replica := openDurable(t, Options{})
	p, through := newProxy(t, url)
	s := open(t, through, Options{Prefix: direct.prefix, Replicas: 1, ReplicaTimeout: 200 * time.Millisecond})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	over := stall(t, direct, replica, 2*time.Second)
	p.set(func() { p.cut = 1 })
	err := await(t, send(s, f, sessionstore.SetInbox{Name: "once"}))
	early := time.Until(over)
	if err != nil || early > 100*time.Millisecond {
		t.Fatalf("%v; answered %v before the replica woke up", err, early)
	}
	if unspent, struck := p.counts(); unspent != 0 || struck != 1 {
		t.Fatal("no answer was lost: the test tested nothing")
	}
}

func TestTooFewConfirm(t *testing.T) {
	opts := Options{ReplicaTimeout: 100 * time.Millisecond, Grace: 500 * time.Millisecond}
	s, replica := openDurable(t, opts)
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	over := stall(t, s, replica, 10*time.Second) // longer than what follows takes, also on a loaded machine
	if err := await(t, send(s, f, sessionstore.SetInbox{Name: "x"})); !errors.Is(err, sessionstore.ErrNotReplicated) {
		t.Fatalf("write: %v, want ErrNotReplicated", err)
	}
	if !errors.Is(sessionstore.ErrNotReplicated, sessionstore.ErrUnavailable) {
		t.Fatal("a caller that knows ErrUnavailable only would not understand")
	}
	// A session that there was not, and one that goes on: neither is claimed.
	fresh := sessionstore.Key{ClientID: "fresh"}
	for _, key := range []sessionstore.Key{fresh, testKey} {
		_, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60, Now: time.Now()})
		if !errors.Is(err, sessionstore.ErrNotReplicated) {
			t.Fatalf("claim of %v: %v, want ErrNotReplicated", key, err)
		}
	}
	if _, err := s.Get(t.Context(), fresh, time.Now()); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("the refused claim left a session: %v", err)
	}
	if found := mustGet(t, s); found.Owner == "node-b" || found.Inbox != "x" {
		t.Fatalf("after the refused claim: %+v", found)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, sessionstore.ErrNotReplicated) {
		t.Fatalf("Ready: %v, want ErrNotReplicated", err)
	}
	if time.Now().After(over) {
		t.Fatal("the replica is awake: the test tested nothing")
	}
}

func services(t *testing.T, verb, name string) {
	t.Helper()
	script := os.Getenv("SLUICE_TEST_SERVICES")
	if script == "" {
		t.Fatal(`SLUICE_TEST_SERVICES is not set: run "make test", or eval "$(scripts/services env)" after scripts/services up`)
	}
	if out, err := exec.Command(script, verb, name).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", verb, name, err, out)
	}
}

func TestReplicaThatIsGone(t *testing.T) {
	s, _ := openDurable(t, Options{ReplicaTimeout: 100 * time.Millisecond, Grace: 500 * time.Millisecond})
	c, _ := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	t.Cleanup(func() { services(t, "start", "redis-replica") })
	services(t, "stop", "redis-replica")
	_, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: testKey, Node: "node-b", Expiry: 60, Now: time.Now()})
	if !errors.Is(err, sessionstore.ErrNotReplicated) || !strings.Contains(err.Error(), "0 of 1") {
		t.Fatalf("claim: %v, want ErrNotReplicated that counts", err)
	}
	// Asked before: its owner keeps it.
	if found := mustGet(t, s); found.Epoch != c.Session.Epoch || found.Owner != "node-a" {
		t.Fatalf("the owner lost the session to a claim that could not be confirmed: %+v", found)
	}
	// A node starts all the same, and says that it is not ready.
	late := open(t, serverURL(t, "SLUICE_TEST_REDIS_REPLICATED_URL"), Options{Prefix: s.prefix, Replicas: 1, Grace: 500 * time.Millisecond})
	if err := late.Ready(t.Context()); !errors.Is(err, sessionstore.ErrNotReplicated) {
		t.Fatalf("Ready: %v, want ErrNotReplicated", err)
	}
	services(t, "start", "redis-replica")
	every(t, func() bool { return late.Ready(t.Context()) == nil })
	mustClaim(t, late, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
}

func TestServerThatForgetsIsRefused(t *testing.T) {
	s, _ := openDurable(t, Options{})
	url := serverURL(t, "SLUICE_TEST_REDIS_REPLICATED_URL")
	set := func(name, value string) {
		t.Helper()
		if err := s.client.Do(context.Background(), "CONFIG", "SET", name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, setting := range []struct {
		name, bad, good string
		opts            Options
		told            []string
	}{
		{"maxmemory-policy", "allkeys-lru", "noeviction", Options{Replicas: 1}, []string{"maxmemory-policy", "allkeys-lru", "noeviction"}},
		{"appendonly", "no", "yes", Options{Replicas: 1, AOF: true}, []string{"appendonly", "yes"}},
	} {
		t.Cleanup(func() { set(setting.name, setting.good) })
		set(setting.name, setting.bad)
		_, err := Open(t.Context(), url, setting.opts)
		if err == nil {
			t.Fatalf("%s %s: opened", setting.name, setting.bad)
		}
		for _, word := range setting.told {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not tell %q", setting.name, err, word)
			}
		}
		set(setting.name, setting.good)
		if store := open(t, url, setting.opts); store.replication.replicas != 1 {
			t.Fatal("replicas are not asked")
		}
	}
	// Who asks no replicas takes the risk.
	set("maxmemory-policy", "allkeys-lru")
	open(t, url, Options{})
}

func TestOldServerWithoutWaitAOF(t *testing.T) {
	s := open(t, serverURL(t, "SLUICE_TEST_REDIS7_URL"), Options{Replicas: 1, AOF: true})
	if s.replication.aof.Load() {
		t.Fatal("Redis 7.0 does not know WAITAOF")
	}
}

func TestReplicaOptions(t *testing.T) {
	for url, want := range map[string]struct {
		opts Options
		told string
	}{
		"redis://127.0.0.1:1":         {Options{Replicas: -1}, "-1"},
		"redis://127.0.0.1:2":         {Options{Replicas: 1, ReplicaTimeout: time.Minute}, "1m0s"},
		"redis+cluster://127.0.0.1:3": {Options{Replicas: 1}, "redis+sentinel://"},
	} {
		if _, err := Open(t.Context(), url, want.opts); err == nil || !strings.Contains(err.Error(), want.told) {
			t.Errorf("%s: %v, want it to tell %q", url, err, want.told)
		}
	}
}
