package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !ok(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// take uses so many MiB.
func take(n int) [][]byte {
	taken := make([][]byte, n)
	for i := range taken {
		taken[i] = make([]byte, mib)
	}
	return taken
}

// run governs the test's own process.
func run(t *testing.T) *observer.ObservedLogs {
	core, logs := observer.New(zap.DebugLevel)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		govern(ctx, zap.New(core), 20*time.Millisecond)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return logs
}

func TestThePercentageFollowsTheHeap(t *testing.T) {
	run(t)
	await(t, "a small heap has slack", func() bool {
		runtime.GC()
		return metric("/gc/gogc:percent") > 2*share
	})
	large := take(200)
	runtime.GC()
	await(t, "a large heap has its share, without another collection", func() bool { return metric("/gc/gogc:percent") <= share })
	runtime.KeepAlive(large)
	runtime.GC()
	await(t, "and slack again when it has gone", func() bool { return metric("/gc/gogc:percent") > 2*share })
}

func TestMemoryIsGivenBackInACalm(t *testing.T) {
	logs := run(t)
	runtime.KeepAlive(take(200))
	runtime.GC() // or the last collection may have come when most of it was in use
	await(t, "a calm is used", func() bool { return logs.FilterMessage("memory was given back in a calm").Len() > 0 })
	await(t, "the system has it", func() bool { return metric("/memory/classes/heap/released:bytes") > 150*mib })
}

func TestTheOperatorsWord(t *testing.T) {
	t.Setenv("GOGC", "77")
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	Govern(context.Background(), zap.NewNop()) // it returns at once
	if got := metric("/gc/gogc:percent"); got != 77 {
		t.Errorf("%d %% in force, want 77", got)
	}
}

func TestItIsLeftAsItWas(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Fatal("run these tests without GOGC in the environment")
	}
	before := metric("/gc/gogc:percent")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Govern(ctx, zap.NewNop())
	}()
	await(t, "it governs", func() bool { return metric("/gc/gogc:percent") != before })
	cancel()
	<-done
	if after := metric("/gc/gogc:percent"); after != before {
		t.Errorf("%d %% before, %d %% after", before, after)
	}
}
