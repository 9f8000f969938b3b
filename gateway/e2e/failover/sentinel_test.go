package failover

import (
	"fmt"
	"net/url"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
)

// sentinelReady waits until the Sentinel knows the replica: before, it could not fail over.
func sentinelReady(t *testing.T, services *rig.Services) {
	t.Helper()
	u, err := url.Parse(services.URL(rig.RedisSentinel))
	if err != nil {
		t.Fatal(err)
	}
	sentinel := goredis.NewSentinelClient(&goredis.Options{Addr: u.Host})
	defer func() { _ = sentinel.Close() }()
	rig.Eventually(t, "the Sentinel knows the replica", func() error {
		replicas, err := sentinel.Replicas(rig.Context(t), "sluice").Result()
		if err == nil && len(replicas) == 0 {
			err = fmt.Errorf("it knows none")
		}
		return err
	})
}
