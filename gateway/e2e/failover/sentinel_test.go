package failover

import (
	"errors"
	"net/url"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// Sentinel tells the nodes who the primary is.
func TestSentinelFailsOver(t *testing.T) {
	p := rig.StartRedisPair(t, rig.RedisSentinel)
	sentinelReady(t, p.Services)
	n := rig.Start(t, rig.Real(t), "sessions.url="+p.Services.URL(rig.RedisSentinel))
	bus := rig.OpenBus(t, n)
	away, stays := rig.Prefix(t), rig.Prefix(t)
	leave(join(t, n, packet.V5, away))
	connected := join(t, n, packet.V311, stays)
	p.Synced()
	p.Kill()
	began := time.Now()
	if reason := connected.Publish("failover/x", []byte("needs the store"), 2); reason.Failed() {
		t.Errorf("PUBREC %v", reason)
	}
	t.Logf("QoS 2 goes on %.1fs after the primary died", time.Since(began).Seconds())
	expectServed(t, bus, connected, stays)
	d, present := comeBack(t, n, packet.V5, away)
	if !present {
		t.Error("the session is not there")
	}
	expectServed(t, bus, d, away)
}

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
			err = errors.New("it knows none")
		}
		return err
	})
}
