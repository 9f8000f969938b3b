package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"go.uber.org/zap"
)

// Govern governs the collector of this process until ctx ends, and then leaves it as it was. It is for the main program: there must not be two.
// With GOGC in the environment it does nothing.
func Govern(ctx context.Context, log *zap.Logger) {
	if os.Getenv("GOGC") != "" {
		return
	}
	govern(ctx, log, tick)
}

func govern(ctx context.Context, log *zap.Logger, tick time.Duration) {
	s := &shell{log: log, samples: newSamples()}
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	s.pace()
	collected := make(chan struct{}, 1)
	watch(ctx, collected)
	looks := time.NewTicker(tick)
	defer looks.Stop()
	for {
		select {
		case <-collected:
			s.pace()
		case now := <-looks.C:
			s.look(now)
		case <-ctx.Done():
			return
		}
	}
}

// watch tells of each collection: it is the end of an object that nothing refers to, and of the next one. Told late, and while a heap grows fast, the
// percentage of the smaller heap would be in force for the larger one.
func watch(ctx context.Context, collected chan<- struct{}) {
	type mark struct{ _ *mark } // with a pointer, or it would share its memory, and its end, with others
	runtime.AddCleanup(new(mark), func(collected chan<- struct{}) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default:
		}
		watch(ctx, collected)
	}, collected)
}

// shell carries the governor's decisions out.
type shell struct {
	governor
	log     *zap.Logger
	samples []metrics.Sample
}

func (s *shell) pace() {
	if percent, change := s.governor.pace(s.read()); change {
		debug.SetGCPercent(percent)
	}
}

func (s *shell) look(now time.Time) {
	before := s.read()
	if !s.governor.look(now, before) {
		return
	}
	after := s.collect(before)
	took := time.Since(now)
	s.used(now, took, after)
	s.log.Debug("memory was given back in a calm", zap.Uint64("bytes", before.taken()-min(before.taken(), after.taken())), zap.Duration("took", took))
}

func (s *shell) collect(before reading) (after reading) {
	for rounds := 1; ; rounds++ {
		runtime.GC()
		after = s.read()
		if !s.again(before, after, rounds) {
			break
		}
		before = after
	}
	debug.FreeOSMemory()
	return s.read()
}

// The metrics of the runtime, in the order of shell.samples.
const (
	live = iota
	scannedStacks
	scannedGlobals
	stacks
	objects
	free
	allocated
)

func newSamples() []metrics.Sample {
	return []metrics.Sample{
		live: {Name: "/gc/heap/live:bytes"}, scannedStacks: {Name: "/gc/scan/stack:bytes"}, scannedGlobals: {Name: "/gc/scan/globals:bytes"},
		stacks: {Name: "/memory/classes/heap/stacks:bytes"}, objects: {Name: "/memory/classes/heap/objects:bytes"},
		free: {Name: "/memory/classes/heap/free:bytes"}, allocated: {Name: "/gc/heap/allocs:bytes"},
	}
}

func (s *shell) read() reading {
	metrics.Read(s.samples)
	of := func(i int) uint64 { return s.samples[i].Value.Uint64() }
	return reading{live: of(live), roots: of(scannedStacks) + of(scannedGlobals), stacks: of(stacks), objects: of(objects), idle: of(free), allocated: of(allocated)}
}
