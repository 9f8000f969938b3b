package redis

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

const benchSessions = 512

// BenchmarkClaim: 512 devices connect at once, each to its own session, again and again.
func BenchmarkClaim(b *testing.B) {
	s := openBench(b)
	each(b, func(device, n int) {
		for range n {
			_, err := s.Claim(b.Context(), sessionstore.ClaimRequest{Key: benchKey(device), Node: "n", Expiry: 60, Now: time.Now()})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkWrite: 512 devices, each waits for its write before the next, as a QoS 2 handshake does.
func BenchmarkWrite(b *testing.B) {
	s := openBench(b)
	fences := make([]sessionstore.Fence, benchSessions)
	for i := range fences {
		c, err := s.Claim(b.Context(), sessionstore.ClaimRequest{Key: benchKey(i), Node: "n", Expiry: 60, Now: time.Now()})
		if err != nil {
			b.Fatal(err)
		}
		fences[i] = sessionstore.Fence{Key: benchKey(i), Epoch: c.Session.Epoch}
	}
	b.ReportAllocs()
	b.ResetTimer()
	each(b, func(device, n int) {
		done := make(chan error, 1)
		for i := range n {
			op := sessionstore.Op(sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(i / 2 % 20), MessageID: "0123456789abcdef"}})
			if i%2 == 1 {
				op = sessionstore.DeleteInbound{PacketID: uint16(i / 2 % 20)}
			}
			s.Write(fences[device], []sessionstore.Op{op}, func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func benchKey(i int) sessionstore.Key {
	return sessionstore.Key{Tenant: "t", Principal: "p", ClientID: fmt.Sprint("device-", i)}
}

func openBench(b *testing.B) *Store {
	url := serverURL(b, "SLUICE_TEST_REDIS_URL")
	return open(b, url, Options{Prefix: newPrefix(b, url), Logger: zap.NewNop()})
}

// each shares b.N among the devices.
func each(b *testing.B, run func(device, n int)) {
	var wg sync.WaitGroup
	for i := range benchSessions {
		n := b.N / benchSessions
		if i < b.N%benchSessions {
			n++
		}
		wg.Go(func() { run(i, n) })
	}
	wg.Wait()
}
