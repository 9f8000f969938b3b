package redis

import (
	"context"
	"crypto/rand"
	"os"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"sluice/sessionstore"
	"sluice/sessionstore/memory"
	"sluice/sessionstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// servers are the releases the store promises to work with.
var servers = []struct{ name, variable string }{
	{"newest", "SLUICE_TEST_REDIS_URL"},
	{"oldest", "SLUICE_TEST_REDIS7_URL"},
}

func serverURL(t testing.TB, variable string) string {
	t.Helper()
	u := os.Getenv(variable)
	if u == "" {
		t.Fatalf(`%s is not set: run "make test", or eval "$(scripts/services env)" after scripts/services up`, variable)
	}
	return u
}

// newPrefix gives a test keys of its own in a Redis that others use too, and removes them.
func newPrefix(t testing.TB, url string) string {
	t.Helper()
	prefix := "sluice-test-" + rand.Text() + ":"
	t.Cleanup(func() {
		admin := adminOf(t, url)
		for _, key := range keysOf(t, admin, prefix) {
			if err := admin.Del(context.Background(), key).Err(); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		}
	})
	return prefix
}

func adminOf(t testing.TB, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	admin := goredis.NewClient(o)
	t.Cleanup(func() { _ = admin.Close() })
	return admin
}

func keysOf(t testing.TB, admin *goredis.Client, prefix string) (found []string) {
	t.Helper()
	scan := admin.Scan(context.Background(), 0, prefix+"*", 1000).Iterator()
	for scan.Next(context.Background()) {
		found = append(found, scan.Val())
	}
	if err := scan.Err(); err != nil {
		t.Fatalf("scan: %v", err)
	}
	return found
}

func open(t testing.TB, url string, opts Options) *Store {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = zaptest.NewLogger(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := Open(ctx, url, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func freshOn(url string) storetest.Fresh {
	return func(t *testing.T) func() sessionstore.Store {
		prefix := newPrefix(t, url)
		return func() sessionstore.Store {
			return open(t, url, Options{Prefix: prefix, Times: storetest.Quick, Retained: storetest.Quota})
		}
	}
}

func TestContract(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) { storetest.Run(t, freshOn(serverURL(t, server.variable))) })
	}
}

func inMemory(t *testing.T) func() sessionstore.Store {
	s := memory.New(memory.Options{Times: storetest.Quick, Retained: storetest.Quota})
	t.Cleanup(func() { _ = s.Close() })
	return func() sessionstore.Store { return s }
}

func TestCompareWithMemory(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			subject := freshOn(serverURL(t, server.variable))
			storetest.Compare(t, inMemory, subject)
			storetest.CompareRetained(t, inMemory, subject)
		})
	}
}
