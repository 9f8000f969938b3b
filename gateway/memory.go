package gateway

import (
	"math"
	"runtime"
	"runtime/debug"
	usage "runtime/metrics"
	"sync"
	"time"
)

// memoryUse says when the node has too little of it for more connections. It goes by what the last garbage collection has found to live, and stacks: what lies
// between two collections is no sign of need.
type memoryUse struct {
	max uint64 // zero: no bound

	mu         sync.Mutex
	samples    []usage.Sample
	looked     time.Time
	used       uint64
	cycles     uint64    // of garbage collection
	since      time.Time // when cycles changed last
	collecting bool
}

// The metrics of the runtime, in the order of memoryUse.samples.
const (
	liveHeap = iota
	stacks
	cycles
)

// newMemory takes the bound in bytes; zero is memoryShare of GOMEMLIMIT, if that is set.
func newMemory(limit int64) *memoryUse {
	if ours := debug.SetMemoryLimit(-1); limit == 0 && ours != math.MaxInt64 {
		limit = int64(float64(ours) * memoryShare)
	}
	return &memoryUse{max: uint64(limit), samples: []usage.Sample{
		liveHeap: {Name: "/gc/heap/live:bytes"}, stacks: {Name: "/memory/classes/heap/stacks:bytes"}, cycles: {Name: "/gc/cycles/total:gc-cycles"},
	}}
}

// short reports whether the bound is reached.
func (m *memoryUse) short(now time.Time) bool {
	if m.max == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.looked.IsZero() || now.Sub(m.looked) >= memoryLook {
		m.look(now)
	}
	return m.used >= m.max
}

func (m *memoryUse) look(now time.Time) {
	usage.Read(m.samples)
	m.looked, m.used = now, m.samples[liveHeap].Value.Uint64()+m.samples[stacks].Value.Uint64()
	if n := m.samples[cycles].Value.Uint64(); n != m.cycles {
		m.cycles, m.since = n, now
	}
	// A node that turns everybody away allocates little, and might never learn that it has room again.
	if m.used >= m.max && now.Sub(m.since) >= memoryStale && !m.collecting {
		m.collecting = true
		go m.collect()
	}
}

func (m *memoryUse) collect() {
	runtime.GC()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collecting = false
}
