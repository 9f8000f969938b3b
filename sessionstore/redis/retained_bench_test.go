package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

const benchTopics = 100_000

// BenchmarkRetained: 100,000 topics of one tenant. A walk reads them all page by page, which a filter like +/line/077/# may ask for, and the
// messages of 1,000 of them. It reports Redis' memory for each topic, with a message of 50 bytes.
func BenchmarkRetained(b *testing.B) {
	url := serverURL(b, "SLUICE_TEST_REDIS_URL")
	s := open(b, url, Options{Prefix: newPrefix(b, url), Logger: zap.NewNop()})
	fillRetained(b, s)
	b.Run("put", func(b *testing.B) {
		for i := range b.N {
			done := make(chan error, 1)
			s.PutRetained("t", benchRetained(i*7919%benchTopics), func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("walk", func(b *testing.B) {
		for range b.N {
			walkRetained(b, s)
		}
		used := int64(0)
		for _, key := range s.retainedKeys("t") {
			used += s.client.MemoryUsage(b.Context(), key, 1000).Val()
		}
		b.ReportMetric(float64(used)/benchTopics, "B/topic")
	})
}

func benchRetained(i int) sessionstore.Retained {
	return sessionstore.Retained{
		Topic: fmt.Sprintf("site/%03d/line/%03d/temperature", i%100, i/100), Principal: "p", ClientID: "device-1", Message: make([]byte, 50),
	}
}

func fillRetained(b *testing.B, s *Store) {
	var done sync.WaitGroup
	for i := range benchTopics {
		done.Add(1)
		s.PutRetained("t", benchRetained(i), func(err error) {
			if err != nil {
				b.Error(err)
			}
			done.Done()
		})
		if i%10_000 == 9_999 {
			done.Wait() // bounds what waits in the lanes
		}
	}
}

func walkRetained(b *testing.B, s *Store) {
	var matched []string
	for from := ""; ; {
		page, err := s.RetainedTopics(b.Context(), "t", from, "", sessionstore.MaxRetainedPage)
		if err != nil {
			b.Fatal(err)
		}
		for _, topic := range page {
			if strings.HasPrefix(topic, "site/042/") {
				matched = append(matched, topic)
			}
		}
		if len(page) < sessionstore.MaxRetainedPage {
			break
		}
		from = page[len(page)-1] + "\x00"
	}
	if found, err := s.GetRetained(b.Context(), "t", matched); err != nil || len(found) != 1000 {
		b.Fatalf("%d messages, %v", len(found), err)
	}
}
