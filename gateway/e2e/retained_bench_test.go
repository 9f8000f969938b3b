package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/records"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
	"sluice/sessionstore/redis"
)

// BenchmarkWildcardOverManyRetainedTopics subscribes to a filter that matches 1,000 of 100,000 retained topics, none of which a common prefix
// leaves out, and reports besides the time until all have come what the PUBACK of another device of the same node takes meanwhile,
// and at rest.
func BenchmarkWildcardOverManyRetainedTopics(b *testing.B) {
	const groups, each = 1000, 100
	for qos := packet.QoS(0); qos <= 1; qos++ {
		b.Run(fmt.Sprintf("qos%d", qos), func(b *testing.B) {
			n := rig.Start(b, rig.Real(b))
			id := rig.Prefix(b)
			fill(b, func(yield func(string)) {
				for i := range groups {
					for j := range each {
						yield(fmt.Sprintf("%s/%d/%d/state", id, i, j))
					}
				}
			})
			d, _ := rig.Dial(b, n, packet.V5, rig.Clean(id))
			other := pingPong(b, n, id+"-other")
			atRest := other.during(func() { <-time.After(2 * time.Second) })
			var busy []time.Duration
			b.ResetTimer()
			for i := range b.N {
				filter := fmt.Sprintf("%s/+/%d/state", id, i%each)
				busy = append(busy, other.during(func() {
					d.Subscribe(filter, qos)
					d.Collect(groups)
				})...)
				d.Send(&packet.Unsubscribe{ID: d.NextID(), Filters: []string{filter}})
				mqtttest.Expect[*packet.Unsuback](d)
			}
			b.StopTimer()
			b.ReportMetric(percentile(atRest, 99), "ms-puback-p99-at-rest")
			b.ReportMetric(percentile(busy, 50), "ms-puback-p50")
			b.ReportMetric(percentile(busy, 99), "ms-puback-p99")
			d.Disconnect()
		})
	}
}

// fill retains something on each topic, straight in the store, and removes it with the benchmark.
func fill(b *testing.B, topics func(yield func(string))) {
	b.Helper()
	store, err := redis.Open(context.Background(), rig.Env(b, rig.EnvRedis), redis.Options{})
	if err != nil {
		b.Fatal(err)
	}
	put := func(payload string) {
		var pending sync.WaitGroup
		room := make(chan struct{}, 500)
		topics(func(topic string) {
			r := sessionstore.Retained{Topic: topic, Principal: "bench"}
			if payload != "" {
				r.Message, err = records.EncodePublish(&packet.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte(payload)})
				if err != nil {
					b.Fatal(err)
				}
			}
			room <- struct{}{}
			pending.Add(1)
			store.PutRetained("default", r, func(err error) {
				if err != nil {
					b.Error(err)
				}
				<-room
				pending.Done()
			})
		})
		pending.Wait()
	}
	put("21.5 degrees")
	b.Cleanup(func() {
		put("")
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
}

// pinger publishes one message after the other and measures what PUBACK takes.
type pinger struct {
	d     *mqtttest.Device
	topic string
}

func pingPong(b *testing.B, n *rig.Node, id string) *pinger {
	d, _ := rig.Dial(b, n, packet.V5, rig.Clean(id))
	b.Cleanup(d.Close)
	return &pinger{d: d, topic: id + "/x"}
}

// during measures while work runs.
func (p *pinger) during(work func()) (took []time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		start := time.Now()
		p.d.Publish(p.topic, []byte("x"), 1)
		took = append(took, time.Since(start))
		select {
		case <-done:
			return took
		default:
		}
	}
}

func percentile(d []time.Duration, p int) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)*p/100, len(d)-1)].Microseconds()) / 1000
}
