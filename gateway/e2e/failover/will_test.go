package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// willDelay is in seconds: enough to cut the replica off between the death of a device and its Will, also on a machine that stands still for a while.
const willDelay = 12

// Profile durable: a Will that is due while the replica is away is published once, not by the old primary's word and again by the new one's.
func TestDurablePublishesAWillOnce(t *testing.T) {
	p := startPair(t)
	n := rig.Start(t, rig.Real(t), "sessions.url="+p.url(), "profile=durable")
	bus := rig.OpenBus(t, n)
	id, topic := rig.Prefix(t), rig.Prefix(t)+"/will"
	queue := bus.Queue(topic)
	d := mqtttest.Dial(t, n.TCP, packet.V5)
	d.SetTimeout(rig.Patience)
	connack := d.Connect(rig.Persistent(id), func(c *packet.Connect) {
		c.Will = &packet.Will{Topic: topic, QoS: 1, Payload: []byte("died")}
		c.Will.Properties.SetWillDelay(willDelay)
	})
	if connack.Reason != packet.Success {
		t.Fatalf("CONNACK %v", connack.Reason)
	}
	d.Close()
	p.expectStored(t, "a note of when the will is due", "sluice:{timers:*}", func(db *goredis.Client, keys []string) (bool, error) {
		for _, key := range keys {
			if n, err := db.ZCount(rig.Context(t), key, fmt.Sprint(time.Now().UnixMilli()), "+inf").Result(); n > 0 || err != nil {
				return n > 0, err
			}
		}
		return false, nil
	})
	p.Synced()
	p.Lag()
	died := time.Now()
	queue.ExpectNothing(willDelay*time.Second + stuck)
	p.failOver()
	p.Rejoin()
	if got := string(queue.Take().Data[0]); got != "died" {
		t.Fatalf("the backend got %q", got)
	}
	t.Logf("the will came %.1fs after its device died, with a delay of %ds", time.Since(died).Seconds(), willDelay)
	p.expectStored(t, "nothing left to do", "sluice:*:work", func(_ *goredis.Client, keys []string) (bool, error) { return len(keys) == 0, nil })
	bus.Send(bus.Message(topic, []byte("the end"), 1))
	if got := string(queue.Take().Data[0]); got != "the end" {
		t.Errorf("the backend got %q once more", got)
	}
}

// expectStored waits until the keys that match a pattern are as they should be on the primary.
func (p *pair) expectStored(t *testing.T, what, pattern string, right func(db *goredis.Client, keys []string) (bool, error)) {
	t.Helper()
	p.With(p.Primary, func(ctx context.Context, db *goredis.Client) {
		rig.Eventually(t, what, func() error {
			keys, err := db.Keys(ctx, pattern).Result()
			if err != nil {
				return err
			}
			ok, err := right(db, keys)
			if err == nil && !ok {
				err = fmt.Errorf("there is %v", keys)
			}
			return err
		})
	})
}
