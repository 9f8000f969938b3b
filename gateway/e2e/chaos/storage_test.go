package chaos

import (
	"context"
	"net/url"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
)

const (
	// Redis has sixteen databases. Those of a run must be its own, since it empties it.
	firstDatabase, lastDatabase = 5, 15
	leaseKey                    = "chaos-run"
	// leaseFor bounds how long a run that was killed keeps others from its database.
	leaseFor = 15 * time.Minute
)

// leaseDatabase finds a database that no other run has, empties it and returns the URL of it.
func leaseDatabase(t *testing.T, raw, run string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("%s cannot be read as a URL", rig.EnvRedis)
	}
	ctx := rig.Context(t)
	for number := firstDatabase; number <= lastDatabase; number++ {
		u.Path = "/" + strconv.Itoa(number)
		o, err := goredis.ParseURL(u.String())
		if err != nil {
			t.Fatalf("%s: %v", rig.EnvRedis, err)
		}
		db := goredis.NewClient(o)
		if takeDatabase(ctx, t, db, run) {
			t.Cleanup(func() {
				if err := db.FlushDB(context.Background()).Err(); err != nil {
					t.Errorf("emptying database %d: %v", number, err)
				}
				_ = db.Close()
			})
			return u.String()
		}
		_ = db.Close()
	}
	t.Fatalf("all Redis databases from %d to %d are in use by other runs; wait for them, or delete the key %s", firstDatabase, lastDatabase, leaseKey)
	return ""
}

func takeDatabase(ctx context.Context, t *testing.T, db *goredis.Client, run string) bool {
	t.Helper()
	taken, err := db.SetNX(ctx, leaseKey, run, leaseFor).Result()
	if err != nil {
		t.Fatalf("Redis: %v", err)
	}
	if !taken {
		return false
	}
	// FLUSHDB takes our own lease too; in one transaction nobody can come in between.
	_, err = db.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.FlushDB(ctx)
		p.Set(ctx, leaseKey, run, leaseFor)
		return nil
	})
	if err != nil {
		t.Fatalf("Redis: %v", err)
	}
	return true
}
