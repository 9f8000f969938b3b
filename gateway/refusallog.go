package gateway

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/mapping/failure"
)

// refusalLog bounds the lines about what anybody can cause at any rate, and so fill the disk: refused messages of QoS 0, which no acknowledgement paces, refused topic
// filters, of which a packet has thousands, and refused connections. What is left out is counted, and the count is logged.
type refusalLog struct {
	gw *Gateway

	mu       sync.Mutex
	messages lineWindow
	filters  lineWindow
	connects lineWindow
}

// lineWindow is what was logged lately of one kind.
type lineWindow struct {
	begin time.Time
	lines int
	more  uint64
}

// takes reports whether the failure gets a line of its own.
func (l *refusalLog) takes(now time.Time, o *failure.Occurrence) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window(o)
	if w == nil {
		return true
	}
	if now.Sub(w.begin) >= refusalWindow {
		l.close()
		w.begin, w.lines = now, 0
	}
	if w.lines >= refusalLines {
		w.more++
		return false
	}
	w.lines++
	return true
}

// window gives the one that bounds a failure; nil: none does.
func (l *refusalLog) window(o *failure.Occurrence) *lineWindow {
	switch {
	case o.Failure.About == failure.Publish && o.QoS == 0:
		return &l.messages
	case o.Failure.About == failure.Subscription:
		return &l.filters
	case o.Failure == failure.TooManyConnections || o.Failure == failure.ConnectRate || o.Failure == failure.MemoryShort:
		return nil // see admission.complaints
	case o.Failure.About == failure.Connect:
		return &l.connects
	}
	return nil
}

// close logs how many were left out. The lock is held.
func (l *refusalLog) close() {
	if l.messages.more > 0 {
		l.gw.log.Warn("more messages of QoS 0 were refused or dropped than are logged one by one", zap.Uint64("count", l.messages.more))
	}
	if l.filters.more > 0 {
		l.gw.log.Warn("more topic filters were refused than are logged one by one", zap.Uint64("count", l.filters.more))
	}
	if l.connects.more > 0 {
		l.gw.log.Warn("more connections were refused than are logged one by one", zap.Uint64("count", l.connects.more))
	}
	l.messages.more, l.filters.more, l.connects.more = 0, 0, 0
}

// look is the periodic part: a count is told also when nothing follows.
func (l *refusalLog) look(context.Context) (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.messages.begin
	for _, w := range []*lineWindow{&l.filters, &l.connects} {
		if w.begin.After(newest) {
			newest = w.begin
		}
	}
	if time.Since(newest) >= refusalWindow {
		l.close()
	}
	return false
}

// end tells the last count.
func (l *refusalLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
}
